/** rebuild plan, start, status, diff, cap, pause, resume, compare, cutover, rollback, abort: generations of a projection. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"
import { unknownProjection } from "./models.ts"

interface Rebuild {
  readonly id: string
  readonly projection: string
  readonly status: string
  readonly generation: number
  readonly fromGeneration: number
  readonly reason: string
  readonly error: string | null
  readonly startedAt: string
  readonly eventsPerSecondMax: number | null
  readonly eventsPerSecondAllowed: number | null
  /** Why it does not go as quickly as it could. */
  readonly throttle: string | null
  /** Why what stands by is no way back or forth. */
  readonly standbyHalt: string | null
  readonly plan: { readonly events: string; readonly bytes: string; readonly rows: string | null; readonly rowBytes: string | null; readonly diskFreeBytes: string | null; readonly seconds: number | null; readonly rateFrom: "LAST_REBUILD" | "SAMPLE" | null } | null
  readonly progress: { readonly processed: string; readonly total: string; readonly eventsPerSecond: number | null; readonly etaSeconds: number | null } | null
  readonly parity: { readonly compared: string; readonly equal: string; readonly differ: string; readonly onlyOld: string; readonly onlyNew: string; readonly faults: readonly string[]; readonly accepted: string | null; readonly tenants: readonly { readonly tenantId: string; readonly windows: string }[] | null; readonly sample: { readonly windows: number; readonly skipped: number; readonly wholeRows: string | null; readonly differing: readonly string[] } | null; readonly servedHalt: { readonly code: string; readonly detail: string; readonly position: readonly { readonly partition: number; readonly offset: string }[] } | null } | null
}

export interface RebuildFlags {
  readonly reason?: string
  readonly wait?: boolean
  /** Events a second, or "none". */
  readonly rate?: string
  readonly yes?: boolean
  readonly first?: number
  readonly after?: string
  readonly ofTenant?: string
}

/** Every verb works on one projection and says what it found in words, or with `json` as one document. */
export interface RebuildCall {
  readonly client: Client
  readonly projection: string
  readonly json: boolean
  readonly output: Output
}

const FIELDS = `id projection status generation fromGeneration reason error startedAt finishedAt eventsPerSecondMax eventsPerSecondAllowed throttle standbyHalt plan { events bytes rows rowBytes diskFreeBytes seconds rateFrom }
  progress { processed total eventsPerSecond etaSeconds } parity { compared equal differ onlyOld onlyNew faults accepted tenants { tenantId windows } sample { seed windows skipped wholeRows differing } servedHalt { code detail position { partition offset } } position { partition offset } }`

const PARITY_DIFFERS = 3
const NOT_CAUGHT_UP = 4
const ASK_EVERY_MS = 500
const SAY_EVERY_MS = 5_000
const DIFFERENCES_SHOWN = 200
/** Windows asked for at once. */
const PAGE = 500

const WORKING: readonly string[] = ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING"]
const RUNNING: readonly string[] = [...WORKING, "READY", "PAUSED", "FAILED"]

const grouped = (text: string): string => text.replace(/\B(?=(\d{3})+$)/g, " ")

const size = (bytes: string): string => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  let [value, unit] = [Number(bytes), 0]
  while (value >= 1_000 && unit < units.length - 1) [value, unit] = [value / 1_000, unit + 1]
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

const timeText = ({ seconds, rateFrom }: NonNullable<Rebuild["plan"]>): string =>
  seconds === null ? "no rate known yet" : `~${Math.ceil(seconds)} s${rateFrom === "SAMPLE" ? " by a sample, storing not counted" : ""}`

const roomText = ({ rowBytes, diskFreeBytes }: NonNullable<Rebuild["plan"]>): string =>
  `${rowBytes === null ? "" : ` · ~${size(rowBytes)}`}${diskFreeBytes === null ? "" : ` of ${size(diskFreeBytes)} free`}`

