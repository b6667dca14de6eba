/** Which windows changed between two moments of one model, with what they were and what they became. */
import type { MeasureFigure } from "@tidemark/domain/measures/measure"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { ResolutionName } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { chooseKeys, isOther, labelled, scansOf } from "./dimensions.ts"
import type { Dimension, DimensionFilter, KeyChoice } from "./dimensions.ts"
import { LimitError, ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { BUCKETS_MAX, PAGE_DEFAULT, pageSize } from "./limits.ts"
import { MergedPartials, wantedParts } from "./mergePartials.ts"
import type { WantedPart } from "./mergePartials.ts"
import type { ReadableModel } from "./openModel.ts"
import { alignedRange, resolutionOf } from "./resolution.ts"
import type { Resolution } from "./resolution.ts"
import { correctionsOf, windowState } from "./windowState.ts"
import type { PositionPart, WindowState } from "./windowState.ts"

export interface WindowChangesInput {
  readonly projection: string
  /** Parts of measures. */
  readonly measures: readonly string[]
  /** Windows that [fromMs, toMs) touches. */
  readonly fromMs: number
  readonly toMs: number
  readonly resolution: ResolutionName
  readonly where?: readonly DimensionFilter[]
  /** Changed windows listed, the oldest first; all are counted. */
  readonly first?: number
}

/** A moment of the model. */
export interface Moment {
  /** Unix ms; null while a partition has none. */
  readonly watermarkMs: number | null
  readonly position: readonly PositionPart[]
}

/** A window and key at one of the two moments. */
export interface WindowFigures {
  readonly state: WindowState
  readonly events: bigint
  readonly corrections: bigint
  readonly measures: readonly MeasureFigure[]
}

/** Null: it was not there. */
export interface WindowChange {
  readonly key: readonly Dimension[]
  readonly startMs: number
  readonly endMs: number
  readonly before: WindowFigures | null
  readonly after: WindowFigures | null
}

export interface WindowChanges {
  readonly projection: string
  readonly generation: number
  readonly pointerVersion: number
  readonly before: Moment
  readonly after: Moment
  readonly compared: number
  readonly changed: number
  readonly changes: readonly WindowChange[]
}

/** Windows and keys that one answer compares. */
export const COMPARED_MAX = 100_000

interface Found {
  readonly startMs: number
  readonly key: readonly string[]
  readonly merged: MergedPartials
}

interface Plan {
  readonly wanted: readonly WantedPart[]
  readonly keys: KeyChoice
  readonly resolution: Resolution
  readonly fromMs: number
  readonly toMs: number
}

interface Read {
  readonly windows: Map<string, Found>
  /** Starts of windows with keys beyond the cap. */
  readonly incomplete: Set<number>
}

const readWindows = Effect.fn("readWindows")(function* <E>(model: ReadableModel<E>, { wanted, keys, resolution, fromMs, toMs }: Plan) {
  const { projection, generation, tenantId, retainedFromMs } = model
  const read: Read = { windows: new Map(), incomplete: new Set() }
  let failure: LimitError | ModelUnreadableError | undefined
  const add = (row: StoredRow): void => {
    if (isOther(row.key)) read.incomplete.add(row.windowStartMs)
    if (!keys.keep(row.key)) return
    const name = `${row.windowStartMs}:${row.keyId}`
    let found = read.windows.get(name)
    if (found === undefined) {
      if (read.windows.size === COMPARED_MAX) throw new LimitError({ limit: "windows compared", max: COMPARED_MAX, wanted: COMPARED_MAX + 1 })
      read.windows.set(name, (found = { startMs: row.windowStartMs, key: row.key, merged: new MergedPartials(wanted) }))
    }
    found.merged.add(row)
  }
  const visit = (rows: readonly StoredRow[]): void => {
    try {
      if (failure === undefined) rows.forEach(add)
    } catch (cause) {
      failure = cause instanceof LimitError ? cause : new ModelUnreadableError({ projection, generation, cause })
    }
  }
  const scan = { projection, generation, tenantId, resolution: resolution.code, fromMs: Math.max(fromMs, retainedFromMs), toMs }
  for (const one of scansOf(scan, keys)) yield* model.rows.scan(one, visit)
  return failure === undefined ? read : yield* Effect.fail(failure)
})

/** The same events in the same standing have the same figures: one definition made both. */
const isSame = (a: MergedPartials, b: MergedPartials): boolean =>
  a.events === b.events && a.fingerprint === b.fingerprint && a.lateEvents === b.lateEvents && a.backfillEvents === b.backfillEvents

const figuresOf = (model: ReadableModel<unknown>, endMs: number, found: Found | undefined, { incomplete }: Read): WindowFigures | null => {
  if (found === undefined) return null
  const { merged, startMs } = found
  const state = windowState(endMs, model.watermarkMs, merged)
  return { state, events: merged.events, corrections: correctionsOf(state, merged), measures: merged.figures(!incomplete.has(startMs)) }
}

const inOrder = (a: Found, b: Found): number => a.startMs - b.startMs || (a.key.join("\u0000") < b.key.join("\u0000") ? -1 : 1)

/** Compares two moments of one generation, opened in one snapshot. */
export const windowChangesOf = <E>(before: ReadableModel<E>, after: ReadableModel<E>, input: WindowChangesInput): Effect.Effect<WindowChanges, QueryError | E> =>
  Effect.gen(function* () {
    const { projection, generation, pointerVersion, definition, dimensions } = after
    const resolution = resolutionOf(input.resolution, definition)
    const range = yield* alignedRange(input.fromMs, input.toMs, resolution.sizeMs)
    const windows = (range.toMs - range.fromMs) / resolution.sizeMs
    if (windows > BUCKETS_MAX) return yield* Effect.fail(new LimitError({ limit: "buckets", max: BUCKETS_MAX, wanted: windows }))
    const first = yield* pageSize(input.first, PAGE_DEFAULT)
    const plan: Plan = { wanted: yield* wantedParts(definition, input.measures), keys: yield* chooseKeys(after, input.where ?? []), resolution, ...range }
    const then = yield* readWindows(before, plan)
    const now = yield* readWindows(after, plan)
    const changed: (readonly [name: string, found: Found])[] = []
    for (const [name, found] of now.windows) {
      const old = then.windows.get(name)
      if (old === undefined || !isSame(old.merged, found.merged)) changed.push([name, found])
    }
    for (const [name, found] of then.windows) if (!now.windows.has(name)) changed.push([name, found])
    const changes = changed.sort(([, a], [, b]) => inOrder(a, b)).slice(0, first).map(([name, { startMs, key }]): WindowChange => {
      const endMs = startMs + resolution.sizeMs
      return { key: labelled(dimensions, key), startMs, endMs, before: figuresOf(before, endMs, then.windows.get(name), then), after: figuresOf(after, endMs, now.windows.get(name), now) }
    })
    const momentOf = ({ watermarkMs, position }: ReadableModel<E>): Moment => ({ watermarkMs, position })
    return {
      projection, generation, pointerVersion, before: momentOf(before), after: momentOf(after), compared: new Set([...then.windows.keys(), ...now.windows.keys()]).size, changed: changed.length, changes
    }
  })
