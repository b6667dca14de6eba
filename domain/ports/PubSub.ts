/**
 * Change hints between processes or parts of one. Loss is allowed and repaired by a query; no value travels here.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Notification {
  /** What changed; a receiver reads the read model. */
  readonly key: string
  /** Decimal; rises with each change of the key. Only a message published again repeats an older one. */
  readonly version: string
}

export class PubSubUnavailableError extends Schema.TaggedError<PubSubUnavailableError>()("PubSubUnavailableError", {
  cause: Schema.Defect()
}) {}

export interface Subscription {
  /** Waits for the next notifications; `overflowed` when some were dropped since the last call (resync by query). */
  readonly take: Effect.Effect<{ readonly notifications: readonly Notification[]; readonly overflowed: boolean }>
}

export interface PubSubShape {
  readonly publish: (topic: string, notifications: readonly Notification[]) => Effect.Effect<void, PubSubUnavailableError>
  /** Live when it returns; ends with the scope. A slow reader keeps at most `bufferMax` notifications. */
  readonly subscribe: (topic: string, bufferMax: number) => Effect.Effect<Subscription, PubSubUnavailableError, Scope.Scope>
}

export class PubSub extends Context.Service<PubSub, PubSubShape>()("tidemark/PubSub") {}
