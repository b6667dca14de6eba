/**
 * Rows of a generation as they were at an earlier position. The stored rows themselves are the nearest snapshot: each
 * carries, by partition, the first and last offset it was made of. One that ends below the position has not changed
 * since, one that begins beyond it did not exist, and only one with events on both sides is made again: a longer window
 * from the shorter ones it consists of, a base window from the log. Rules: docs/semantics.md §5, §8.
 */
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { OffsetRange, ResolutionCode, RowScan, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import { RowDigest } from "@tidemark/projections/runtime/rowDigest"
import { RowStates } from "@tidemark/projections/runtime/rowStates"
import type { RowState } from "@tidemark/projections/runtime/rowStates"
import { addDelta, sumsOf } from "@tidemark/projections/runtime/rowSums"
import * as Effect from "effect/Effect"
import { PartitionReading, foldPartition, windowKey } from "./pastFold.ts"
import type { PartitionWork, PastFoldInput } from "./pastFold.ts"
import { PastMismatchError } from "./pastReading.ts"

/** A question for rows of the past. */
export interface PastRowsInput extends PastFoldInput {
  /** Next offset by partition. */
  readonly position: ReadonlyMap<number, bigint>
}

type Place = "before" | "beyond" | "across"

/** Where a row's events lie, seen from the position. */
const placeOf = ({ offsets }: StoredRow, position: ReadonlyMap<number, bigint>): Place => {
  let [isBefore, isBeyond] = [true, true]
  for (const { partition, min, max } of offsets) {
    const next = position.get(partition) ?? 0n
    if (max >= next) isBefore = false
    if (min < next) isBeyond = false
  }
  return isBefore ? "before" : isBeyond ? "beyond" : "across"
}

const rowName = (startMs: number, keyId: string, lane: number): string => `${startMs}:${keyId}:${lane}`

/** A row to be made again, with what it consists of. */
interface Target {
  readonly row: StoredRow
  readonly parts: StoredRow[]
}

/** Keys looked up one by one; more are found in one pass over the window. */
const NAMED_KEYS_MAX = 4

const BASE: ResolutionCode = 0

const scansOf = (scan: RowScan, keyIds: ReadonlySet<string>): readonly RowScan[] =>
  keyIds.size > NAMED_KEYS_MAX ? [scan] : [...keyIds].map((keyId) => ({ ...scan, keyId }))

const isOther = ({ key }: StoredRow): boolean => key.length > 0 && key.every((text) => text === OTHER)

const hullOf = (rows: readonly StoredRow[]): readonly OffsetRange[] => {
  const hull = new Map<number, OffsetRange>()
  for (const { offsets } of rows) {
    for (const range of offsets) {
      const known = hull.get(range.partition)
      hull.set(range.partition, known === undefined ? range : { partition: range.partition, min: known.min < range.min ? known.min : range.min, max: known.max > range.max ? known.max : range.max })
    }
  }
  return [...hull.values()].sort((a, b) => a.partition - b.partition)
}

const sum = (rows: readonly StoredRow[], of: (row: StoredRow) => bigint): bigint => rows.reduce((total, row) => total + of(row), 0n)

/** The parts as one row. Its revision is that of no flush. */
const merged = ({ createAccumulators, measureNames, definition }: CompiledProjection, { row, parts }: Target): StoredRow => {
  const accumulators = createAccumulators()
  for (const { measures } of parts) {
    for (const [at, name] of measureNames.entries()) {
      const [spec, into, bytes] = [definition.measures[name], accumulators[at], measures[at]]
      if (spec !== undefined && into !== undefined && bytes !== undefined) mergeAccumulators(into, decodeAccumulator(spec, bytes))
    }
  }
  return {
    ...row, measures: accumulators.map((accumulator) => accumulator.encode()), offsets: hullOf(parts), revision: 0n, fingerprint: BigInt.asUintN(64, sum(parts, ({ fingerprint }) => fingerprint)),
    events: sum(parts, ({ events }) => events), lateEvents: sum(parts, ({ lateEvents }) => lateEvents), backfillEvents: sum(parts, ({ backfillEvents }) => backfillEvents)
  }
}

/** Keys of windows with an overflow row among `rows` that have a row of their own, by partition. */
const readNamed = Effect.fn("readNamed")(function* (input: PastRowsInput, rows: readonly StoredRow[]) {
  const { snapshot, projection, generation, tenantId } = input
  const named = new Map<number, Set<string>>()
  for (const fromMs of new Set(rows.filter(isOther).map(({ windowStartMs }) => windowStartMs))) {
    yield* snapshot.scan({ projection, generation, tenantId, resolution: BASE, fromMs, toMs: fromMs + 1 }, (found) => {
      for (const row of found) {
        if (isOther(row)) continue
        for (const { partition } of row.offsets) {
          const keys = named.get(partition)
          if (keys === undefined) named.set(partition, new Set([windowKey(fromMs, row.keyId)]))
          else keys.add(windowKey(fromMs, row.keyId))
        }
      }
    })
  }
  return named
})

/** The deltas of all partitions in the row they belong to. */
const stateOf = (states: RowStates, row: StoredRow, readings: readonly (readonly [PartitionWork, PartitionReading])[]): RowState | undefined => {
  const window = states.window(BASE, row.windowStartMs)
  for (const { partition } of row.offsets) {
    const [, reading] = readings.find(([work]) => work.partition === partition) ?? []
    const delta = reading?.deltaOf(row)
    if (delta === undefined) continue
    const state = window.get(row.keyId)
    if (state === undefined) states.adopt(window, row, sumsOf(delta, partition))
    else addDelta(state, delta, partition)
  }
  return window.get(row.keyId)
}

/** What was folded must be what the stored row was made of, as far as the position lets it be seen. */
const faultOf = (row: StoredRow, made: StoredRow | undefined, position: ReadonlyMap<number, bigint>): string | undefined => {
  for (const { partition, min, max } of row.offsets) {
    const next = position.get(partition) ?? 0n
    const range = made?.offsets.find((one) => one.partition === partition)
    if (min >= next ? range !== undefined : range?.min !== min || (max < next ? range.max !== max : range.max >= next)) {
      return `partition ${partition}: a row of offsets ${min} to ${max} was found to have ${range === undefined ? "none" : `${range.min} to ${range.max}`} below ${next}`
    }
  }
  return made !== undefined && made.events <= row.events ? undefined : `a row of ${row.events} events was found to have had ${made?.events ?? 0n}`
}

/** Base rows that have events on both sides of the position, as they were there. */
const foldRows = Effect.fn("foldRows")(function* (input: PastRowsInput, rows: readonly StoredRow[]) {
  if (rows.length === 0) return []
  const named = yield* readNamed(input, rows)
  const readings = [...input.position].map(([partition, until]) => {
    const work: PartitionWork = { partition, until, rows: rows.filter(({ offsets }) => offsets.some((range) => range.partition === partition)), named: named.get(partition) ?? new Set() }
    return [work, new PartitionReading(input, work)] as const
  })
  const late = new Map<StoredRow, bigint>()
  for (const [, reading] of readings) yield* reading.findLate(late)
  for (const [work, reading] of readings) {
    reading.plan(late)
    yield* foldPartition(input, work, reading)
  }
  const lanes = new Map<number, RowStates>()
  const digest = RowDigest.decode(new Uint8Array(4_096))
  const made: StoredRow[] = []
  for (const row of rows) {
    let states = lanes.get(row.lane)
    if (states === undefined) lanes.set(row.lane, (states = new RowStates(input.compiled)))
    const state = stateOf(states, row, readings)
    const past = state === undefined ? undefined : { ...states.encode(state, digest), lane: row.lane, revision: 0n }
    const fault = faultOf(row, past, input.position)
    if (fault !== undefined || past === undefined) return yield* new PastMismatchError({ detail: fault ?? "a row was not found" })
    made.push(past)
  }
  return made
})

const keysByWindow = (rows: readonly StoredRow[]): ReadonlyMap<number, ReadonlySet<string>> => {
  const windows = new Map<number, Set<string>>()
  for (const { windowStartMs, keyId } of rows) {
    const keys = windows.get(windowStartMs)
    if (keys === undefined) windows.set(windowStartMs, new Set([keyId]))
    else keys.add(keyId)
  }
  return windows
}

/** Splits longer windows into shorter ones, down to those that have not changed since or have to be folded. */
const takeApart = Effect.fn("takeApart")(function* (input: PastRowsInput, resolution: ResolutionCode, targets: ReadonlyMap<string, Target>) {
  const { snapshot, projection, generation, tenantId, position } = input
  const { sizeMs: topMs } = RESOLUTIONS[resolution]
  const across: StoredRow[] = []
  let parents = [...targets.values()].map(({ row }) => row)
  for (let code = resolution; code > BASE; code -= 1) {
    const below = (code - 1) as ResolutionCode
    const { sizeMs } = RESOLUTIONS[code]
    const split: StoredRow[] = below === BASE ? across : []
    const isPart = new Set(parents.map((row) => rowName(row.windowStartMs, row.keyId, row.lane)))
    const take = (row: StoredRow): void => {
      if (!isPart.has(rowName(windowStart(row.windowStartMs, sizeMs), row.keyId, row.lane))) return
      const place = placeOf(row, position)
      if (place === "before") targets.get(rowName(windowStart(row.windowStartMs, topMs), row.keyId, row.lane))?.parts.push(row)
      else if (place === "across") split.push(row)
    }
    for (const [fromMs, keyIds] of keysByWindow(parents)) {
      const window = { projection, generation, tenantId, resolution: below, fromMs, toMs: fromMs + sizeMs }
      for (const scan of scansOf(window, keyIds)) yield* snapshot.scan(scan, (rows) => rows.forEach(take))
    }
    parents = split
  }
  for (const part of yield* foldRows(input, across)) targets.get(rowName(windowStart(part.windowStartMs, topMs), part.keyId, part.lane))?.parts.push(part)
})

/** Visits the rows of the scan as they were at the position, in no order and with revision 0, which is that of no flush. */
export const scanPast = Effect.fn("scanPast")(function* (input: PastRowsInput, scan: RowScan, visit: (rows: readonly StoredRow[]) => void) {
  const across: StoredRow[] = []
  yield* input.snapshot.scan(scan, (rows) => {
    const before: StoredRow[] = []
    for (const row of rows) {
      const place = placeOf(row, input.position)
      if (place === "before") before.push({ ...row, revision: 0n })
      else if (place === "across") across.push(row)
    }
    visit(before)
  })
  if (across.length === 0) return
  if (scan.resolution === BASE) return visit(yield* foldRows(input, across))
  const targets = new Map(across.map((row) => [rowName(row.windowStartMs, row.keyId, row.lane), { row, parts: [] as StoredRow[] }] as const))
  yield* takeApart(input, scan.resolution, targets)
  const made = yield* Effect.try({
    try: () => [...targets.values()].map((target) => merged(input.compiled, target)),
    catch: (cause) => new StoreUnavailableError({ store: "rows", cause })
  })
  visit(made)
})
