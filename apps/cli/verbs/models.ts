/** query, why. */
import type { AsOf, PartitionOffset } from "../asOf.ts"
import { positionText } from "../asOf.ts"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"
import { pairsOf } from "../pairs.ts"
import { checkRange, durationText } from "../timeText.ts"

export interface Measure {
  readonly name: string
  readonly value: number | null
  readonly text: string | null
  readonly exact: boolean
}

/** Estimates are shown with as many digits as mean something: they are within 1 % and worse. */
export const figure = ({ exact, text, value }: Measure): string => {
  if (exact) return text ?? (value === null ? "–" : String(value))
  return value === null ? "–" : `≈${Number.isInteger(value) ? value : Number(value.toPrecision(5))}`
}

export interface QueryOptions {
  readonly measure: readonly string[]
  readonly from: string
  readonly to: string
  readonly resolution: string
  readonly where?: readonly string[]
  readonly by?: string
  readonly first?: number
  readonly asOf?: AsOf
}

const SERIES = `query ($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $where: [DimensionFilter!], $by: String, $first: Int, $asOf: AsOf) {
  series(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, where: $where, breakdownBy: $by, first: $first, asOf: $asOf) {
    generation pointerVersion watermark truncated position { partition offset }
    groups { key { name value } points { start end state revision corrections events measures { name value text exact errorBound } } } } }`

/** Several values of one dimension are alternatives; different dimensions narrow each other. */
export const dimensionFilters = (where: readonly string[]) => {
  const values = new Map<string, string[]>()
  for (const [name, value] of pairsOf(where)) values.set(name, [...(values.get(name) ?? []), value])
  return [...values].map(([name, wanted]) => ({ name, in: wanted }))
}

/** Windows of a projection over time. */
export const query = async (client: Client, projection: string, options: QueryOptions, json: boolean, output: Output): Promise<void> => {
  checkRange(options.from, options.to)
  const { from, to, by = null, first = null, asOf = null } = options
  const variables = { projection, measures: options.measure, from, to, resolution: options.resolution.toUpperCase(), where: dimensionFilters(options.where ?? []), by, first, asOf }
  interface Point { start: string; state: string; events: string; measures: Measure[] }
  const { series } = await client.graphql<{ series: { generation: number; watermark: string | null; truncated: boolean; position: PartitionOffset[]; groups: { key: { name: string; value: string }[]; points: Point[] }[] } }>(SERIES, variables)
  if (series.truncated) output.note(`Only the ${series.groups.length} values of ${by ?? "the key"} with the most events are shown: raise --first, or narrow with --where.`)
  if (json) {
    output.data(JSON.stringify(series))
    return
  }
  const rows = series.groups.flatMap((group) =>
    group.points.map((point) => [point.start, ...group.key.map(({ value }) => value), ...point.measures.map(figure), point.events, point.state.toLowerCase()]))
  if (rows.length === 0) output.note(`No window of ${projection} has data from ${from} to ${to}. \`tidemark events find\` shows what the log holds.`)
  else output.data(table(["WINDOW (UTC)", ...(by === null ? [] : [by]), ...options.measure, "EVENTS", "STATE"].map((name) => name.toUpperCase()), rows))
  output.note(`generation ${series.generation} · data complete to ${series.watermark ?? "–"}${asOf === null ? "" : ` · as of ${positionText(series.position)}`}`)
}

const WHY = `query ($projection: String!, $key: [DimensionValue!]!, $start: DateTime!, $resolution: Resolution!, $first: Int, $asOf: AsOf) {
  window(projection: $projection, key: $key, start: $start, resolution: $resolution, asOf: $asOf) {
    position { partition offset } state generation fingerprint events measures { name value text exact errorBound }
    why(first: $first) { expectedEvents foundEvents fingerprintMatches events { edges { node { id type time partition offset data backfill } late { byMs releasedAt } } pageInfo { hasNextPage } } } } }`

interface WhyEdge {
  readonly node: { readonly id: string; readonly type: string; readonly time: string; readonly partition: number; readonly offset: string; readonly data: unknown }
  readonly late: { readonly byMs: number; readonly releasedAt: string | null } | null
}

/** One event behind a window: where and when it came, and how late. */
const whyLine = ({ node, late }: WhyEdge): string => {
  const mark = late === null ? "" : `  late by ${durationText(late.byMs)}${late.releasedAt === null ? "" : `, counted by hand at ${node.partition}/${late.releasedAt}`}`
  return `  ${node.partition}/${node.offset}  ${node.time}  ${node.type}  ${node.id}  ${plain(JSON.stringify(node.data) ?? "")}${mark}`
}

