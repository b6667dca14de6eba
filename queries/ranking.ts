/**
 * Values of a dimension with what they amount to over a range: the ground of `top` and `facets`.
 *
 * The store's rows are what counts. Where there are many of them and an index of window documents says which values come
 * first, only those are read, and the answer is given only if it proves to be the one that all rows would give.
 */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { holdsText } from "@tidemark/domain/ports/WindowIndex"
import type { Candidates } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import { chooseKeys, dimensionIndex, isOther, scansOf } from "./dimensions.ts"
import type { DimensionFilter, KeyChoice } from "./dimensions.ts"
import { LimitError, ModelUnreadableError } from "./errors.ts"
import { MergedPartials } from "./mergePartials.ts"
import type { WantedPart } from "./mergePartials.ts"
import type { ReadableModel } from "./openModel.ts"
import { alignedRange, coveringSegments, resolutionOf } from "./resolution.ts"
import type { Segment } from "./resolution.ts"

/** Distinct values of the ranked dimension that one answer holds while it ranks. */
export const VALUES_MAX = 100_000
/** Candidates beyond those asked for: values that were overtaken since must not leave the list too short. */
const SPARE = 30

export interface RankQuestion<T extends { readonly value: string }> {
  /** The dimension whose values are ranked. */
  readonly by: string
  /** Minutes that [fromMs, toMs) touches. */
  readonly fromMs: number
  readonly toMs: number
  readonly where: readonly DimensionFilter[]
  /** Only values that hold it, whatever the case of the letters A to Z. */
  readonly text?: string
  readonly wanted: readonly WantedPart[]
  readonly first: number
  /** The rows of these groups, in order; of equal amounts the lesser text comes first. `complete`: no key was beyond the cap. */
  readonly rowsOf: (groups: ReadonlyMap<string, MergedPartials>, complete: boolean) => readonly T[]
  /** A count to rank by, which an index may know: a figure of it, or the events. Absent: only all rows tell. */
  readonly counted?: { readonly figure?: string; readonly amountOf: (row: T) => number }
}

export interface Ranked<T> {
  readonly rows: readonly T[]
  /** There are more values than `first`. */
  readonly truncated: boolean
  /** No key was beyond the cap. */
  readonly complete: boolean
}

interface Plan {
  readonly by: string
  readonly index: number
  readonly text: string
  readonly keys: KeyChoice
  readonly segments: readonly Segment[]
  readonly wanted: readonly WantedPart[]
}

/** Groups of one pass over rows. */
class Groups {
  readonly byValue = new Map<string, MergedPartials>()
  complete = true
  rows = 0
  overLimit = false
  unreadable: unknown
  private readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }

  readonly visit = (rows: readonly StoredRow[]): void => {
    this.rows += rows.length
    try {
      if (this.unreadable === undefined) for (const row of rows) this.add(row)
    } catch (cause) {
      this.unreadable = cause
    }
  }

  private add(row: StoredRow): void {
    const { keys, index, text, wanted } = this.plan
    if (isOther(row.key)) {
      this.complete = false
      return
    }
    const value = row.key[index] ?? ""
    if (!keys.keep(row.key)) return
    let merged = this.byValue.get(value)
    if (merged === undefined) {
      if (!holdsText(value, text)) return
      if (this.byValue.size === VALUES_MAX) {
        this.overLimit = true
        return
      }
      this.byValue.set(value, (merged = new MergedPartials(wanted)))
    }
    merged.add(row)
  }
}

/** Reads days, hours and minutes so that few rows are read; the sums are the same. Undefined when there are more rows than `rowsMax`. */
const gather = Effect.fn("gatherValues")(function* <E>(model: ReadableModel<E>, plan: Plan, rowsMax = Infinity) {
  const { projection, generation, tenantId } = model
  const groups = new Groups(plan)
  for (const { resolution, fromMs, toMs } of plan.segments) {
    for (const scan of scansOf({ projection, generation, tenantId, resolution: resolution.code, fromMs, toMs }, plan.keys)) {
      const left = rowsMax - groups.rows
      // One more than wanted tells whether there are more.
      yield* model.rows.scan(left === Infinity ? scan : { ...scan, rowsMax: left + 1 }, groups.visit)
      if (groups.rows > rowsMax) return undefined
    }
  }
  if (groups.overLimit) return yield* Effect.fail(new LimitError({ limit: `distinct values of ${plan.by}`, max: VALUES_MAX, wanted: VALUES_MAX + 1 }))
  if (groups.unreadable !== undefined) return yield* Effect.fail(new ModelUnreadableError({ projection, generation, cause: groups.unreadable }))
  return groups
})

