/**
 * The record in the log: a CloudEvents 1.0 JSON object in structured mode. Rules: docs/semantics.md §2.
 */
import { formatRfc3339, parseRfc3339 } from "../time/rfc3339.ts"
import type { EventAttributes, EventEnvelope } from "./event.ts"
import { LATE_APPLIED_TYPE, SYSTEM_PREFIX, readSystemRecord } from "./systemRecords.ts"
import type { SystemRecord } from "./systemRecords.ts"

export type DecodedRecord =
  | { readonly kind: "event"; readonly event: EventEnvelope }
  | { readonly kind: "system"; readonly record: SystemRecord }
  | { readonly kind: "undecodable"; readonly code: "ENVELOPE"; readonly pointer: string }

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/** The record's bytes; `dataText` is the payload's JSON as received, spliced in unchanged. */
export const encodeEvent = (event: EventAttributes, dataText: string | undefined): Uint8Array => {
  const attributes = {
    specversion: "1.0",
    id: event.id,
    source: event.source,
    type: event.type,
    time: formatRfc3339(event.timeMs),
    tenantid: event.tenantId,
    receivedat: formatRfc3339(event.receivedAtMs),
    originaltime: event.originalTimeMs === undefined ? undefined : formatRfc3339(event.originalTimeMs),
    timeflag: event.timeFlag,
    schemaversion: event.schemaVersion,
    partitionkey: event.partitionKey,
    userid: event.userId,
    anonymousid: event.anonymousId,
    sessionid: event.sessionId,
    backfill: event.backfill,
    datacontenttype: dataText === undefined ? undefined : "application/json"
  }
  const text = JSON.stringify(attributes)
  return encoder.encode(dataText === undefined ? text : `${text.slice(0, -1)},"data":${dataText}}`)
}

const undecodable = (pointer: string): DecodedRecord => ({ kind: "undecodable", code: "ENVELOPE", pointer })

const optionalText = (value: unknown): value is string | undefined => value === undefined || typeof value === "string"

type Fields = Readonly<Record<string, unknown>>

/** The first attribute that is missing or of a wrong kind, as a JSON pointer. */
const wrongAttribute = (fields: Fields): string | undefined => {
  for (const name of ["id", "source", "tenantid", "partitionkey"]) if (typeof fields[name] !== "string" || fields[name] === "") return `/${name}`
  for (const name of ["userid", "anonymousid", "sessionid", "backfill"]) if (!optionalText(fields[name])) return `/${name}`
  const version = fields["schemaversion"]
  if (typeof version !== "number" || !Number.isInteger(version) || version < 0) return "/schemaversion"
  return undefined
}

const decodeEvent = (fields: Fields, type: string): DecodedRecord => {
  const timeMs = typeof fields["time"] === "string" ? parseRfc3339(fields["time"]) : undefined
  if (timeMs === undefined) return undecodable("/time")
  const receivedAtMs = typeof fields["receivedat"] === "string" ? parseRfc3339(fields["receivedat"]) : undefined
  if (receivedAtMs === undefined) return undecodable("/receivedat")
  if (timeMs > receivedAtMs) return undecodable("/time")
  const wrong = wrongAttribute(fields)
  if (wrong !== undefined) return undecodable(wrong)
  const original = fields["originaltime"]
  const flag = fields["timeflag"]
  const event: EventEnvelope = {
    id: fields["id"] as string,
    source: fields["source"] as string,
    type,
    timeMs,
    receivedAtMs,
    tenantId: fields["tenantid"] as string,
    partitionKey: fields["partitionkey"] as string,
    schemaVersion: fields["schemaversion"] as number,
    userId: fields["userid"] as string | undefined,
    anonymousId: fields["anonymousid"] as string | undefined,
    sessionId: fields["sessionid"] as string | undefined,
    backfill: fields["backfill"] as string | undefined,
    originalTimeMs: typeof original === "string" ? parseRfc3339(original) : undefined,
    timeFlag: flag === "corrected" || flag === "clamped" ? flag : undefined,
    data: fields["data"]
  }
  return { kind: "event", event }
}

/** Reads one record of the log. Never throws: what cannot be read says where it is wrong. */
export const decodeRecord = (bytes: Uint8Array): DecodedRecord => {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch {
    return undecodable("")
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? decodeFields(value as Fields) : undecodable("")
}

const decodeFields = (fields: Fields): DecodedRecord => {
  const type = fields["type"]
  if (fields["specversion"] !== "1.0") return undecodable("/specversion")
  if (typeof type !== "string" || type === "") return undecodable("/type")
  if (!type.startsWith(SYSTEM_PREFIX)) return decodeEvent(fields, type)
  const record = readSystemRecord(fields, type)
  if (record === undefined) return undecodable("/data")
  if (type !== LATE_APPLIED_TYPE) return { kind: "system", record }
  const original = (fields["data"] as Fields)["original"]
  const decoded = typeof original === "object" && original !== null ? decodeFields(original as Fields) : undecodable("/data/original")
  if (decoded.kind !== "event" || record.system !== "late-applied") return undecodable("/data/original")
  return { kind: "system", record: { ...record, original: decoded.event } }
}
