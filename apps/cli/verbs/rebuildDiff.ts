/** rebuild diff: the windows that differ, as a list, as a map of key and hour, and one by one from their events. */
import { CliError } from "../client.ts"
import { plain, table } from "../output.ts"
import { differing, grouped, parityLine } from "./rebuildText.ts"
import type { Rebuild } from "./rebuildText.ts"
import { NOT_CAUGHT_UP, PARITY_DIFFERS, RUNNING, newest, plainLines } from "./rebuilds.ts"
import type { RebuildCall, RebuildFlags } from "./rebuilds.ts"

const DIFFERENCES_SHOWN = 200
/** Windows asked for at once. */
const PAGE = 500

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

const HOUR_MS = 3_600_000
/** Columns that a terminal holds. */
const HOURS_MAX = 12

/** Listed windows by key and hour, UTC: the latest hours that differ; minutes are counted, or the hour where none of it is listed. Days are in no hour. */
const mapTable = (differences: readonly Difference[]): string => {
  const keys = new Map<string, Map<number, { minutes: number; hours: number }>>()
  for (const { key, start, resolution } of differences) {
    if (resolution === "DAY") continue
    const name = key.map(({ value }) => value).join(" ")
    const hourMs = Math.floor(Date.parse(start) / HOUR_MS) * HOUR_MS
    const row = keys.get(name) ?? new Map<number, { minutes: number; hours: number }>()
    const counted = row.get(hourMs) ?? { minutes: 0, hours: 0 }
    counted[resolution === "MINUTE" ? "minutes" : "hours"] += 1
    keys.set(name, row.set(hourMs, counted))
  }
  const hours = [...new Set([...keys.values()].flatMap((row) => [...row.keys()]))].sort((a, b) => a - b).slice(-HOURS_MAX)
  const cell = (counted: { readonly minutes: number; readonly hours: number } | undefined): string => (counted === undefined ? "" : String(counted.minutes > 0 ? counted.minutes : counted.hours))
  return table(["KEY", ...hours.map((hourMs) => new Date(hourMs).toISOString().slice(5, 13).replace("T", " "))], [...keys].map(([name, row]) => [name, ...hours.map((hourMs) => cell(row.get(hourMs)))]))
}

interface DifferingWindow {
  readonly figures: readonly { readonly name: string; readonly old: string | null; readonly new: string | null }[]
  readonly both: string
  readonly onlyOld: string
  readonly onlyNew: string
  readonly events: readonly { readonly countedBy: "BOTH" | "OLD" | "NEW"; readonly event: { readonly id: string; readonly type: string; readonly time: string; readonly partition: number; readonly offset: string } }[]
  readonly firstDivergingEvent: { readonly partition: number; readonly offset: string } | null
  readonly fault: string | null
}

const DIFFERING_WINDOW = `query ($id: ID!, $key: [String!]!, $start: DateTime!, $resolution: Resolution!, $tenant: String) { rebuild(id: $id) { differingWindow(key: $key, start: $start, resolution: $resolution, first: 200, tenant: $tenant) {
  figures { name old new } both onlyOld onlyNew events { countedBy event { id type time partition offset } } firstDivergingEvent { partition offset } fault } } }`

const windowLines = ({ fromGeneration, generation }: Rebuild, { figures, both, onlyOld, onlyNew, events, firstDivergingEvent: first, fault }: DifferingWindow): readonly string[] => {
  if (fault !== null) return [`What is stored is not what its events give: ${fault}`]
  const by = { BOTH: "both", OLD: `gen ${fromGeneration}`, NEW: `gen ${generation}` }
  const isFirst = (partition: number, offset: string): boolean => first?.partition === partition && first.offset === offset
  return [
    table(["FIGURE", `GEN ${fromGeneration}`, `GEN ${generation}`], figures.map(({ name, old, new: now }) => [old === now ? name : `${name} *`, old ?? "–", now ?? "–"])),
    `events    both ${grouped(both)} · only gen ${fromGeneration}: ${grouped(onlyOld)} · only gen ${generation}: ${grouped(onlyNew)}`,
    table(["COUNTED BY", "EVENT", "TIME (UTC)", "TYPE", "ID"], events.map(({ countedBy, event: { partition, offset, time, type, id } }) => [`${by[countedBy]}${isFirst(partition, offset) ? " · first to differ" : ""}`, `${partition}/${offset}`, time, type, id]))
  ]
}

