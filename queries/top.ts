/** The keys with the largest value of a measure over a range. */
import { SCALE_MAX, parseDecimal } from "@tidemark/domain/measures/decimal"
import type { MeasureFigure } from "@tidemark/domain/measures/measure"
import type { ReadModelStore, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { chooseKeys, dimensionIndex, isOther, scansOf } from "./dimensions.ts"
import type { DimensionFilter } from "./dimensions.ts"
import { LimitError, ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { pageSize } from "./limits.ts"
import { MergedPartials, wantedParts } from "./mergePartials.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { Provenance, ReadableModel } from "./openModel.ts"
import { alignedRange, coveringSegments, resolutionOf } from "./resolution.ts"

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
/** Distinct values of the ranked dimension that one answer holds while it ranks. */
export const VALUES_MAX = 100_000

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

/**
 * Ranks one dimension. Reads days, hours and minutes so that few rows are read; the sums are the same. Any range will
 * do, all of time included: only stored rows cost. More than `VALUES_MAX` distinct values are refused.
 */
export const topOf = <E>(model: ReadableModel<E>, input: TopInput): Effect.Effect<Top, QueryError | E> =>
  Effect.gen(function* () {
    const { projection, generation, dimensions, tenantId } = model
    const wanted = yield* wantedParts(model.definition, [input.measure])
    const index = yield* dimensionIndex(projection, dimensions, input.by)
    const keys = yield* chooseKeys(model, input.where ?? [])
    const first = yield* pageSize(input.first, FIRST_DEFAULT)
    const shortest = resolutionOf("minute", model.definition)
    const range = yield* alignedRange(input.fromMs, input.toMs, shortest.sizeMs)
    const segments = coveringSegments(range.fromMs, range.toMs, shortest)
    const groups = new Map<string, MergedPartials>()
    let complete = true
    const add = (row: StoredRow): void => {
      if (isOther(row.key)) complete = false
      else if (keys.keep(row.key)) {
        const value = row.key[index] ?? ""
        let merged = groups.get(value)
        if (merged === undefined) {
          if (groups.size === VALUES_MAX) return void (overLimit = true)
          groups.set(value, (merged = new MergedPartials(wanted)))
        }
        merged.add(row)
      }
    }
    let overLimit = false
    let unreadable: unknown
    const guarded = (rows: readonly StoredRow[]): void => {
      try {
        if (unreadable === undefined) rows.forEach(add)
      } catch (cause) {
        unreadable = cause
      }
    }
    for (const { resolution, ...segment } of segments) {
      const fromMs = Math.max(segment.fromMs, model.retainedFromMs)
      const scan = { projection, generation, tenantId, resolution: resolution.code, fromMs, toMs: segment.toMs }
      for (const one of scansOf(scan, keys)) yield* model.rows.scan(one, guarded)
    }
    if (overLimit) return yield* Effect.fail(new LimitError({ limit: `distinct values of ${input.by}`, max: VALUES_MAX, wanted: VALUES_MAX + 1 }))
    if (unreadable !== undefined) return yield* Effect.fail(new ModelUnreadableError({ projection, generation, cause: unreadable }))
    const rows: TopRow[] = []
    for (const [value, merged] of groups) for (const measure of merged.figures(complete)) rows.push({ value, measure, events: merged.events })
    return { ...provenanceOf(model), rows: rows.sort(compareRows).slice(0, first), truncated: rows.length > first }
  })

/** Ranks one dimension as it is. */
export const top = (input: TopInput, tenantId: string): Effect.Effect<Top, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.flatMap(openModel(input.projection, tenantId), (model) => topOf(model, input)))
