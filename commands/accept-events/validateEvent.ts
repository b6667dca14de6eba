/** Checks what a client said about one event. Rules: docs/semantics.md §2. */
import { parseTime } from "@tidemark/domain/time/rfc3339"
import { SYSTEM_PREFIX } from "@tidemark/domain/events/systemRecords"
import { exceedsBytes } from "./splitBody.ts"
import type { ParsedItem, Rejection } from "./splitBody.ts"

/** UTF-8 bytes an event id may have. */
export const ID_BYTES_MAX = 128

/** An event whose attributes are in order; its data is not yet checked against a schema. */
export interface ValidEvent {
  readonly id: string | undefined
  readonly type: string
  readonly source: string | undefined
  /** The client's own time, Unix ms. */
  readonly clientTimeMs: number | undefined
  readonly userId: string | undefined
  readonly anonymousId: string | undefined
  readonly sessionId: string | undefined
  /** The schema version the client asked for. */
  readonly schemaVersion: number | undefined
  readonly data: unknown
  readonly dataText: string | undefined
}

const LONE_SURROGATE = /\p{Surrogate}/u

const isDirty = (text: string): boolean => text.includes("\u0000") || LONE_SURROGATE.test(text)

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1")

/** Pointer of the first string or key with NUL or a lone surrogate; recursion is bounded by the depth limit. */
const dirtyPointer = (value: unknown, pointer: string): string | undefined => {
  if (typeof value === "string") return isDirty(value) ? pointer : undefined
  if (typeof value !== "object" || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    if (isDirty(key)) return pointer
    const found = dirtyPointer(inner, `${pointer}/${escapePointer(key)}`)
    if (found !== undefined) return found
  }
  return undefined
}

/** Name of a JSON value's kind, for messages. */
export const kindOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

const TEXT_FIELDS = ["type", "id", "source", "userId", "anonymousId", "sessionId"] as const

const textFault = (fields: ParsedItem["fields"]): Rejection | undefined => {
  for (const name of TEXT_FIELDS) {
    const value = fields[name]
    const pointer = `/${name}`
    if (value === undefined || value === null) continue
    if (typeof value !== "string") {
      const hint = typeof value === "number" ? `send it as a string: "${value}"` : undefined
      return { code: "attribute", pointer, detail: `expected string, got ${kindOf(value)}`, hint }
    }
    if (value === "") return { code: "attribute", pointer, detail: "empty", hint: name === "type" ? undefined : "leave it out when it is not known" }
    if (isDirty(value)) return { code: "text", pointer, detail: "has NUL or a lone surrogate" }
  }
  return undefined
}

/** Can an event have this id? */
export const isEventId = (id: string): boolean => id !== "" && !isDirty(id) && !exceedsBytes(id, ID_BYTES_MAX)

const optional = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const isVersion = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0

const attributeFault = ({ fields }: ParsedItem): Rejection | undefined => {
  const fault = textFault(fields)
  if (fault !== undefined) return fault
  const { id, type, time, schemaVersion } = fields
  if (typeof type !== "string") return { code: "required", pointer: "/type", detail: "an event needs a type" }
  if (type.startsWith(SYSTEM_PREFIX)) return { code: "reserved-type", pointer: "/type", detail: `types that begin with ${SYSTEM_PREFIX} are reserved` }
  if (typeof id === "string" && exceedsBytes(id, ID_BYTES_MAX)) return { code: "attribute", pointer: "/id", detail: `longer than ${ID_BYTES_MAX} bytes` }
  if (schemaVersion !== undefined && schemaVersion !== null && !isVersion(schemaVersion)) {
    return { code: "attribute", pointer: "/schemaVersion", detail: "expected an integer of at least 0" }
  }
  if (time === undefined || time === null || parseTime(time) !== undefined) return undefined
  const hint = typeof time === "number" ? "numbers are whole milliseconds since 1970" : "for example 2026-01-31T12:00:00Z"
  return { code: "time", pointer: "/time", detail: "neither RFC 3339 nor Unix milliseconds", hint }
}

/** Unix ms of 1973, and Unix seconds of the year 5138: a number below it is hardly ms. */
const SECONDS_BELOW = 100_000_000_000

/** Says of a time that is a number how it was taken, when it looks like seconds. It is taken all the same: ms of the seventies are times. */
export const secondsHint = (time: unknown): string | undefined =>
  typeof time === "number" && Math.abs(time) < SECONDS_BELOW ? `time ${time} was taken for ${new Date(time).toISOString()}: numbers are milliseconds, and this looks like seconds` : undefined

/** The event, or why it is refused: the first fault found. Size, depth and keys were bounded when it was parsed. */
export const validateEvent = (item: ParsedItem): ValidEvent | Rejection => {
  const fault = attributeFault(item)
  if (fault !== undefined) return fault
  const { fields, text } = item
  if (text.includes("\\u") || LONE_SURROGATE.test(text)) {
    const pointer = dirtyPointer(fields.data, "/data")
    if (pointer !== undefined) return { code: "text", pointer, detail: "has NUL or a lone surrogate" }
  }
  return {
    id: optional(fields.id),
    type: fields.type as string,
    source: optional(fields.source),
    clientTimeMs: parseTime(fields.time),
    userId: optional(fields.userId),
    anonymousId: optional(fields.anonymousId),
    sessionId: optional(fields.sessionId),
    schemaVersion: isVersion(fields.schemaVersion) ? fields.schemaVersion : undefined,
    data: fields.data,
    dataText: item.dataText
  }
}