const SURROGATE_FIRST = 0xd800

/** Texts without such letters compare by letters as by code points, whatever the other text is. */
const isPlain = (text: string): boolean => {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= SURROGATE_FIRST) return false
  return true
}

/** Whether every value that was not read comes behind the last row that is shown. */
const isProved = <T extends { readonly value: string }>(rows: readonly T[], { first, counted }: RankQuestion<T>, last: Candidates["last"]): boolean => {
  if (last === undefined) return true
  const shown = rows[first - 1]
  if (shown === undefined || counted === undefined || rows.length <= first) return false
  const amount = counted.amountOf(shown)
  return amount > last.amount || (amount === last.amount && isPlain(shown.value) && shown.value <= last.value)
}

const narrowed = (plan: Plan, values: readonly string[]): Plan => ({ ...plan, keys: { ...plan.keys, where: [...plan.keys.where, { dimension: plan.index, in: [...values, OTHER] }] } })

/** By the values that an index names; undefined when it cannot tell, or its answer is not proved. */
const rankByIndex = Effect.fn("rankByIndex")(function* <E, T extends { readonly value: string }>(model: ReadableModel<E>, plan: Plan, question: RankQuestion<T>) {
  const { counted, first } = question
  if (model.candidates === undefined || counted === undefined) return undefined
  const figure = counted.figure === undefined ? {} : { figure: counted.figure }
  const found = yield* model.candidates.find({ by: plan.by, limit: first + SPARE, text: plan.text, ...figure, segments: plan.segments, where: plan.keys.where })
  if (found === undefined) return undefined
  const groups = yield* gather(model, narrowed(plan, found.values))
  if (groups === undefined) return undefined
  const rows = question.rowsOf(groups.byValue, groups.complete)
  return isProved(rows, question, found.last) ? { rows, complete: groups.complete } : undefined
})

/**
 * Ranks the values of one dimension. Any range will do, all of time included: only stored rows cost. More than `VALUES_MAX`
 * distinct values are refused where all rows have to be read.
 */
export const rankValues = Effect.fn("rankValues")(function* <E, T extends { readonly value: string }>(model: ReadableModel<E>, question: RankQuestion<T>) {
  const { by, text = "", wanted, first, rowsOf, counted } = question
  const index = yield* dimensionIndex(model.projection, model.dimensions, by)
  const keys = yield* chooseKeys(model, question.where)
  const shortest = resolutionOf("minute", model.definition)
  const range = yield* alignedRange(question.fromMs, question.toMs, shortest.sizeMs)
  const segments = coveringSegments(range.fromMs, range.toMs, shortest)
    .map((segment) => ({ ...segment, fromMs: Math.max(segment.fromMs, model.retainedFromMs) }))
    .filter(({ fromMs, toMs }) => fromMs < toMs)
  const plan: Plan = { by, index, text, keys, segments, wanted }
  const rowsFirst = counted === undefined || keys.keyIds !== undefined ? undefined : model.candidates?.rowsFirst
  const few = yield* gather(model, plan, rowsFirst)
  const whole = few === undefined ? undefined : { rows: rowsOf(few.byValue, few.complete), complete: few.complete }
  const chosen = whole ?? (yield* rankByIndex(model, plan, question))
  if (chosen !== undefined) return { rows: chosen.rows.slice(0, first), truncated: chosen.rows.length > first, complete: chosen.complete } satisfies Ranked<T>
  const all = yield* gather(model, plan)
  const rows = all === undefined ? [] : rowsOf(all.byValue, all.complete)
  return { rows: rows.slice(0, first), truncated: rows.length > first, complete: all?.complete ?? true } satisfies Ranked<T>
})