interface Why {
  readonly window: {
    readonly position: readonly PartitionOffset[]
    readonly state: string
    readonly generation: number
    readonly events: string
    readonly measures: readonly Measure[]
    readonly why: {
      readonly expectedEvents: string
      readonly foundEvents: string
      readonly fingerprintMatches: boolean
      readonly events: { readonly edges: readonly WhyEdge[]; readonly pageInfo: { hasNextPage: boolean } }
    } | null
  } | null
}

/**
 * The key's values in the definition's order: alone, separated by commas, or named (`path=/a,status=200`), in which case
 * a value may hold commas. With one dimension the whole text is its value.
 */
export const keyParts = (text: string, dimensions: readonly string[]): readonly string[] | undefined => {
  const isNamed = dimensions.some((name) => text.startsWith(`${name}=`))
  if (!isNamed) return dimensions.length === 1 ? [text] : text.split(",").length === dimensions.length ? text.split(",") : undefined
  const places = dimensions.map((name) => ({ name, at: text.startsWith(`${name}=`) ? 0 : text.indexOf(`,${name}=`) + 1 }))
  if (places.filter(({ at }) => at === 0).length !== 1) return undefined
  const ordered = places.toSorted((a, b) => a.at - b.at)
  const values = new Map(ordered.map(({ name, at }, index) => {
    const next = ordered[index + 1]
    return [name, text.slice(at + name.length + 1, next === undefined ? undefined : next.at - 1)] as const
  }))
  return dimensions.map((name) => values.get(name) ?? "")
}

const keyValues = async (client: Client, projection: string, key: string): Promise<{ name: string; value: string }[]> => {
  const { projection: found } = await client.graphql<{ projection: { dimensions: string[] } | null }>("query ($name: String!) { projection(name: $name) { dimensions } }", { name: projection })
  if (found === null) throw unknownProjection(projection)
  const parts = keyParts(key, found.dimensions)
  if (parts === undefined) {
    const named = found.dimensions.map((name) => `${name}=…`).join(",")
    throw new CliError(`The key of ${projection} is ${found.dimensions.join(",")}: give ${found.dimensions.length} values separated by commas, or ${named}.`, 2)
  }
  return found.dimensions.map((name, index) => ({ name, value: parts[index] ?? "" }))
}

export const unknownProjection = (name: string): CliError => new CliError(`There is no projection "${name}". \`tidemark projections ls\` lists them.`, 2, { reason: "UNKNOWN_PROJECTION" })

const LENGTHS_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/** Throws `CliError` (usage) with the window's start when the time lies within it. */
const checkStart = (start: string, resolution: string): void => {
  const [atMs, lengthMs] = [Date.parse(start), LENGTHS_MS[resolution] ?? 1]
  const startMs = Math.floor(atMs / lengthMs) * lengthMs
  if (atMs !== startMs) throw new CliError(`${start} is not the start of ${resolution === "hour" ? "an" : "a"} ${resolution}: its window starts at ${new Date(startMs).toISOString()}.`, 2)
}

export interface WhyOptions {
  readonly resolution: string
  readonly first: number
  readonly asOf?: AsOf
}

/** The events behind a window, with the proof. Exit 1 when count or fingerprint differ. */
export const why = async (client: Client, projection: string, key: string, start: string, options: WhyOptions, json: boolean, output: Output): Promise<void> => {
  checkStart(start, options.resolution)
  const variables = { projection, key: await keyValues(client, projection, key), start, resolution: options.resolution.toUpperCase(), first: options.first, asOf: options.asOf ?? null }
  const { window } = await client.graphql<Why>(WHY, variables)
  if (window === null) throw new CliError(`${projection} has no ${options.resolution} window of ${key} at ${start}. \`tidemark query ${projection} …\` lists the windows that have data.`)
  const lineage = window.why
  if (lineage === null) throw new CliError("This window has no lineage.")
  const proved = lineage.fingerprintMatches && lineage.expectedEvents === lineage.foundEvents
  if (json) output.data(JSON.stringify(window))
  else {
    const figures = window.measures.filter(({ value }) => value !== null).map((measure) => `${measure.name} ${figure(measure)}`).join(" · ")
    output.data(`${figures} = ${lineage.foundEvents} of ${lineage.expectedEvents} events · ${window.state.toLowerCase()} · gen ${window.generation} · fingerprint ${lineage.fingerprintMatches ? "matches" : "DIFFERS"}`)
    if (options.asOf !== undefined) output.note(`as of ${positionText(window.position)}`)
    for (const edge of lineage.events.edges) output.data(whyLine(edge))
    if (lineage.events.pageInfo.hasNextPage) output.note(`  … more: raise --first (now ${options.first})`)
  }
  if (!proved) throw new CliError("The events found do not prove this window: run `tidemark verify`.")
}
