/** query, why, projections ls. */
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"

interface Measure {
  readonly name: string
  readonly value: number | null
  readonly text: string | null
  readonly exact: boolean
}

const figure = (measure: Measure): string => (measure.exact ? "" : "≈") + (measure.text ?? (measure.value === null ? "–" : String(measure.value)))

export interface QueryOptions {
  readonly measure: readonly string[]
  readonly from: string
  readonly to: string
  readonly resolution: string
  readonly where: readonly string[]
  readonly by?: string
}

const SERIES = `query ($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $where: [DimensionFilter!], $by: String) {
  series(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, where: $where, breakdownBy: $by) {
    generation pointerVersion watermark position { partition offset }
    groups { key { name value } points { start end state revision corrections events measures { name value text exact errorBound } } } } }`

/** Windows of a projection over time. */
export const query = async (client: Client, projection: string, options: QueryOptions, json: boolean, output: Output): Promise<void> => {
  const where = options.where.map((filter) => {
    const [name, ...value] = filter.split("=")
    if (name === undefined || value.length === 0) throw new CliError(`--where takes name=value, got "${filter}".`, 2)
    return { name, in: [value.join("=")] }
  })
  const variables = { projection, measures: options.measure, from: options.from, to: options.to, resolution: options.resolution.toUpperCase(), where, by: options.by ?? null }
  interface Point { start: string; state: string; events: string; measures: Measure[] }
  const { series } = await client.graphql<{ series: { generation: number; watermark: string | null; groups: { key: { name: string; value: string }[]; points: Point[] }[] } }>(SERIES, variables)
  if (json) {
    output.data(JSON.stringify(series))
    return
  }
  const rows = series.groups.flatMap((group) =>
    group.points.map((point) => [point.start, group.key.map((part) => part.value).join(" "), ...point.measures.map(figure), point.events, point.state.toLowerCase()]))
  if (rows.length === 0) output.note(`No window of ${projection} has data from ${options.from} to ${options.to}.`)
  else output.data(table(["WINDOW (UTC)", "KEY", ...options.measure.map((name) => name.toUpperCase()), "EVENTS", "STATE"], rows))
  output.note(`generation ${series.generation} · data complete to ${series.watermark ?? "–"}`)
}

const WHY = `query ($projection: String!, $key: [DimensionValue!]!, $start: DateTime!, $resolution: Resolution!, $first: Int) {
  window(projection: $projection, key: $key, start: $start, resolution: $resolution) {
    state generation fingerprint events measures { name value text exact errorBound }
    why(first: $first) { expectedEvents foundEvents fingerprintMatches events { edges { node { id type time partition offset data backfill } } pageInfo { hasNextPage } } } } }`

interface Why {
  readonly window: {
    readonly state: string
    readonly generation: number
    readonly events: string
    readonly measures: readonly Measure[]
    readonly why: {
      readonly expectedEvents: string
      readonly foundEvents: string
      readonly fingerprintMatches: boolean
      readonly events: { readonly edges: readonly { node: { id: string; type: string; time: string; partition: number; offset: string; data: unknown } }[]; readonly pageInfo: { hasNextPage: boolean } }
    } | null
  } | null
}

const keyValues = async (client: Client, projection: string, key: string): Promise<{ name: string; value: string }[]> => {
  const { projection: found } = await client.graphql<{ projection: { dimensions: string[] } | null }>("query ($name: String!) { projection(name: $name) { dimensions } }", { name: projection })
  if (found === null) throw new CliError(`There is no projection "${projection}". \`tidemark projections ls\` lists them.`, 2)
  const parts = key.includes("=") ? key.split(",").map((part) => part.slice(part.indexOf("=") + 1)) : key.split(",")
  if (parts.length !== found.dimensions.length) throw new CliError(`The key of ${projection} is ${found.dimensions.join(",")}: give ${found.dimensions.length} value(s) separated by commas.`, 2)
  return found.dimensions.map((name, index) => ({ name, value: parts[index] ?? "" }))
}

/** The events behind a window, with the proof. Exit 1 when count or fingerprint differ. */
export const why = async (client: Client, projection: string, key: string, start: string, options: { resolution: string; first: number }, json: boolean, output: Output): Promise<void> => {
  const variables = { projection, key: await keyValues(client, projection, key), start, resolution: options.resolution.toUpperCase(), first: options.first }
  const { window } = await client.graphql<Why>(WHY, variables)
  if (window === null) throw new CliError(`${projection} has no window of ${key} at ${start}.`)
  const lineage = window.why
  if (lineage === null) throw new CliError("This window has no lineage.")
  const proved = lineage.fingerprintMatches && lineage.expectedEvents === lineage.foundEvents
  if (json) output.data(JSON.stringify(window))
  else {
    const figures = window.measures.map((measure) => `${measure.name} ${figure(measure)}`).join(" · ")
    output.data(`${figures} = ${lineage.foundEvents} of ${lineage.expectedEvents} events · ${window.state.toLowerCase()} · gen ${window.generation} · fingerprint ${lineage.fingerprintMatches ? "matches" : "DIFFERS"}`)
    for (const { node } of lineage.events.edges) output.data(`  ${node.partition}/${node.offset}  ${node.time}  ${node.type}  ${node.id}  ${plain(JSON.stringify(node.data) ?? "")}`)
    if (lineage.events.pageInfo.hasNextPage) output.note(`  … more: raise --first (now ${options.first})`)
  }
  if (!proved) throw new CliError("The events found do not prove this window: run `tidemark verify`.")
}

interface ProjectionState {
  readonly name: string
  readonly generation: number
  readonly status: string
  readonly position: readonly { partition: number; offset: string }[]
  readonly lagEvents: string
  readonly watermark: string | null
  readonly deadLetters: string
}

/** Every projection with its state. */
export const projections = async (client: Client, json: boolean, output: Output): Promise<void> => {
  const answer = await client.graphql<{ projections: ProjectionState[] }>("{ projections { name generation status position { partition offset } lagEvents watermark deadLetters } }", {})
  if (json) {
    output.data(JSON.stringify(answer.projections))
    return
  }
  const rows = answer.projections.map((item) => [
    item.name, String(item.generation), item.status.toLowerCase(),
    "#" + String(item.position.reduce((sum, part) => sum + BigInt(part.offset), 0n)), item.lagEvents, item.watermark ?? "–", item.deadLetters
  ])
  output.data(table(["NAME", "GEN", "STATUS", "POSITION", "LAG", "COMPLETE TO (UTC)", "DEAD"], rows))
}
