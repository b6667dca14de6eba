/**
 * Records that share the log and are not events: genesis, heartbeats, and the release of held events.
 *
 * Rules: docs/semantics.md §2, §3.3, §5.
 */
import { formatRfc3339, parseRfc3339 } from "../time/rfc3339.ts"
import type { EventEnvelope } from "./event.ts"

export const SYSTEM_PREFIX = "tidemark."
export const LOG_CREATED_TYPE = "tidemark.log.created"
export const HEARTBEAT_TYPE = "tidemark.heartbeat"
export const LATE_APPLIED_TYPE = "tidemark.late.applied"

export interface LogCreatedRecord {
  readonly system: "created"
  readonly timeMs: number
  readonly logId: string
  readonly partitions: number
  readonly lanes: number
  readonly partition: number
}

export interface HeartbeatRecord {
  readonly system: "heartbeat"
  readonly timeMs: number
}

/** Folds one held event by hand. The original lies at (partition, offset) of the same partition. */
export interface LateAppliedRecord {
  readonly system: "late-applied"
  readonly timeMs: number
  readonly partition: number
  readonly offset: bigint
  /** Who released it and why: for people, no rule reads them. */
  readonly actor?: string
  readonly reason?: string
  /** The original event; absent only while it is being decoded. */
  readonly original?: EventEnvelope
}

export type SystemRecord = LogCreatedRecord | HeartbeatRecord | LateAppliedRecord

const encoder = new TextEncoder()

const encode = (type: string, timeMs: number, id: string, dataText?: string): Uint8Array => {
  const text = JSON.stringify({ specversion: "1.0", id, source: "urn:tidemark", type, time: formatRfc3339(timeMs) })
  return encoder.encode(dataText === undefined ? text : `${text.slice(0, -1)},"data":${dataText}}`)
}

/** First record of a partition. */
export const encodeLogCreated = (record: Omit<LogCreatedRecord, "system">): Uint8Array => {
  const { logId, partitions, lanes, partition } = record
  return encode(LOG_CREATED_TYPE, record.timeMs, `${logId}-${partition}`, JSON.stringify({ logId, partitions, lanes, partition }))
}

/** `timeMs` is the receive time at ingest. */
export const encodeHeartbeat = (timeMs: number): Uint8Array => encode(HEARTBEAT_TYPE, timeMs, `heartbeat-${timeMs}`)

/** `original` is the held event's record, byte for byte. */
export const encodeLateApplied = (timeMs: number, partition: number, offset: bigint, original: Uint8Array, by?: { readonly actor: string; readonly reason: string }): Uint8Array => {
  const text = new TextDecoder().decode(original)
  const who = by === undefined ? "" : `"actor":${JSON.stringify(by.actor)},"reason":${JSON.stringify(by.reason)},`
  return encode(LATE_APPLIED_TYPE, timeMs, `late-applied-${partition}-${offset}-${timeMs}`, `{"partition":${partition},"offset":"${offset}",${who}"original":${text}}`)
}

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0

/** The system record in these CloudEvents fields, or undefined when it is not a known one in its right form. */
export const readSystemRecord = (fields: Readonly<Record<string, unknown>>, type: string): SystemRecord | undefined => {
  const timeMs = typeof fields["time"] === "string" ? parseRfc3339(fields["time"]) : undefined
  if (timeMs === undefined) return undefined
  if (type === HEARTBEAT_TYPE) return { system: "heartbeat", timeMs }
  const data = fields["data"]
  if (typeof data !== "object" || data === null) return undefined
  const { logId, partitions, lanes, partition, offset, actor, reason } = data as Record<string, unknown>
  if (!isCount(partition)) return undefined
  if (type === LOG_CREATED_TYPE) {
    return typeof logId === "string" && isCount(partitions) && isCount(lanes) ? { system: "created", timeMs, logId, partitions, lanes, partition } : undefined
  }
  if (type !== LATE_APPLIED_TYPE || typeof offset !== "string" || !/^\d{1,19}$/.test(offset)) return undefined
  return {
    system: "late-applied", timeMs, partition, offset: BigInt(offset),
    ...(typeof actor === "string" ? { actor } : {}), ...(typeof reason === "string" ? { reason } : {})
  }
}
