/** An event as the log holds it. Attributes: docs/semantics.md §2. */
import type { EventTimeMs } from "../time/window.ts"

/** Everything of an event but its payload. */
export interface EventAttributes {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly timeMs: EventTimeMs
  readonly receivedAtMs: number
  readonly tenantId: string
  readonly partitionKey: string
  /** 0 = the type has no schema. */
  readonly schemaVersion: number
  readonly userId?: string | undefined
  readonly anonymousId?: string | undefined
  readonly sessionId?: string | undefined
  /** Name of the import this event came with; absent on live traffic. */
  readonly backfill?: string | undefined
  readonly originalTimeMs?: number | undefined
  readonly timeFlag?: "corrected" | "clamped" | undefined
}

export interface EventEnvelope extends EventAttributes {
  /** Undefined when the event has no payload. */
  readonly data: unknown
}
