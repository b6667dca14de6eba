/** changes: the windows that two moments of a projection do not agree on. */
import type { AsOf, PartitionOffset } from "../asOf.ts"
import { positionText } from "../asOf.ts"
import type { Client } from "../client.ts"
import type { Output } from "../output.ts"
import { table } from "../output.ts"
import { checkRange } from "../timeText.ts"
import { dimensionFilters, figure } from "./models.ts"
import type { Measure } from "./models.ts"

export interface ChangesOptions {
  readonly measure: readonly string[]
  readonly from: string
  readonly to: string
  readonly resolution: string
  readonly where?: readonly string[]
  readonly first: number
  /** The earlier moment. */
  readonly since: AsOf
  /** The later one; now, when absent. */
  readonly until?: AsOf
}

const CHANGES = `query ($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $where: [DimensionFilter!], $first: Int, $before: AsOf!, $after: AsOf) {
  windowChanges(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, where: $where, first: $first, before: $before, after: $after) {
    generation compared changed before { watermark position { partition offset } } after { watermark position { partition offset } }
    changes { key { name value } start end
      before { state events corrections measures { name value text exact errorBound } } after { state events corrections measures { name value text exact errorBound } } } } }`

interface Figures {
  readonly events: string
  readonly measures: readonly Measure[]
}

interface Changes {
  readonly windowChanges: {
    readonly compared: number
    readonly changed: number
    readonly before: { readonly position: readonly PartitionOffset[] }
    readonly after: { readonly position: readonly PartitionOffset[] }
    readonly changes: readonly { readonly key: readonly { readonly value: string }[]; readonly start: string; readonly before: Figures | null; readonly after: Figures | null }[]
  }
}

const change = (before: string | undefined, after: string | undefined): string => `${before ?? "–"} → ${after ?? "–"}`

/** Lists the windows that changed, oldest first. */
export const changes = async (client: Client, projection: string, options: ChangesOptions, json: boolean, output: Output): Promise<void> => {
  checkRange(options.from, options.to)
  const { measure: measures, from, to, first, since, until = null } = options
  const variables = { projection, measures, from, to, resolution: options.resolution.toUpperCase(), where: dimensionFilters(options.where ?? []), first, before: since, after: until }
  const { windowChanges: found } = await client.graphql<Changes>(CHANGES, variables)
  if (json) {
    output.data(JSON.stringify(found))
    return
  }
  const figureOf = (figures: Figures | null, at: number): string | undefined => {
    const measure = figures?.measures[at]
    return measure === undefined ? undefined : figure(measure)
  }
  const rows = found.changes.map(({ start, key, before, after }) =>
    [start, key.map(({ value }) => value).join(" "), ...measures.map((_name, at) => change(figureOf(before, at), figureOf(after, at))), change(before?.events, after?.events)])
  if (rows.length > 0) output.data(table(["WINDOW (UTC)", "KEY", ...measures.map((name) => name.toUpperCase()), "EVENTS"], rows))
  output.note(`${found.changed} of ${found.compared} windows changed from ${positionText(found.before.position)} to ${positionText(found.after.position)}`)
  if (found.changed > rows.length) output.note(`  … ${found.changed - rows.length} more: raise --first (now ${first}), or narrow with --where.`)
}
