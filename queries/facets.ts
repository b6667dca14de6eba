/** The values a dimension has over a range, with how much is behind each: what a filter can be set to. */
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { DimensionFilter } from "./dimensions.ts"
import type { QueryError } from "./errors.ts"
import { pageSize } from "./limits.ts"
import type { MergedPartials } from "./mergePartials.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { Provenance, ReadableModel } from "./openModel.ts"
import { rankValues } from "./ranking.ts"

export interface FacetsInput {
  readonly projection: string
  /** The dimension whose values are listed. */
  readonly by: string
  /** Minutes that [fromMs, toMs) touches. */
  readonly fromMs: number
  readonly toMs: number
  /** Filters on `by` itself are left aside: a filter that is set must not hide what else it could be set to. */
  readonly where?: readonly DimensionFilter[]
  /** Only values that hold this text, whatever the case of the letters A to Z. */
  readonly text?: string
  readonly first?: number
}

export interface FacetValue {
  readonly value: string
  readonly events: bigint
}

export interface Facets extends Provenance {
  /** Most events first, ties by value. */
  readonly values: readonly FacetValue[]
  /** There are more values than `first`. */
  readonly truncated: boolean
  /** False when there were keys beyond the cap: their values are not listed, and no count is exact. */
  readonly exact: boolean
}

const FIRST_DEFAULT = 10

const compareValues = (a: FacetValue, b: FacetValue): number => (a.events === b.events ? (a.value < b.value ? -1 : 1) : a.events > b.events ? -1 : 1)

const valuesOf = (groups: ReadonlyMap<string, MergedPartials>): readonly FacetValue[] => [...groups].map(([value, { events }]) => ({ value, events })).sort(compareValues)

/** Lists the values of one dimension. More than `VALUES_MAX` of them are refused where no index knows which come first. */
export const facetsOf = <E>(model: ReadableModel<E>, input: FacetsInput): Effect.Effect<Facets, QueryError | E> =>
  Effect.gen(function* () {
    const { by, fromMs, toMs, text = "" } = input
    const first = yield* pageSize(input.first, FIRST_DEFAULT)
    const where = (input.where ?? []).filter(({ name }) => name !== by)
    const counted = { amountOf: ({ events }: FacetValue) => Number(events) }
    const { rows, truncated, complete } = yield* rankValues(model, { by, fromMs, toMs, where, text, wanted: [], first, rowsOf: valuesOf, counted })
    return { ...provenanceOf(model), values: rows, truncated, exact: complete }
  })

/** Lists the values of one dimension as it is. */
export const facets = (input: FacetsInput, tenantId: string): Effect.Effect<Facets, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.flatMap(openModel(input.projection, tenantId), (model) => facetsOf(model, input)))
