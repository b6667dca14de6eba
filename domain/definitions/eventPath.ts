/** Plain paths of an event, `event.userid` or `event.data.page`: what they read. Rules: docs/semantics.md §6. */
import { dataSlotOf } from "../events/dataSlots.ts"
import type { EventEnvelope } from "../events/event.ts"
import { ScannedEvent } from "../events/scannedEvent.ts"

/** Value of an expression over an event and its payload (a `ScannedEvent` stands for its own). Throws when it cannot be evaluated: `UnsafeIntegerError`, else EXPRESSION. */
export type Evaluate = (event: EventEnvelope, data: unknown) => unknown

/** A number beyond ±(2^53 − 1): digits are already lost. */
export class UnsafeIntegerError extends RangeError {
  override readonly name = "UnsafeIntegerError"
}

/** `value`, unless it is a number that cannot be trusted. Throws `UnsafeIntegerError`, or `RangeError` for no finite number. */
export const checkNumber = (value: unknown): unknown => {
  if (typeof value !== "number" || (value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER)) return value
  if (!Number.isFinite(value)) throw new RangeError("no finite number")
  throw new UnsafeIntegerError("number beyond 2^53 - 1")
}

const subjectOf = ({ userId, anonymousId }: EventEnvelope): string | null => {
  if (userId !== undefined) return `u:${userId}`
  return anonymousId === undefined ? null : `a:${anonymousId}`
}

const ATTRIBUTES: ReadonlyMap<string, (event: EventEnvelope) => unknown> = new Map<string, (event: EventEnvelope) => unknown>([
  ["id", (event) => event.id],
  ["type", (event) => event.type],
  ["source", (event) => event.source],
  ["time", (event) => event.timeMs],
  ["receivedat", (event) => event.receivedAtMs],
  ["originaltime", (event) => event.originalTimeMs ?? null],
  ["timeflag", (event) => event.timeFlag ?? null],
  ["tenantid", (event) => event.tenantId],
  ["partitionkey", (event) => event.partitionKey],
  ["schemaversion", (event) => event.schemaVersion],
  ["userid", (event) => event.userId ?? null],
  ["anonymousid", (event) => event.anonymousId ?? null],
  ["sessionid", (event) => event.sessionId ?? null],
  ["backfill", (event) => event.backfill ?? null],
  ["subject", subjectOf]
])

const fieldOf = (data: unknown, fields: readonly string[]): unknown => {
  let value = data
  for (const field of fields) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, field)) return null
    value = (value as Readonly<Record<string, unknown>>)[field]
  }
  return value ?? null
}

/**
 * Reader of a path given as its names after `event`. Times are Unix ms. A missing field or parent is
 * null; only own fields of JSON objects are fields.
 */
export const compilePath = ([head = "", ...fields]: readonly string[]): Evaluate => {
  const attribute = ATTRIBUTES.get(head)
  if (attribute !== undefined && fields.length === 0) return attribute
  if (head !== "data") return () => null
  const [first = "", ...rest] = fields
  const slot = fields.length === 0 ? -1 : dataSlotOf(first)
  return (_event, data) => {
    if (!(data instanceof ScannedEvent)) return checkNumber(fieldOf(data, fields))
    return checkNumber(slot < 0 ? fieldOf(data.data, fields) : fieldOf(data.field(slot), rest))
  }
}