/** What is read, what is written, and that nothing is sent. */
const planLine = ({ plan, generation, fromGeneration }: Rebuild): string => {
  if (plan === null) return `plan      writes gen ${generation} beside gen ${fromGeneration}`
  return [
    `plan      reads ${grouped(plan.events)} events · ${size(plan.bytes)} · ${timeText(plan)}`,
    `writes    gen ${generation} beside gen ${fromGeneration}${plan.rows === null ? "" : ` · ~${grouped(plan.rows)} rows`}${roomText(plan)}`,
    "emits     nothing: alerts and webhooks come from the served generation"
  ].join("\n")
}

const phase = (status: string): string => status.toLowerCase().replace("_", " ")

const progressLine = ({ status, progress }: Rebuild): string => {
  if (progress === null) return phase(status)
  const { processed, total, eventsPerSecond, etaSeconds } = progress
  const percent = total === "0" ? 100 : Number((BigInt(processed) * 100n) / BigInt(total))
  const rate = eventsPerSecond === null || etaSeconds === null ? "" : `   ${grouped(String(Math.round(eventsPerSecond)))} ev/s   ETA ${Math.ceil(etaSeconds)} s`
  return `${phase(status)}  ${percent} %   ${grouped(processed)} / ${grouped(total)}${rate}`
}

const throttleLine = ({ throttle, eventsPerSecondAllowed }: Rebuild): string | undefined =>
  throttle === null ? undefined : `throttle  ${throttle}${eventsPerSecondAllowed === null || eventsPerSecondAllowed === 0 || throttle.startsWith("capped") ? "" : `   at most ${grouped(String(Math.round(eventsPerSecondAllowed)))} ev/s`}`

const differing = ({ parity }: Rebuild): number => (parity === null ? 0 : Number(parity.differ) + Number(parity.onlyOld) + Number(parity.onlyNew) + parity.faults.length)

/** Whose windows differ, as the operator is told. */
const tenantLines = (tenants: NonNullable<Rebuild["parity"]>["tenants"]): readonly string[] =>
  tenants === null || tenants.length === 0 ? [] : [`tenants   ${tenants.map(({ tenantId, windows }) => `${tenantId} ${grouped(windows)}`).join(" · ")}`]

const sampleLines = (sample: NonNullable<Rebuild["parity"]>["sample"]): readonly string[] =>
  sample === null ? [] : sample.wholeRows !== null ? [`whole     ${grouped(sample.wholeRows)} rows recomputed from the log, for every chosen window was too large · ${sample.differing.length === 0 ? "none differs" : "not all are equal"}`] : [`sample    ${sample.windows} windows recomputed from the log · ${sample.differing.length} differ${sample.skipped === 0 ? "" : ` · ${sample.skipped} too large`}`]

const parityLine = ({ parity, generation, fromGeneration }: Rebuild): string => {
  if (parity === null) return "parity    not compared yet"
  const { compared, equal, differ, onlyOld, onlyNew, faults, sample, servedHalt, tenants } = parity
  if (servedHalt !== null) {
    const at = servedHalt.position.map(({ partition, offset }) => `${partition}/${offset}`).join(" ")
    return [`parity    not compared: gen ${fromGeneration} has halted at ${at} with ${servedHalt.code}: ${servedHalt.detail}`, ...sampleLines(sample), ...faults.map((fault) => `          ${fault}`)].join("\n")
  }
  const more = [[`only gen ${fromGeneration}`, onlyOld], [`only gen ${generation}`, onlyNew]].filter(([, count]) => count !== "0").map(([name, count]) => ` · ${name}: ${count}`)
  return [`parity    compared ${grouped(compared)} · equal ${grouped(equal)} · differ ${grouped(differ)}${more.join("")}`, ...sampleLines(sample), ...tenantLines(tenants), ...faults.map((fault) => `          ${fault}`)].join("\n")
}

const allOf = async ({ client, projection }: RebuildCall): Promise<readonly Rebuild[]> =>
  (await client.graphql<{ rebuilds: readonly Rebuild[] }>(`query ($projection: String) { rebuilds(projection: $projection) { ${FIELDS} } }`, { projection })).rebuilds

