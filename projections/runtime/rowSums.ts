/** What events add to one row of a lane: counts, fingerprint, offsets and accumulators, of all partitions together. */
import { mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { Accumulator } from "@tidemark/domain/measures/measure"
import type { Delta } from "./deltas.ts"

const TWO_32 = 2 ** 32

/** Offset range of one partition. */
export interface OffsetSpan {
  readonly partition: number
  min: number
  max: number
}

/** Counts and offsets are safe integers; `hi` and `lo` are the words of the fingerprint. */
export interface RowSums {
  readonly key: readonly string[]
  readonly accumulators: readonly Accumulator[]
  events: number
  lateEvents: number
  backfillEvents: number
  hi: number
  lo: number
  /** In order of partition. */
  readonly offsets: OffsetSpan[]
}

/** Extends the range of a partition, which gets one when it has none. */
const extend = (offsets: OffsetSpan[], partition: number, min: number, max: number): void => {
  let at = offsets.length
  while (at > 0 && offsets[at - 1]!.partition >= partition) at -= 1
  const span = offsets[at]
  if (span?.partition === partition) {
    if (min < span.min) span.min = min
    if (max > span.max) span.max = max
  } else if (at === offsets.length) offsets.push({ partition, min, max })
  else offsets.splice(at, 0, { partition, min, max })
}

const addWords = (into: RowSums, hi: number, lo: number): void => {
  const low = into.lo + lo
  into.lo = low % TWO_32
  into.hi = (into.hi + hi + (low >= TWO_32 ? 1 : 0)) % TWO_32
}

const addAccumulators = (into: readonly Accumulator[], from: readonly Accumulator[]): void => {
  for (let at = 0; at < into.length; at++) {
    const [ours, theirs] = [into[at], from[at]]
    if (ours !== undefined && theirs !== undefined) mergeAccumulators(ours, theirs)
  }
}

const addCounts = (into: RowSums, from: Pick<RowSums, "events" | "lateEvents" | "backfillEvents">): void => {
  into.events += from.events
  into.lateEvents += from.lateEvents
  into.backfillEvents += from.backfillEvents
}

/** The high word of a delta's hash, which overflows into it. */
const highOf = ({ hashHiSum, hashLoSum }: Delta): number => ((hashHiSum % TWO_32) + Math.floor(hashLoSum / TWO_32)) % TWO_32

/** The sums of one partition's delta, whose accumulators they take over: nobody else may change them any more. */
export const sumsOf = (delta: Delta, partition: number): RowSums => ({
  key: delta.key, accumulators: delta.accumulators, events: delta.events, lateEvents: delta.lateEvents, backfillEvents: delta.backfillEvents,
  hi: highOf(delta), lo: delta.hashLoSum % TWO_32, offsets: [{ partition, min: delta.minOffset, max: delta.maxOffset }]
})

/** Adds one partition's delta, which stays as it was. */
export const addDelta = (into: RowSums, delta: Delta, partition: number): void => {
  addCounts(into, delta)
  addWords(into, highOf(delta), delta.hashLoSum % TWO_32)
  extend(into.offsets, partition, delta.minOffset, delta.maxOffset)
  addAccumulators(into.accumulators, delta.accumulators)
}

/** Adds `from`, which stays as it was. */
export const addSums = (into: RowSums, from: RowSums): void => {
  addCounts(into, from)
  addWords(into, from.hi, from.lo)
  for (const { partition, min, max } of from.offsets) extend(into.offsets, partition, min, max)
  addAccumulators(into.accumulators, from.accumulators)
}

/** The same sums in objects of their own. */
export const cloneSums = (sums: RowSums): RowSums => ({
  ...sums, accumulators: sums.accumulators.map((accumulator) => accumulator.clone()), offsets: sums.offsets.map((span) => ({ ...span }))
})
