/**
 * Read models: rows, checkpoints, ledgers and counters of every generation, committed together.
 *
 * The owner of a lane takes it over (raising its epoch), then commits with a compare-and-set on (epoch, next
 * offsets). A read opens one snapshot and answers from it alone. Rules: docs/semantics.md §5, §7, §8.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { GenerationSize } from "./generationSize.ts"
import type { ResolutionCode, RowScan, WindowPage } from "./rowScan.ts"
import type { StaleView } from "./staleView.ts"

export type { KeyTexts, ResolutionCode, RowScan, WindowPage } from "./rowScan.ts"

export interface LaneId {
  readonly projection: string
  readonly generation: number
  readonly lane: number
}

/** Exact counters of one (generation, partition), semantics §4. late = applied + held; applied is part of folded. */
export interface PartitionCounters {
  readonly records: bigint
  readonly system: bigint
  readonly events: bigint
  readonly folded: bigint
  readonly held: bigint
  readonly duplicate: bigint
  readonly deadLettered: bigint
  readonly filtered: bigint
  readonly late: bigint
  readonly applied: bigint
}

export interface PartitionCheckpoint {
  readonly partition: number
  readonly nextOffset: bigint
  /** Hash of the record at nextOffset − 1 (32 hex characters); "" at offset 0. */
  readonly lastRecordHash: string
  readonly counters: PartitionCounters
  /** Largest receive time of the prefix, Unix ms; null if none. */
  readonly receivedMaxMs: number | null
  /** Largest heartbeat time of the prefix, Unix ms; null if none. */
  readonly heartbeatMaxMs: number | null
  /** M of every tenant (without heartbeats), Unix ms. M(p, t) = max(this, heartbeatMaxMs). */
  readonly tenantMaxMs: ReadonlyMap<string, number>
}

export interface LaneCheckpoint {
  readonly lane: LaneId
  readonly epoch: bigint
  readonly partitions: readonly PartitionCheckpoint[]
  /** Sum mod 2^128 of row hashes in 256 key buckets, 16 bytes each, big endian: 4,096 bytes. */
  readonly digest: Uint8Array
}

export interface RowKey {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly windowStartMs: number
  /** Hash of (tenant, dimension texts), 32 hex characters: `keyIdOf`. */
  readonly keyId: string
}

export interface OffsetRange {
  readonly partition: number
  readonly min: bigint
  /** Inclusive. */
  readonly max: bigint
}

/** One partial: the state of a window and key in one lane. Absolute values. */
export interface Row extends RowKey {
  /** Dimension texts in the definition's order. */
  readonly key: readonly string[]
  /** Canonical bytes of each measure in the definition's order. */
  readonly measures: readonly Uint8Array[]
  readonly events: bigint
  readonly lateEvents: bigint
  readonly backfillEvents: bigint
  /** Sum mod 2^64 of the events' id hashes. */
  readonly fingerprint: bigint
  /** Sorted by partition. */
  readonly offsets: readonly OffsetRange[]
  readonly revision: bigint
}

/** A partial as read, with the lane that owns it. */
export interface StoredRow extends Row {
  readonly lane: number
}

export interface LateEntry {
  readonly partition: number
  readonly offset: bigint
  readonly tenantId: string
  readonly eventId: string
  readonly eventType: string
  readonly eventTimeMs: number
  /** Base window that was closed. */
  readonly windowStartMs: number
  readonly key: readonly string[]
  /** How far M had passed the window's close: M − (end + outOfOrderness), ms ≥ 0. */
  readonly lateByMs: number
  readonly outcome: "applied" | "held"
  /** What it added or would have added: measure part name → decimal text. */
  readonly contribution: Readonly<Record<string, string>>
}

export interface DuplicateEntry {
  readonly partition: number
  readonly offset: bigint
  readonly tenantId: string
}

export interface DeadLetter {
  readonly partition: number
  readonly offset: bigint
  /** Empty when the envelope could not be decoded. */
  readonly tenantId: string
  readonly code: string
  /** JSON pointer of the offending field, "" for the whole record. */
  readonly pointer: string
}

/** Distinct keys admitted per (tenant, minute window, partition), semantics §4 key cap. Absolute values. */
export interface KeyCount {
  readonly tenantId: string
  readonly windowStartMs: number
  readonly partition: number
  readonly keys: number
}