/** Throws `CliError` (usage) where there is no such projection. */
const checkProjection = async ({ client, projection }: RebuildCall): Promise<void> => {
  const { projection: known } = await client.graphql<{ projection: { readonly name: string } | null }>("query ($name: String!) { projection(name: $name) { name } }", { name: projection })
  if (known === null) throw unknownProjection(projection)
}

/** The newest one with such a status; `done`: what is done to it, for the sentence that says that there is none. */
const newest = async (call: RebuildCall, statuses: readonly string[] | undefined, done: string): Promise<Rebuild> => {
  const all = await allOf(call)
  const found = all.find(({ status }) => statuses === undefined || statuses.includes(status))
  if (found !== undefined) return found
  const [latest] = all
  if (latest === undefined) await checkProjection(call)
  const why = latest === undefined ? "none was ever started" : `the newest is ${phase(latest.status)}`
  throw new CliError(`No rebuild of ${call.projection} can be ${done}: ${why}. A new one: tidemark rebuild plan ${call.projection}`)
}

const change = async ({ client }: RebuildCall, field: string, signature: string, args: string, variables: Record<string, unknown>): Promise<Rebuild> => {
  const answer = await client.graphql<Readonly<Record<string, Rebuild>>>(`mutation ${signature} { ${field}${args} { ${FIELDS} } }`, variables, "admin")
  const rebuild = answer[field]
  if (rebuild === undefined) throw new CliError(`The server answered ${field} without a rebuild.`)
  return rebuild
}

/** Whole events a second; undefined without the flag, null for "none". */
const rateOf = ({ rate }: RebuildFlags): number | null | undefined => {
  if (rate === undefined) return undefined
  if (rate === "none") return null
  if (!/^[1-9]\d{0,8}$/.test(rate)) throw new CliError(`--rate is "${rate}": give whole events a second, or none.`, 2)
  return Number(rate)
}

const start = (call: RebuildCall, reason: string, dryRun: boolean, flags: RebuildFlags): Promise<Rebuild> =>
  change(call, "startRebuild", "($projection: String!, $reason: String!, $dryRun: Boolean, $rate: Int)", "(projection: $projection, reason: $reason, dryRun: $dryRun, eventsPerSecondMax: $rate)", { projection: call.projection, reason, dryRun, rate: rateOf(flags) ?? null })

const show = ({ json, output }: RebuildCall, rebuild: Rebuild, text: string): void => output.data(json ? JSON.stringify(rebuild) : plainLines(text))
const plainLines = (text: string): string => text.split("\n").map(plain).join("\n")

/** While `--yes` is missing: what it would do, as text or as the rebuild that it would do it to. */
const isDryRun = (call: RebuildCall, { yes }: RebuildFlags, rebuild: Rebuild, would: string): boolean => {
  if (yes === true) return false
  show(call, rebuild, would)
  call.output.note("Nothing was changed: add --yes to do it.")
  return true
}

/** What it would read and write. */
export const rebuildPlan = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await start(call, flags.reason ?? "plan", true, flags)
  show(call, rebuild, planLine(rebuild))
}

/** Asks until it waits for a person. Says where it stands every 5 s, and at each phase. */
const waitFor = async (call: RebuildCall, id: string): Promise<Rebuild> => {
  let [said, saidMs] = ["", 0]
  for (;;) {
    const rebuild = (await allOf(call)).find((one) => one.id === id)
    if (rebuild === undefined) throw new CliError("The rebuild is gone.")
    if (rebuild.status !== said || Date.now() - saidMs >= SAY_EVERY_MS) {
      [said, saidMs] = [rebuild.status, Date.now()]
      const slowed = rebuild.throttle === null ? "" : `   ${rebuild.throttle}`
      call.output.note(`${new Date().toISOString().slice(11, 19)}  ${progressLine(rebuild)}${slowed}`)
    }
    if (!WORKING.includes(rebuild.status)) return rebuild
    await sleep(ASK_EVERY_MS)
  }
}

