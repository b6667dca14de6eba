/**
 * The immutable, partitioned, append-only record of all events: the only source of truth for read models.
 *
 * Offsets are dense integers from 0 in each partition. A batch is acknowledged only once it is durable.
 * Rules: docs/semantics.md §1, §2, §7.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

/** Fixed when the log is created. */
export interface LogIdentity {
  /** Decided once, by whoever creates the log. Also the source of the hash seed. */
  readonly logId: string
  readonly partitions: number
  readonly lanes: number
  readonly createdAtMs: number
}

export interface LogRecord {
  readonly partition: number
  /** The event's partition key (Kafka record key). */
  readonly key: string
  readonly value: Uint8Array
}

export interface StoredAt {
  readonly partition: number
  readonly offset: bigint
}

/** A record that was appended. */
export interface AppendedAt extends StoredAt {
  /** When the log took it, by the log's own clock, Unix ms; undefined where the engine does not say. */
  readonly appendedAtMs: number | undefined
}

export interface PartitionPosition {
  readonly partition: number
  /** Next offset to read. */
  readonly nextOffset: bigint
}

/** Consecutive records of one partition, packed: record i is `bytes[ends[i-1] ?? 0, ends[i])`. */
export interface LogBatch {
  readonly partition: number
  readonly firstOffset: bigint
  readonly bytes: Uint8Array
  readonly ends: Uint32Array
  /** The partition held records after this batch when it was read: whoever keeps reading is behind. */
  readonly more: boolean
}

export interface LogBounds {
  /** First offset still stored. */
  readonly start: bigint
  /** One past the last stored offset. */
  readonly end: bigint
}

/** Nothing of the batch was stored (disk full, log closed). Safe to send again. `storageFull`: the engine says that it has no room. */
export class AppendRejectedError extends Schema.TaggedError<AppendRejectedError>()("AppendRejectedError", {
  reason: Schema.String,
  storageFull: Schema.optional(Schema.Boolean),
  cause: Schema.optional(Schema.Defect())
}) {}

/**
 * Any part of the batch may be stored: all of it, none, or the records of some partitions only, each partition's in the
 * order given. Sending it again may store records twice; readers drop duplicates by event id.
 */
export class AppendUnknownError extends Schema.TaggedError<AppendUnknownError>()("AppendUnknownError", {
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect())
}) {}

/** The engine did not answer. Reading again is safe. */
export class LogUnavailableError extends Schema.TaggedError<LogUnavailableError>()("LogUnavailableError", {
  cause: Schema.Defect()
}) {}

/** The wanted offset lies outside the stored range. Never jump: the reader halts with LOG_GAP. */
export class OffsetOutOfRangeError extends Schema.TaggedError<OffsetOutOfRangeError>()("OffsetOutOfRangeError", {
  partition: Schema.Int,
  wanted: Schema.BigInt,
  start: Schema.BigInt,
  end: Schema.BigInt
}) {}

/** A stored block fails its checksum or the hash chain. Never served. */
export class LogCorruptError extends Schema.TaggedError<LogCorruptError>()("LogCorruptError", {
  partition: Schema.Int,
  offset: Schema.BigInt,
  detail: Schema.String
}) {}

/** Later records are stored, the one at `wanted` is not: somebody else wrote to the log, or it lost records. Never skipped: LOG_GAP. */
export class LogGapError extends Schema.TaggedError<LogGapError>()("LogGapError", {
  partition: Schema.Int,
  wanted: Schema.BigInt,
  /** The next offset with a record, or one past the last when none follows. */
  found: Schema.BigInt
}) {}

/** Another log answers in the place of the one that was opened: deleted and made anew, or with other partitions. LOG_IDENTITY. */
export class LogIdentityError extends Schema.TaggedError<LogIdentityError>()("LogIdentityError", {
  logId: Schema.String,
  detail: Schema.String
}) {}

export type LogReadError = LogUnavailableError | OffsetOutOfRangeError | LogCorruptError | LogGapError | LogIdentityError

export interface EventLogShape {
  readonly identity: LogIdentity
  /**
   * All records when it answers, none when it is rejected, any part of them when the outcome is unknown. Answers in the
   * order given, only after the batch is durable.
   */
  readonly append: (batch: readonly LogRecord[]) => Effect.Effect<readonly AppendedAt[], AppendRejectedError | AppendUnknownError>
  /**
   * Batches from the given positions, in offset order within a partition, whole stored blocks trimmed to the
   * position. Returns as soon as anything is there, or an empty list after `waitMaxMs`. About `bytesMax` bytes.
   */
  readonly read: (
    from: readonly PartitionPosition[],
    options: { readonly bytesMax: number; readonly waitMaxMs: number }
  ) => Effect.Effect<readonly LogBatch[], LogReadError>
  readonly bounds: (partition: number) => Effect.Effect<LogBounds, LogUnavailableError>
  /**
   * Checks what is stored of a partition from the block that holds `from` on, of all of it when absent: checksums, that
   * each block follows the one before it (hash chain, where the engine has one) and that offsets are dense. `records` checked.
   */
  readonly verify: (partition: number, from?: bigint) => Effect.Effect<{ readonly records: bigint; readonly blocks: number }, LogReadError>
}

export class EventLog extends Context.Service<EventLog, EventLogShape>()("tidemark/EventLog") {}