/** A key that changed; carries no value. */
export interface Hint {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly windowStartMs: number
  readonly keyId: string
  readonly revision: bigint
}

/** The hints of one lane's flush. */
export interface OutboxEntry {
  readonly sequence: bigint
  readonly lane: LaneId
  readonly hints: readonly Hint[]
}

/** Everything one flush of one lane changes. */
export interface LaneCommit {
  readonly lane: LaneId
  readonly epoch: bigint
  /** The checkpoint this flush starts from: compared and set. */
  readonly expected: readonly { readonly partition: number; readonly nextOffset: bigint }[]
  readonly next: readonly PartitionCheckpoint[]
  readonly digest: Uint8Array
  /** Rows and key counts of this lane whose window starts before this go, Unix ms; null: none do. Semantics §5, retention. */
  readonly dropBelowMs: number | null
  /** None of them starts before `dropBelowMs`. */
  readonly rows: readonly Row[]
  /** An entry at a (partition, offset) already entered replaces it: held becomes applied. */
  readonly late: readonly LateEntry[]
  readonly duplicates: readonly DuplicateEntry[]
  readonly deadLetters: readonly DeadLetter[]
  readonly keyCounts: readonly KeyCount[]
  readonly hints: readonly Hint[]
}

export interface GenerationRecord {
  readonly projection: string
  readonly generation: number
  /** Canonical JSON of the pinned definition. */
  readonly definition: string
  readonly definitionHash: string
  readonly createdAtMs: number
  readonly logId: string
  /** First offset folded, by partition. */
  readonly coverage: readonly { readonly partition: number; readonly nextOffset: bigint }[]
  /** Its rows, ledgers and checkpoints are gone; the record stays, so that its number is never used again. */
  readonly isDropped?: true
}

export interface GenerationId {
  readonly projection: string
  readonly generation: number
}

export interface Pointer {
  readonly projection: string
  readonly generation: number
  /** Rises with every cut-over and rollback. */
  readonly pointerVersion: number
  /**
   * Where the generation that was served before stood when the pointer moved, sorted by partition: effects of records
   * before these offsets were its, those of all others are this one's. Never goes back from move to move. Absent before
   * the first move: all effects are this one's.
   */
  readonly handOver?: readonly { readonly partition: number; readonly nextOffset: bigint }[]
}

/** A halted (projection, generation): shown to operators, never skipped. Of generation 0: a paused projection (`projectionPause.ts`). */
export interface Halt {
  readonly projection: string
  readonly generation: number
  readonly lane: number
  readonly code: string
  readonly detail: string
  readonly atMs: number
}

/** A newer worker owns this lane. Never retry: stop. */
export class FencedError extends Schema.TaggedError<FencedError>()("FencedError", {
  projection: Schema.String,
  generation: Schema.Int,
  lane: Schema.Int,
  epoch: Schema.BigInt
}) {}

/** The engine did not answer or refused; nothing was changed. Safe to retry from the checkpoint. */
export class StoreUnavailableError extends Schema.TaggedError<StoreUnavailableError>()("StoreUnavailableError", {
  store: Schema.String,
  cause: Schema.Defect()
}) {}

/** The commit may or may not have happened. Drop all memory, take over again; never send it again. */
export class CommitUnknownError extends Schema.TaggedError<CommitUnknownError>()("CommitUnknownError", {
  store: Schema.String,
  cause: Schema.Defect()
}) {}

/** The generation does not exist. */
export class GenerationMissingError extends Schema.TaggedError<GenerationMissingError>()("GenerationMissingError", {
  projection: Schema.String,
  generation: Schema.Int
}) {}

/** The pointer moved meanwhile, or the target generation does not exist. `pointerVersion` is the stored one. */
export class PointerConflictError extends Schema.TaggedError<PointerConflictError>()("PointerConflictError", {
  projection: Schema.String,
  pointerVersion: Schema.Int
}) {}

/** The generation has not folded what the active one has: let it catch up, then flip again. Nothing was changed. */
export class TargetBehindError extends Schema.TaggedError<TargetBehindError>()("TargetBehindError", {
  projection: Schema.String,
  generation: Schema.Int,
  partition: Schema.Int,
  /** Its next offset in this partition, and that of the active generation. */
  nextOffset: Schema.BigInt,
  activeOffset: Schema.BigInt
}) {}