/** Exit 3 when something differs, 1 when it did not come through. */
const endOf = (rebuild: Rebuild): void => {
  const { projection, status, error } = rebuild
  if (status !== "READY") throw new CliError(`The rebuild is ${phase(status)}${error === null ? "" : `: ${error}`}. See: tidemark rebuild status ${projection}`)
  if (differing(rebuild) > 0) throw new CliError(`next: tidemark rebuild diff ${projection}`, PARITY_DIFFERS)
  if (rebuild.parity?.servedHalt != null) throw new CliError(`Nothing could be compared. next: tidemark rebuild cutover ${projection} --reason NOTE`, PARITY_DIFFERS)
}

/** Starts one; with `--wait` until it is proved. */
export const rebuildStart = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const { reason } = flags
  if (reason === undefined) throw new CliError("--reason is needed: why is it rebuilt?", 2)
  if (flags.yes !== true) {
    const planned = await start(call, reason, true, flags)
    isDryRun(call, flags, planned, planLine(planned))
    return
  }
  const started = await start(call, reason, false, flags)
  if (flags.wait !== true) return show(call, started, planLine(started))
  call.output.note(planLine(started))
  const ended = await waitFor(call, started.id)
  show(call, ended, parityLine(ended))
  endOf(ended)
  call.output.note(`next: tidemark rebuild cutover ${call.projection} --yes`)
}

/** Of the rebuild that serves or stands by, whichever is the newest: a way back that nothing will open. */
const standbyLine = (rebuilds: readonly Rebuild[]): readonly string[] =>
  rebuilds.flatMap(({ standbyHalt }) => (standbyHalt === null ? [] : [`standby   ${standbyHalt}: it is no way back`]))

/** Every rebuild, newest first. */
export const rebuildStatus = async (call: RebuildCall, { wait }: RebuildFlags): Promise<void> => {
  if (wait === true) endOf(await waitFor(call, (await newest(call, undefined, "looked at")).id))
  const rebuilds = await allOf(call)
  if (rebuilds.length === 0) await checkProjection(call)
  if (call.json) return call.output.data(JSON.stringify(rebuilds))
  if (rebuilds.length === 0) return call.output.note(`No rebuild of ${call.projection} was ever started.`)
  call.output.data(table(["GEN", "FROM", "STATUS", "STARTED", "REASON"], rebuilds.map((one) => [String(one.generation), String(one.fromGeneration), phase(one.status), one.startedAt, one.reason])))
  const [latest] = rebuilds
  if (latest === undefined) return
  const slowed = throttleLine(latest)
  for (const line of [...(latest.error === null ? [] : [`ERROR     ${latest.error}`]), ...standbyLine(rebuilds), ...(RUNNING.includes(latest.status) ? [progressLine(latest), ...(slowed === undefined ? [] : [slowed])] : []), parityLine(latest)]) call.output.data(plainLines(line))
}

interface Difference {
  readonly key: readonly { readonly value: string }[]
  readonly start: string
  readonly resolution: string
  readonly old: string | null
  readonly new: string | null
  readonly cause: "LOGIC" | "INPUT"
  readonly firstDivergingEvent: { readonly id: string; readonly partition: number; readonly offset: string; readonly old: string; readonly new: string } | null
  readonly noEvent: { readonly code: string; readonly detail: string } | null
}

interface Counts extends Omit<NonNullable<Rebuild["parity"]>, "faults" | "accepted" | "sample" | "tenants"> {
  readonly measures: readonly { readonly measure: string; readonly windows: string }[]
  readonly listed: string
}

interface DifferencePage {
  readonly edges: readonly { readonly node: Difference }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  readonly counts: Counts | null
}

const DIFFERENCES = `query ($id: ID!, $first: Int, $after: String, $tenant: String) { rebuild(id: $id) { differences(first: $first, after: $after, tenant: $tenant) {
  edges { node { key { name value } start resolution old new cause firstDivergingEvent { id type partition offset old new } noEvent { code detail } } } pageInfo { hasNextPage endCursor }
  counts { compared equal differ onlyOld onlyNew measures { measure windows } listed } } } }`

