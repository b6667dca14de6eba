/** rebuild plan, start, status, diff, cap, pause, resume, compare, cutover, rollback, abort: generations of a projection. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"
import { unknownProjection } from "./models.ts"
import { generationTable, differing, grouped, historyTable, parityLine, phase, phasesLine, planLine, progressLine, slowedLine, throttleLine, wayBackLine } from "./rebuildText.ts"
import type { Generation, Rebuild } from "./rebuildText.ts"

export interface RebuildFlags {
  readonly reason?: string
  readonly wait?: boolean
  /** Events a second, or "none". */
  readonly rate?: string
  readonly yes?: boolean
  readonly first?: number
  readonly after?: string
  readonly ofTenant?: string
  /** Every step of the newest rebuild. */
  readonly log?: boolean
  /** Differing windows by key and hour. */
  readonly map?: boolean
  /** The events behind this one of the listed windows, from 1. */
  readonly events?: number
}

/** Every verb works on one projection and says what it found in words, or with `json` as one document. */
export interface RebuildCall {
  readonly client: Client
  readonly projection: string
  readonly json: boolean
  readonly output: Output
}

const FIELDS = `id projection status generation fromGeneration reason error startedAt finishedAt standbyUntil history { status at detail } eventsPerSecondMax eventsPerSecondAllowed throttle standbyHalt plan { events bytes rows rowBytes diskFreeBytes seconds rateFrom }
  progress { processed total eventsPerSecond etaSeconds etaSecondsMin etaSecondsMax time { read fold write throttle } } parity { compared equal differ onlyOld onlyNew faults accepted tenants { tenantId windows } sample { seed windows skipped wholeRows differing } servedHalt { code detail position { partition offset } } position { partition offset } }`

export const PARITY_DIFFERS = 3
export const NOT_CAUGHT_UP = 4
const ASK_EVERY_MS = 500
const SAY_EVERY_MS = 5_000

const WORKING: readonly string[] = ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING"]
export const RUNNING: readonly string[] = [...WORKING, "READY", "PAUSED", "FAILED"]

const allOf = async ({ client, projection }: RebuildCall): Promise<readonly Rebuild[]> =>
  (await client.graphql<{ rebuilds: readonly Rebuild[] }>(`query ($projection: String) { rebuilds(projection: $projection) { ${FIELDS} } }`, { projection })).rebuilds

/** Throws `CliError` (usage) where there is no such projection. */
const checkProjection = async ({ client, projection }: RebuildCall): Promise<void> => {
  const { projection: known } = await client.graphql<{ projection: { readonly name: string } | null }>("query ($name: String!) { projection(name: $name) { name } }", { name: projection })
  if (known === null) throw unknownProjection(projection)
}

/** The newest one with such a status; `done`: what is done to it, for the sentence that says that there is none. */
export const newest = async (call: RebuildCall, statuses: readonly string[] | undefined, done: string): Promise<Rebuild> => {
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
export const plainLines = (text: string): string => text.split("\n").map(plain).join("\n")

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

const generationsOf = async ({ client, projection }: RebuildCall): Promise<readonly Generation[]> =>
  (await client.graphql<{ generations: readonly Generation[] }>("query ($projection: String!) { generations(projection: $projection) { generation served version definitionHash changedMeasures missingMeasures createdAt position { partition offset } lagEvents deadLetters halt size { rows bytes } } }", { projection })).generations

/** Those that are stored, with where each stands and what it takes of the disk. */
export const rebuildGenerations = async (call: RebuildCall): Promise<void> => {
  const found = await generationsOf(call)
  if (found.length === 0) await checkProjection(call)
  call.output.data(call.json ? JSON.stringify(found) : generationTable(found))
}

/** The newest one, line by line. */
const latestLines = (latest: Rebuild, rebuilds: readonly Rebuild[], nowMs: number): readonly (string | undefined)[] => [
  latest.error === null ? undefined : `ERROR     ${latest.error}`, ...standbyLine(rebuilds), phasesLine(latest, nowMs),
  ...(RUNNING.includes(latest.status) ? [progressLine(latest), slowedLine(latest), throttleLine(latest)] : []), parityLine(latest), wayBackLine(latest, nowMs)
]

/** Every rebuild, newest first. */
export const rebuildStatus = async (call: RebuildCall, { wait, log }: RebuildFlags): Promise<void> => {
  const { output } = call
  if (wait === true) endOf(await waitFor(call, (await newest(call, undefined, "looked at")).id))
  const rebuilds = await allOf(call)
  if (rebuilds.length === 0) await checkProjection(call)
  if (call.json) return output.data(JSON.stringify(rebuilds))
  if (rebuilds.length === 0) return output.note(`No rebuild of ${call.projection} was ever started.`)
  output.data(table(["GEN", "FROM", "STATUS", "STARTED", "REASON"], rebuilds.map((one) => [String(one.generation), String(one.fromGeneration), phase(one.status), one.startedAt, one.reason])))
  const [latest] = rebuilds
  if (latest === undefined) return
  for (const line of latestLines(latest, rebuilds, Date.now())) if (line !== undefined) output.data(plainLines(line))
  if (log === true) output.data(historyTable(latest))
  const generations = await generationsOf(call)
  if (generations.length > 0) output.data(generationTable(generations))
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