/** The generation is active or followed. Stop that first. */
export class GenerationInUseError extends Schema.TaggedError<GenerationInUseError>()("GenerationInUseError", {
  projection: Schema.String,
  generation: Schema.Int
}) {}

export interface LedgerPage {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  /** Entries after this position, in (partition, offset) order. */
  readonly after?: { readonly partition: number; readonly offset: bigint }
  readonly limit: number
}

export interface LedgerRange {
  readonly projection: string
  readonly generation: number
  readonly partition: number
  /** Inclusive bounds. */
  readonly min: bigint
  readonly max: bigint
}

/** Key counts of one tenant in one lane, of every window. */
export interface KeyCountScan extends LaneId {
  readonly tenantId: string
}

/** One consistent view. Closing the scope releases it. */
export interface ReadSnapshot {
  readonly pointer: (projection: string) => Effect.Effect<Pointer | undefined, StoreUnavailableError>
  readonly pointers: Effect.Effect<readonly Pointer[], StoreUnavailableError>
  readonly generation: (projection: string, generation: number) => Effect.Effect<GenerationRecord | undefined, StoreUnavailableError>
  readonly generations: (projection: string) => Effect.Effect<readonly GenerationRecord[], StoreUnavailableError>
  /** Generations besides the active ones that the owners of lanes fold; sorted by projection and number. */
  readonly following: Effect.Effect<readonly GenerationId[], StoreUnavailableError>
  /** One per lane, sorted by lane. */
  readonly checkpoints: (projection: string, generation: number) => Effect.Effect<readonly LaneCheckpoint[], StoreUnavailableError>
  /** Visits partials in chunks, ordered by (window start, key id, lane). */
  readonly scan: (query: RowScan, visit: (rows: readonly StoredRow[]) => void) => Effect.Effect<void, StoreUnavailableError>
  /** The partials of every lane for each key asked for, in that order; those of a key sorted by lane. */
  readonly partials: (projection: string, generation: number, keys: readonly RowKey[]) => Effect.Effect<readonly (readonly StoredRow[])[], StoreUnavailableError>
  /** Windows that have a partial in any lane, each once. */
  readonly windows: (page: WindowPage) => Effect.Effect<readonly RowKey[], StoreUnavailableError>
  readonly late: (page: LedgerPage) => Effect.Effect<readonly LateEntry[], StoreUnavailableError>
  readonly deadLetters: (page: LedgerPage) => Effect.Effect<readonly DeadLetter[], StoreUnavailableError>
  /** Ledger entries of all tenants in an offset range, for lineage and verification. */
  readonly lateIn: (range: LedgerRange) => Effect.Effect<readonly LateEntry[], StoreUnavailableError>
  readonly duplicatesIn: (range: LedgerRange) => Effect.Effect<readonly DuplicateEntry[], StoreUnavailableError>
  readonly deadLettersIn: (range: LedgerRange) => Effect.Effect<readonly DeadLetter[], StoreUnavailableError>
  /** Visits key counts in chunks, ordered by (window start, partition), for verification. */
  readonly keyCounts: (scan: KeyCountScan, visit: (counts: readonly KeyCount[]) => void) => Effect.Effect<void, StoreUnavailableError>
  readonly halts: Effect.Effect<readonly Halt[], StoreUnavailableError>
  /**
   * What the consumer has not acknowledged of the commits in this snapshot, oldest first. Undefined when it is not
   * registered, or when these are more than `entriesMax`.
   */
  readonly unread: (consumer: string, entriesMax: number) => Effect.Effect<readonly OutboxEntry[] | undefined, StoreUnavailableError>
  /** Views for BI tools that show another generation than the pointer names, by projection; none where the engine has no such views. */
  readonly staleViews: Effect.Effect<readonly StaleView[], StoreUnavailableError>
}