/** The list from `after` on, at most `first` windows of it, asked for page by page. */
const differencesOf = async (call: RebuildCall, id: string, first: number, { after, ofTenant: tenant }: RebuildFlags) => {
  const differences: Difference[] = []
  let [next, counts]: [string | null, Counts | null] = [after ?? null, null]
  do {
    const asked = { id, first: Math.min(PAGE, first - differences.length), after: next, ...(tenant === undefined ? {} : { tenant }) }
    const page = (await call.client.graphql<{ readonly rebuild: { readonly differences: DifferencePage } | null }>(DIFFERENCES, asked, tenant === undefined ? "read" : "admin")).rebuild?.differences
    differences.push(...(page?.edges.map(({ node }) => node) ?? []))
    counts = page?.counts ?? counts
    next = page?.pageInfo.hasNextPage === true ? page.pageInfo.endCursor : null
  } while (next !== null && differences.length < first)
  return { counts, differences, next }
}

const countsLines = ({ fromGeneration, generation }: Rebuild, { differ, onlyOld, onlyNew, measures, listed }: Counts): string => {
  const all = Number(differ) + Number(onlyOld) + Number(onlyNew)
  const cut = Number(listed) < all ? ` · the list is cut at ${grouped(listed)}` : ""
  return [
    `windows   differing ${grouped(differ)} · only gen ${fromGeneration}: ${grouped(onlyOld)} · only gen ${generation}: ${grouped(onlyNew)}${cut}`,
    ...(measures.length === 0 ? [] : [`measures  ${measures.map(({ measure, windows }) => `${measure} ${grouped(windows)}`).join(" · ")}`])
  ].join("\n")
}

/** The event at which the two part, or why none is named. */
const partingText = ({ firstDivergingEvent: event, noEvent }: Difference): string =>
  event === null ? (noEvent?.code.toLowerCase().replace("_", " ") ?? "–") : `${event.partition}/${event.offset} ${event.id}`

/** Rows that no event explains, each once. */
const rowLines = (differences: readonly Difference[]): readonly string[] =>
  [...new Set(differences.flatMap(({ noEvent }) => (noEvent?.code === "ROWS_DIFFER" ? [noEvent.detail] : [])))]

/** The windows that differ, 200 at a time unless told; exit 3 when there are any. */
export const rebuildDiff = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const { output, json, projection } = call
  const rebuild = await newest(call, undefined, "looked at")
  const found = await differencesOf(call, rebuild.id, flags.first ?? DIFFERENCES_SHOWN, flags)
  if (json) output.data(JSON.stringify(found))
  else {
    const rows = found.differences.map((one) => [one.key.map(({ value }) => value).join(" "), one.start, one.resolution.toLowerCase(), one.old ?? "–", one.new ?? "–", one.cause === "LOGIC" ? "same" : "differs", partingText(one)])
    if (rows.length > 0) output.data(table(["KEY", "WINDOW (UTC)", "OF", `GEN ${rebuild.fromGeneration}`, `GEN ${rebuild.generation}`, "INPUT", "FIRST EVENT"], rows))
    for (const line of rowLines(found.differences)) output.data(plain(line))
    if (found.counts !== null) output.data(plainLines(countsLines(rebuild, found.counts)))
    output.data(plainLines(parityLine(rebuild)))
    if (found.next !== null) output.note(`more: tidemark rebuild diff ${projection} --after ${found.next}${flags.ofTenant === undefined ? "" : ` --of-tenant ${flags.ofTenant}`}`)
  }
  if (rebuild.parity === null && RUNNING.includes(rebuild.status)) throw new CliError("Not compared yet.", NOT_CAUGHT_UP)
  if (differing(rebuild) > 0 && rebuild.parity?.accepted === null) throw new CliError("The generations differ.", PARITY_DIFFERS)
  if (rebuild.parity?.servedHalt != null && rebuild.parity.accepted === null) throw new CliError("Nothing could be compared: the served generation has halted.", PARITY_DIFFERS)
}

