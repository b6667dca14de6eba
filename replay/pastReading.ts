/** Reading the log for a question to the past: what may be read for one of them, and what it can end in. */
import type { LogBatch, LogReadError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndexError } from "@tidemark/domain/ports/PartitionIndex"
import type { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readStored } from "./storedRecords.ts"
import type { LineageUnavailableError } from "./windowProof.ts"

/** The position is none this generation was ever at: a partition is missing or named twice, or its offset lies outside what was folded. */
export class PastPositionError extends Schema.TaggedError<PastPositionError>()("PastPositionError", {
  detail: Schema.String
}) {}

/** More records than one question may read lie between the position and what is stored. Ask for fewer windows, or keys. */
export class PastTooLargeError extends Schema.TaggedError<PastTooLargeError>()("PastTooLargeError", {
  max: Schema.Int
}) {}

/** Windows that start before `retainedFromMs` were answered then and are no longer stored. Ask from there on. */
export class PastExpiredError extends Schema.TaggedError<PastExpiredError>()("PastExpiredError", {
  retainedFromMs: Schema.Number
}) {}

/** The log does not hold what a stored row says it was made of. Never answered around: `verify` finds out which is wrong. */
export class PastMismatchError extends Schema.TaggedError<PastMismatchError>()("PastMismatchError", {
  detail: Schema.String
}) {}

export type PastError =
  | PastPositionError
  | PastTooLargeError
  | PastExpiredError
  | PastMismatchError
  | LineageUnavailableError
  | StoreUnavailableError
  | PartitionIndexError
  | LogReadError
  | LogUnavailableError

/** How a question to the past reads. No answer depends on it. */
export interface ReadLimits {
  /** Records it reads at most. */
  readonly recordsMax: number
  /** One read: small, so that what the reader waits for is seen soon and other work comes in between. */
  readonly bytesMax: number
  /** One read of late events that lie scattered. */
  readonly scatteredBytesMax: number
  /** Ledger entries are read for this many offsets at a time. */
  readonly ledgerOffsets: bigint
}

export const READ_LIMITS: ReadLimits = { recordsMax: 1_000_000, bytesMax: 256 << 10, scatteredBytesMax: 8 << 10, ledgerOffsets: 50_000n }

/** What one question may still read. */
export class ReadBudget {
  readonly limits: ReadLimits
  private left: number

  constructor(limits: ReadLimits) {
    this.limits = limits
    this.left = limits.recordsMax
  }

  take(records: number): Effect.Effect<void, PastTooLargeError> {
    this.left -= records
    return this.left < 0 ? Effect.fail(new PastTooLargeError({ max: this.limits.recordsMax })) : Effect.void
  }
}

/** A record of a batch and all that follow it. */
export interface FoundRecords {
  readonly batch: LogBatch
  /** Index of the first one in the batch. */
  readonly first: number
}

/** Reads one partition, mostly forwards; what was read beyond the place asked for is kept for the next one. */
export class PartitionReader {
  private readonly partition: number
  private readonly budget: ReadBudget
  private batches: readonly LogBatch[] = []

  constructor(partition: number, budget: ReadBudget) {
    this.partition = partition
    this.budget = budget
  }

  /** The record at `nextOffset` and some that follow; undefined at the end of the log. Lets other work in before it reads. */
  readonly from = Effect.fn("from")({ self: this }, function* (nextOffset: bigint, bytesMax?: number) {
    const known = this.find(nextOffset)
    if (known !== undefined) return known
    yield* Effect.yieldNow
    this.batches = yield* readStored(this.partition, nextOffset, bytesMax ?? this.budget.limits.bytesMax)
    yield* this.budget.take(this.batches.reduce((records, { ends }) => records + ends.length, 0))
    return this.find(nextOffset)
  })

  private find(offset: bigint): FoundRecords | undefined {
    const batch = this.batches.find(({ firstOffset, ends }) => offset >= firstOffset && offset < firstOffset + BigInt(ends.length))
    return batch === undefined ? undefined : { batch, first: Number(offset - batch.firstOffset) }
  }
}

/** Bytes of record `at` of a batch. */
export const recordOf = ({ bytes, ends }: LogBatch, at: number): Uint8Array => bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at])