export interface ReadModelStoreShape {
  /** Stores the generation with a zero checkpoint in every lane. An existing one is left as it is. */
  readonly createGeneration: (
    record: GenerationRecord,
    lanes: readonly { readonly lane: number; readonly partitions: readonly number[] }[]
  ) => Effect.Effect<void, StoreUnavailableError>
  /** Raises the epoch, then reads the checkpoint, in one transaction. */
  readonly takeOver: (lane: LaneId) => Effect.Effect<LaneCheckpoint, StoreUnavailableError | GenerationMissingError>
  /** Committed rows of a lane in the order asked for. */
  readonly readRows: (lane: LaneId, keys: readonly RowKey[]) => Effect.Effect<readonly (Row | undefined)[], StoreUnavailableError>
  /** Visits the lane's committed rows whose window starts before `beforeMs`, of all tenants and resolutions, in chunks and in no order. */
  readonly visitRowsBelow: (lane: LaneId, beforeMs: number, visit: (rows: readonly Row[]) => void) => Effect.Effect<void, StoreUnavailableError>
  /** Keys admitted so far in each of the windows, by partition of the lane (absent = 0). */
  readonly readKeyCounts: (lane: LaneId, windows: readonly { readonly tenantId: string; readonly windowStartMs: number }[]) => Effect.Effect<readonly KeyCount[], StoreUnavailableError>
  /** All of it or nothing, in one transaction; a lane whose (epoch, expected) does not match fences the whole call. */
  readonly commit: (commits: readonly LaneCommit[]) => Effect.Effect<void, FencedError | StoreUnavailableError | CommitUnknownError>
  readonly snapshot: Effect.Effect<ReadSnapshot, StoreUnavailableError, Scope.Scope>
  /**
   * Moves the pointer if it still has `expectedVersion` (0 = none yet); the version rises by one. In the same transaction:
   * refuses unless the target's checkpoints have reached the active generation's in every partition, stores these as the
   * hand-over, and has both of them followed from here on, so that the way back is the same flip. Waits for nobody who
   * reads: a view for BI tools that is held follows later (`staleViews`).
   */
  readonly flip: (
    projection: string,
    generation: number,
    expectedVersion: number
  ) => Effect.Effect<Pointer, PointerConflictError | TargetBehindError | StoreUnavailableError>
  /** Whether the owners of lanes fold this generation although the pointer does not name it: a shadow that has caught up, a standby. */
  readonly follow: (id: GenerationId, isFollowed: boolean) => Effect.Effect<void, GenerationMissingError | StoreUnavailableError>
  /**
   * Removes rows, ledgers, key counts, checkpoints and halts; whoever still folds it is fenced. Repeatable: an interrupted
   * removal is finished. Snapshots of before answer as before or with StoreUnavailableError, never that there is nothing.
   */
  readonly dropGeneration: (id: GenerationId) => Effect.Effect<void, GenerationInUseError | StoreUnavailableError>
  /** Measured now, the longer the more rows there are: not for every request. Undefined for one that is not there or was dropped. */
  readonly generationSize: (id: GenerationId) => Effect.Effect<GenerationSize | undefined, StoreUnavailableError>
  /** Records a halt; `clearHalt` removes it after a successful take-over. */
  readonly recordHalt: (halt: Halt) => Effect.Effect<void, StoreUnavailableError>
  readonly clearHalt: (lane: LaneId) => Effect.Effect<void, StoreUnavailableError>
  /**
   * Name of this store's history, 8 to 32 characters of a–z and 0–9: made with the store, another one after whatever may
   * have lost committed transactions (a fail-over, a restored backup). What is derived from the store elsewhere under
   * another name is no longer its image.
   */
  readonly incarnation: Effect.Effect<string, StoreUnavailableError>
  /**
   * The durable outbox cursor of a consumer: the last sequence it is done with. A new consumer starts before the oldest
   * entry that is kept, and `created` tells it that it may have missed earlier ones. Entries are kept for it from here on.
   */
  readonly registerOutbox: (consumer: string) => Effect.Effect<{ readonly cursor: bigint; readonly created: boolean }, StoreUnavailableError>
  /**
   * Outbox entries after the consumer's cursor, or after `afterSequence` where that is later; oldest first, at most
   * `limit`. An entry never becomes readable after one with a higher sequence did. Nothing for a consumer that is not registered.
   */
  readonly readOutbox: (consumer: string, afterSequence: bigint, limit: number) => Effect.Effect<readonly OutboxEntry[], StoreUnavailableError>
  /** Moves a registered consumer's cursor up to this sequence, never back, and forgets the entries every consumer is done with. */
  readonly ackOutbox: (consumer: string, upTo: bigint) => Effect.Effect<void, StoreUnavailableError>
  /** Keeps no entries for this consumer any more. */
  readonly forgetOutbox: (consumer: string) => Effect.Effect<void, StoreUnavailableError>
}

export class ReadModelStore extends Context.Service<ReadModelStore, ReadModelStoreShape>()("tidemark/ReadModelStore") {}
