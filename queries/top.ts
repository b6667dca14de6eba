/** The keys with the largest value of a measure over a range. */
import { SCALE_MAX, parseDecimal } from "@tidemark/domain/measures/decimal"
import type { MeasureFigure } from "@tidemark/domain/measures/measure"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { DimensionFilter } from "./dimensions.ts"
import type { QueryError } from "./errors.ts"
import { pageSize } from "./limits.ts"
import { wantedParts } from "./mergePartials.ts"
import type { MergedPartials } from "./mergePartials.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { Provenance, ReadableModel } from "./openModel.ts"
import { rankValues } from "./ranking.ts"

export interface TopInput {
  readonly projection: string
  /** A part of a measure. */
  readonly measure: string
  /** The dimension whose values are ranked. */
  readonly by: string
  /** Minutes that [fromMs, toMs) touches. */
  readonly fromMs: number
  readonly toMs: number
  readonly where?: readonly DimensionFilter[]
  readonly first?: number
}

export interface TopRow {
  readonly value: string
  readonly measure: MeasureFigure
  readonly events: bigint
}

export interface Top extends Provenance {
  /** Largest first, ties by value. Keys beyond the cap are not ranked; then no figure is exact. */
  readonly rows: readonly TopRow[]
  /** There are more values than `first`. */
  readonly truncated: boolean
}

const FIRST_DEFAULT = 10
const exactOf = (figure: MeasureFigure): bigint => {
  const scaled = figure.text === null ? 0n : parseDecimal(figure.text, SCALE_MAX)
  return typeof scaled === "bigint" ? scaled : 0n
}

/** Descending by figure: doubles first, exact decimals where they tie; no value comes last; ties by text. */
export const compareRows = (a: TopRow, b: TopRow): number => {
  const [left, right] = [a.measure.value ?? -Infinity, b.measure.value ?? -Infinity]
  if (left !== right) return left > right ? -1 : 1
  const [exactLeft, exactRight] = [exactOf(a.measure), exactOf(b.measure)]
  if (exactLeft !== exactRight) return exactLeft > exactRight ? -1 : 1
  return a.value < b.value ? -1 : 1
}

/** Ranks one dimension. Any range will do, all of time included. More than `VALUES_MAX` distinct values are refused. */
export const topOf = <E>(model: ReadableModel<E>, input: TopInput): Effect.Effect<Top, QueryError | E> =>
  Effect.gen(function* () {
    const { by, fromMs, toMs, where = [] } = input
    const wanted = yield* wantedParts(model.definition, [input.measure])
    const first = yield* pageSize(input.first, FIRST_DEFAULT)
    const rowsOf = (groups: ReadonlyMap<string, MergedPartials>, complete: boolean): readonly TopRow[] =>
      [...groups].flatMap(([value, merged]) => merged.figures(complete).map((measure) => ({ value, measure, events: merged.events }))).sort(compareRows)
    const isCount = wanted[0]?.spec.kind === "count"
    const counted = isCount ? { counted: { figure: input.measure, amountOf: ({ measure }: TopRow) => measure.value ?? 0 } } : {}
    const { rows, truncated } = yield* rankValues(model, { by, fromMs, toMs, where, wanted, first, rowsOf, ...counted })
    return { ...provenanceOf(model), rows, truncated }
  })

/** Ranks one dimension as it is. */
export const top = (input: TopInput, tenantId: string): Effect.Effect<Top, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.flatMap(openModel(input.projection, tenantId), (model) => topOf(model, input)))
