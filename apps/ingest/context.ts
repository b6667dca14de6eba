/** What ingest is given by the server that runs it. */
import { DEDUPE_BYTES_MAX } from "@tidemark/commands/accept-events/confirmedEvents"
import type { EventSchema } from "@tidemark/commands/accept-events/schemas"

/** Whom a key belongs to. */
export interface IngestKey {
  readonly tenantId: string
  readonly kind: "write" | "read" | "admin"
  /** Shown in the default source `urn:tidemark:key:<prefix>`; not secret. */
  readonly keyPrefix: string
  /** The tenant refuses types without a schema; false when absent. */
  readonly strict?: boolean
  /** Origins a browser may send from; empty or absent = any. */
  readonly allowedOrigins?: readonly string[]
}

/** The key of this text if it is taken now; undefined for one that is unknown, expired or revoked. */
export type ResolveKey = (keyText: string) => IngestKey | undefined | Promise<IngestKey | undefined>

export type EventStatus = "accepted" | "duplicate" | "rejected" | "failed"

/** Events of one answered request that share a type and an outcome. `type` is "other" when it has no schema. */
export interface EventCount {
  readonly type: string
  readonly status: EventStatus
  readonly count: number
}

/** Counts and times; no tenant, key or name sent by a client among them. */
export interface IngestMetrics {
  /**
   * Once per answered request whose events are known, dry runs left out, so that received = accepted + duplicate +
   * rejected + failed over all of them. `ackSeconds`: from its first byte to the answer; undefined when the events failed.
   */
  readonly eventsAnswered?: (counts: readonly EventCount[], ackSeconds: number | undefined) => void
  /** Once per answered request, whatever became of it: its HTTP status, and "ok" or the code of its problem. */
  readonly requestAnswered?: (status: number, outcome: string) => void
  /** A failure that clients see without its cause. */
  readonly failed?: (error: unknown) => void
}

/** Most that a key or an address may do; each window is a token bucket filled evenly. */
export interface IngestLimits {
  readonly requestsPerSecond: number
  readonly eventsPerSecond: number
  /** Wrong keys from one address within a minute. */
  readonly wrongKeysPerMinute: number
  /** How long a body may take to arrive, ms. */
  readonly bodyMsMax: number
  /** Bodies held at once from their arrival to their answer, as received and inflated, bytes. Beyond it requests are answered 503. */
  readonly heldBytesMax: number
  /** Memory to know the live events of 24 hours by, bytes. Once it is full, more are answered with 429 until some are older. */
  readonly dedupeBytesMax: number
}

export const DEFAULT_LIMITS: IngestLimits = { requestsPerSecond: 5_000, eventsPerSecond: 50_000, wrongKeysPerMinute: 10, bodyMsMax: 30_000, heldBytesMax: 268_435_456, dedupeBytesMax: DEDUPE_BYTES_MAX }

export interface IngestOptions {
  readonly resolveKey: ResolveKey
  /** Schemas of event types, every version. */
  readonly schemas: readonly EventSchema[]
  readonly metrics?: IngestMetrics
  readonly limits?: Partial<IngestLimits>
  /** `own` where other processes append to the same log; `whole` by default. */
  readonly duplicates?: "whole" | "own"
}
