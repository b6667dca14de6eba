/**
 * Copying events from the log into a search index that has to be fed. An engine that needs none provides no such service.
 * The index has checkpoints of its own; what it does not hold yet is found in the log, so it may lag and search still
 * answers everything.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

/** The log is not the one that was indexed, or what comes next is gone from it or broken. Never skip: somebody has to decide. */
export class EventIndexHaltedError extends Schema.TaggedError<EventIndexHaltedError>()("EventIndexHaltedError", {
  code: Schema.Literals(["LOG_GAP", "LOG_DIVERGED", "LOG_CORRUPT", "LOG_IDENTITY"]),
  detail: Schema.String
}) {}

export interface EventIndexerOptions {
  /** Those this indexer copies; all when absent. */
  readonly partitions?: readonly number[]
  /** Leaves the processors to those who fold while much comes; 6,000 unless told. */
  readonly eventsPerSecondMax?: number
  /** Something goes wrong and is tried again. */
  readonly retrying?: (cause: string) => void
  readonly halted?: (error: EventIndexHaltedError) => void
}

export interface EventIndexerStatus {
  readonly halt: { readonly code: string; readonly detail: string } | undefined
  /** Everything below is searchable, by partition; empty before the first look. */
  readonly indexed: ReadonlyMap<number, bigint>
  /** Events the engine refused in any form: they are not found by search. */
  readonly refused: number
}

export interface EventIndexer {
  /** Copies until interrupted; begins at the checkpoints. */
  readonly run: Effect.Effect<never>
  readonly status: () => EventIndexerStatus
}

export interface EventIndexingShape {
  /** May be stopped anywhere; several over the same partitions do no harm. */
  readonly indexer: (options: EventIndexerOptions) => EventIndexer
}

export class EventIndexing extends Context.Service<EventIndexing, EventIndexingShape>()("tidemark/EventIndexing") {}
