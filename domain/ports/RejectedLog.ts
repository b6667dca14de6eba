/** Events that ingest refused, kept with their reasons for a while so that they can be fixed and sent again. */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"

export interface RejectedEvent {
  readonly tenantId: string
  /** UUIDv7 of the entry; of an import's entry a UUIDv8 made of what it is, so that importing twice adds none. */
  readonly entryId: string
  readonly receivedAtMs: number
  readonly eventId: string | null
  readonly eventType: string | null
  readonly code: string
  readonly pointer: string
  readonly detail: string
  /** Import name and line, when it came from one. */
  readonly origin: string | null
  /** The event as received, at most 32 KiB of it. */
  readonly body: string
}

export class RejectedLogError extends Schema.TaggedError<RejectedLogError>()("RejectedLogError", { cause: Schema.Defect() }) {}

export interface RejectedLogShape {
  /** Durable when it returns. The same entry id again replaces nothing. Drops the tenant's oldest entries beyond `bytesMax`. */
  readonly put: (entries: readonly RejectedEvent[]) => Effect.Effect<void, RejectedLogError>
  /** Newest first; `after` is the entry id of the last one seen. */
  readonly page: (tenantId: string, limit: number, after?: string) => Effect.Effect<readonly RejectedEvent[], RejectedLogError>
  /** The tenant's entry of this id; undefined when there is none. */
  readonly find: (tenantId: string, entryId: string) => Effect.Effect<RejectedEvent | undefined, RejectedLogError>
  /** Drops what is older than `keepMs` at `nowMs` (Unix ms), of all tenants; answers how many entries. */
  readonly prune: (nowMs: number) => Effect.Effect<number, RejectedLogError>
}

export class RejectedLog extends Context.Service<RejectedLog, RejectedLogShape>()("tidemark/RejectedLog") {}
