/** facets: what a filter can be set to. */
import type { AsOf, PartitionOffset } from "../asOf.ts"
import { positionText } from "../asOf.ts"
import type { Client } from "../client.ts"
import type { Output } from "../output.ts"
import { table } from "../output.ts"
import { checkRange } from "../timeText.ts"
import { dimensionFilters } from "./models.ts"

export interface FacetsOptions {
  readonly by: string
  readonly from: string
  readonly to: string
  readonly where?: readonly string[]
  readonly text?: string
  readonly first?: number
  readonly asOf?: AsOf
}

const FACETS = `query ($projection: String!, $by: String!, $from: DateTime!, $to: DateTime!, $where: [DimensionFilter!], $text: String, $first: Int, $asOf: AsOf) {
  facets(projection: $projection, by: $by, from: $from, to: $to, where: $where, text: $text, first: $first, asOf: $asOf) {
    generation pointerVersion watermark position { partition offset } values { value events } truncated exact } }`

interface Facets {
  readonly generation: number
  readonly watermark: string | null
  readonly position: readonly PartitionOffset[]
  readonly values: readonly { readonly value: string; readonly events: string }[]
  readonly truncated: boolean
  readonly exact: boolean
}

/** Values of a dimension with the events behind each. */
export const facets = async (client: Client, projection: string, options: FacetsOptions, json: boolean, output: Output): Promise<void> => {
  checkRange(options.from, options.to)
  const { by, from, to, text = null, first = null, asOf = null } = options
  const { facets: found } = await client.graphql<{ facets: Facets }>(FACETS, { projection, by, from, to, where: dimensionFilters(options.where ?? []), text, first, asOf })
  const { values, truncated, exact, generation, watermark, position } = found
  if (truncated) output.note(`Only the ${values.length} values with the most events are shown: raise --first, or look for one with --text.`)
  if (!exact) output.note("Some keys of the range were beyond the cap: their values are not listed, and the counts are not exact.")
  if (json) {
    output.data(JSON.stringify(found))
    return
  }
  if (values.length === 0) output.note(`No value of ${by}${text === null ? "" : ` with "${text}" in it`} has events from ${from} to ${to}.`)
  else output.data(table([by.toUpperCase(), "EVENTS"], values.map(({ value, events }) => [value, events])))
  output.note(`generation ${generation} · data complete to ${watermark ?? "–"}${asOf === null ? "" : ` · as of ${positionText(position)}`}`)
}
