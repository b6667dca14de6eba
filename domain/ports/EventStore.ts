/** Event streams of the write side (settings): append with expected revision, read, follow. */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

export interface NewStoredEvent {
  /** UUID; the same id appended again to the same stream at the same place is the same append. */
  readonly id: string
  readonly type: string
  readonly data: unknown
  readonly metadata?: Readonly<Record<string, string>>
}

export interface StoredEvent extends NewStoredEvent {
  readonly stream: string
  /** Position in the stream, dense from 0. */
  readonly revision: bigint
  /** Position in the whole store, rising. */
  readonly position: bigint
  readonly createdAtMs: number
}

/** Somebody appended meanwhile. Read again, decide again. −1 = the stream does not exist. */
export class WrongRevisionError extends Schema.TaggedError<WrongRevisionError>()("WrongRevisionError", {
  stream: Schema.String,
  expected: Schema.BigInt,
  actual: Schema.BigInt
}) {}

export class EventStoreUnavailableError extends Schema.TaggedError<EventStoreUnavailableError>()("EventStoreUnavailableError", {
  cause: Schema.Defect()
}) {}

export interface EventStoreShape {
  /** `expectedRevision`: −1n = must not exist, n = last revision, "any" = unchecked. Durable when it returns. */
  readonly append: (
    stream: string,
    events: readonly NewStoredEvent[],
    expectedRevision: bigint | "any"
  ) => Effect.Effect<{ readonly revision: bigint; readonly position: bigint }, WrongRevisionError | EventStoreUnavailableError>
  readonly readStream: (stream: string, fromRevision: bigint, limit: number) => Effect.Effect<readonly StoredEvent[], EventStoreUnavailableError>
  /** Events of all streams with position > `afterPosition`, oldest first; waits up to `waitMaxMs` for the first. */
  readonly readAll: (afterPosition: bigint, limit: number, waitMaxMs: number) => Effect.Effect<readonly StoredEvent[], EventStoreUnavailableError>
}

export class EventStore extends Context.Service<EventStore, EventStoreShape>()("tidemark/EventStore") {}