/** Compares a ready one again, as the numbers stand now; with `--wait` until it is proved. */
export const rebuildCompare = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, ["READY", "VERIFYING"], "compared again")
  if (isDryRun(call, flags, rebuild, `Would compare generation ${rebuild.generation} of ${call.projection} with ${rebuild.fromGeneration} again.\n${parityLine(rebuild)}`)) return
  const asked = await change(call, "compareRebuild", "($id: ID!)", "(id: $id)", { id: rebuild.id })
  if (flags.wait !== true) return show(call, asked, `Generation ${asked.generation} of ${call.projection} is compared again. See: tidemark rebuild status ${call.projection} --wait`)
  const ended = await waitFor(call, asked.id)
  show(call, ended, parityLine(ended))
  endOf(ended)
}

/** Serves the rebuilt generation. `--reason` accepts the differences of another definition. */
export const rebuildCutover = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, [...RUNNING, "STANDBY"], "cut over")
  if (WORKING.includes(rebuild.status)) throw new CliError(`Generation ${rebuild.generation} is not caught up: it is ${phase(rebuild.status)}.`, NOT_CAUGHT_UP)
  if (isDryRun(call, flags, rebuild, `Would serve generation ${rebuild.generation} of ${call.projection} instead of ${rebuild.fromGeneration}.\n${parityLine(rebuild)}`)) return
  const moved = await change(call, "cutOver", "($id: ID!, $note: String)", "(id: $id, acceptDifferences: $note)", { id: rebuild.id, note: flags.reason ?? null })
  show(call, moved, `${call.projection} serves generation ${moved.generation}. Back while the old one stands by: tidemark rebuild rollback ${call.projection} --yes`)
}

/** Serves again what the last cut-over replaced. */
export const rebuildRollback = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, ["ACTIVE"], "rolled back")
  if (isDryRun(call, flags, rebuild, `Would serve generation ${rebuild.fromGeneration} of ${call.projection} instead of ${rebuild.generation}.`)) return
  const moved = await change(call, "rollBack", "($projection: String!)", "(projection: $projection)", { projection: call.projection })
  show(call, moved, `${call.projection} serves generation ${moved.fromGeneration}.`)
}

/** Ends the running one; what it built is dropped. */
export const rebuildAbort = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, RUNNING, "aborted")
  if (isDryRun(call, flags, rebuild, `Would abort the rebuild of ${call.projection} and drop generation ${rebuild.generation}.`)) return
  const aborted = await change(call, "abortRebuild", "($id: ID!)", "(id: $id)", { id: rebuild.id })
  show(call, aborted, `The rebuild of ${call.projection} is aborted; generation ${aborted.generation} is dropped.`)
}

/** Events a second that it may fold from now on. */
export const rebuildCap = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rate = rateOf(flags)
  if (rate === undefined) throw new CliError("--rate is needed: whole events a second, or none.", 2)
  const rebuild = await newest(call, RUNNING, "capped")
  const words = rate === null ? "as quickly as live traffic leaves room" : `at most ${grouped(String(rate))} events/s`
  if (isDryRun(call, flags, rebuild, `Would have the rebuild of ${call.projection} fold ${words}.`)) return
  const capped = await change(call, "capRebuild", "($id: ID!, $rate: Int)", "(id: $id, eventsPerSecondMax: $rate)", { id: rebuild.id, rate })
  show(call, capped, `The rebuild of ${call.projection} folds ${words}.`)
}

/** Stands still where it is, until it is resumed. */
export const rebuildPause = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, RUNNING, "paused")
  if (isDryRun(call, flags, rebuild, `Would pause the rebuild of ${call.projection}, which is ${phase(rebuild.status)}.`)) return
  const paused = await change(call, "pauseRebuild", "($id: ID!)", "(id: $id)", { id: rebuild.id })
  show(call, paused, `The rebuild of ${call.projection} is paused. On with it: tidemark rebuild resume ${call.projection} --yes`)
}

/** Goes on where it was paused or has failed. */
export const rebuildResume = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const rebuild = await newest(call, RUNNING, "resumed")
  if (isDryRun(call, flags, rebuild, `Would resume the rebuild of ${call.projection}, which is ${phase(rebuild.status)}.`)) return
  const resumed = await change(call, "resumeRebuild", "($id: ID!)", "(id: $id)", { id: rebuild.id })
  show(call, resumed, `The rebuild of ${call.projection} goes on: it is ${phase(resumed.status)}.`)
}