/** Both values and both lists of events of one listed window. */
const showWindow = async ({ client, json, output }: RebuildCall, rebuild: Rebuild, difference: Difference, { ofTenant: tenant }: RebuildFlags): Promise<void> => {
  const asked = { id: rebuild.id, key: difference.key.map(({ value }) => value), start: difference.start, resolution: difference.resolution, ...(tenant === undefined ? {} : { tenant }) }
  const window = (await client.graphql<{ readonly rebuild: { readonly differingWindow: DifferingWindow } | null }>(DIFFERING_WINDOW, asked, tenant === undefined ? "read" : "admin")).rebuild?.differingWindow
  if (window === undefined) throw new CliError("The rebuild is gone.")
  if (json) return output.data(JSON.stringify(window))
  output.data(plain(`${asked.key.join(" ")} ${difference.start} ${difference.resolution.toLowerCase()}`))
  for (const line of windowLines(rebuild, window)) output.data(plainLines(line))
}

const causesLine = (differences: readonly Difference[]): string => {
  const logic = differences.filter(({ cause }) => cause === "LOGIC").length
  return `causes    input same, logic differs ${grouped(String(logic))} · input differs ${grouped(String(differences.length - logic))}, of those listed`
}

/** As text: the list or the map, then the counts. */
const showList = ({ output, projection }: RebuildCall, rebuild: Rebuild, { differences, counts, next }: Awaited<ReturnType<typeof differencesOf>>, { map, ofTenant }: RebuildFlags): void => {
  const rows = differences.map((one) => [one.key.map(({ value }) => value).join(" "), one.start, one.resolution.toLowerCase(), one.old ?? "–", one.new ?? "–", one.cause === "LOGIC" ? "same" : "differs", partingText(one)])
  if (rows.length > 0) output.data(map === true ? mapTable(differences) : table(["KEY", "WINDOW (UTC)", "OF", `GEN ${rebuild.fromGeneration}`, `GEN ${rebuild.generation}`, "INPUT", "FIRST EVENT"], rows))
  for (const line of rowLines(differences)) output.data(plain(line))
  if (rows.length > 0) output.data(causesLine(differences))
  if (counts !== null) output.data(plainLines(countsLines(rebuild, counts)))
  output.data(plainLines(parityLine(rebuild)))
  if (next !== null) output.note(`more: tidemark rebuild diff ${projection} --after ${next}${ofTenant === undefined ? "" : ` --of-tenant ${ofTenant}`}`)
}

/** The windows that differ, 200 at a time unless told; exit 3 when there are any. */
export const rebuildDiff = async (call: RebuildCall, flags: RebuildFlags): Promise<void> => {
  const { output, json } = call
  const rebuild = await newest(call, undefined, "looked at")
  const found = await differencesOf(call, rebuild.id, flags.first ?? DIFFERENCES_SHOWN, flags)
  if (flags.events !== undefined) {
    const difference = found.differences[flags.events - 1]
    if (difference === undefined) throw new CliError(`--events is ${flags.events}: ${found.differences.length} windows are listed.`, 2)
    return showWindow(call, rebuild, difference, flags)
  }
  if (json) output.data(JSON.stringify(found))
  else showList(call, rebuild, found, flags)
  if (rebuild.parity === null && RUNNING.includes(rebuild.status)) throw new CliError("Not compared yet.", NOT_CAUGHT_UP)
  if (differing(rebuild) > 0 && rebuild.parity?.accepted === null) throw new CliError("The generations differ.", PARITY_DIFFERS)
  if (rebuild.parity?.servedHalt != null && rebuild.parity.accepted === null) throw new CliError("Nothing could be compared: the served generation has halted.", PARITY_DIFFERS)
}

