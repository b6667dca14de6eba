/**
 * What is derived from one partition and belongs to the log, not to a generation: the dedupe index, M and R.
 *
 * Persisted as packed segments by offset range. Losing them costs time, never numbers: whoever loads a prefix
 * replays the log from where the stored segments end. Rules: docs/semantics.md §3.2, §4.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

/** Dedupe entries and clocks of one offset range. Array i of each group describes entry i. */
export interface PartitionSegment {
  readonly partition: number
  /** Offset range [from, to). Segments of a partition are contiguous. */
  readonly from: bigint
  readonly to: bigint
  /** R at `to`: the largest receive time of the prefix, Unix ms; -Infinity if none. */
  readonly receivedMaxMs: number
  /** Largest heartbeat time of the prefix, Unix ms; -Infinity if none. */
  readonly heartbeatMaxMs: number
  /** M of every tenant at `to`, without heartbeats, Unix ms. */
  readonly tenantMaxMs: ReadonlyMap<string, number>
  readonly live: { readonly hi: Uint32Array; readonly lo: Uint32Array; readonly receivedMs: Float64Array; readonly offset: Float64Array }
  readonly imports: { readonly hi: Uint32Array; readonly lo: Uint32Array; readonly offset: Float64Array }
}

/**
 * Was this import entry first seen at an offset below `before`? Synchronous: called per imported event.
 *
 * Not bound to the prefix it was loaded with: it also knows what is saved later through the same index, by whichever
 * reader. `before` keeps the answer exact for a reader that is behind.
 */
export interface ImportLookup {
  readonly has: (hi: number, lo: number, before: number) => boolean
}

/** What is needed to continue a partition at `nextOffset`. */
export interface StoredPrefix {
  /** Where the stored segments end, ≤ the offset asked for; 0 when nothing is stored. */
  readonly nextOffset: bigint
  /**
   * Segments whose live entries may still be inside the horizon, contiguous, oldest first. The last one carries the
   * clocks and is there whenever `nextOffset` > 0. Their `imports` are empty: `imports` below answers for them.
   */
  readonly segments: readonly PartitionSegment[]
  /** Import entries of every saved segment of the partition. */
  readonly imports: ImportLookup
}

/** What a prefix says of time: M and R where it ends. Takes no duplicates into account, so it is small and is kept for ever. */
export interface PrefixClocks {
  readonly partition: number
  /** End of the prefix. */
  readonly nextOffset: bigint
  /** R of the prefix, Unix ms; null if none. */
  readonly receivedMaxMs: number | null
  /** Largest heartbeat time of the prefix, Unix ms; null if none. */
  readonly heartbeatMaxMs: number | null
  /** M of every tenant, without heartbeats, Unix ms. */
  readonly tenantMaxMs: ReadonlyMap<string, number>
}

/** Of the clocks of two segments this near to each other only the later ones need to be kept: records, and ms of R. */
export const CLOCKS_APART = { records: 65_536n, receivedMs: 60_000 } as const

interface ClocksAt {
  readonly nextOffset: bigint
  /** Unix ms; null or −Infinity if none. */
  readonly receivedMaxMs: number | null
}

/** Whether what lies between these two clocks of a partition need not be kept. */
export const areNear = (earlier: ClocksAt, later: ClocksAt): boolean =>
  later.nextOffset - earlier.nextOffset <= CLOCKS_APART.records && (later.receivedMaxMs ?? -Infinity) - (earlier.receivedMaxMs ?? -Infinity) <= CLOCKS_APART.receivedMs

export class PartitionIndexError extends Schema.TaggedError<PartitionIndexError>()("PartitionIndexError", {
  cause: Schema.Defect()
}) {}

export interface PartitionIndexShape {
  /** The longest stored prefix that ends at or below `atMost` and whose live entries are all still stored. */
  readonly load: (partition: number, atMost: bigint) => Effect.Effect<StoredPrefix, PartitionIndexError>
  /**
   * Stores a segment, durably when it succeeds. One that is already stored (same or covered range) is ignored, one
   * that is stored in part is stored from there on, one that starts beyond the stored end fails. The first one of a
   * partition may start anywhere: the log may have lost its head.
   */
  readonly save: (segment: PartitionSegment) => Effect.Effect<void, PartitionIndexError>
  /**
   * Clocks of a saved prefix that ends at or below `atMost` and whose R is at most `receivedMaxMs`; undefined when none
   * is stored. Of all that were ever saved it is the longest one, or one that `CLOCKS_APART` calls near to it.
   */
  readonly clocks: (partition: number, atMost: bigint, receivedMaxMs: number) => Effect.Effect<PrefixClocks | undefined, PartitionIndexError>
}

export class PartitionIndex extends Context.Service<PartitionIndex, PartitionIndexShape>()("tidemark/PartitionIndex") {}
