/**
 * A request body to a list of events: every body form Tidemark takes, each event with its payload's text as received.
 *
 * The outer form is found by scanning; only single events are parsed, after their size, depth and keys are bounded.
 */
import { parse as parseSecurely } from "secure-json-parse"
import { parseTime } from "@tidemark/domain/time/rfc3339"
import { ignoredAroundHint, ignoredHint, repeatedAround, repeatedMember } from "./ignoredMembers.ts"
import { describeJsonFault, findJsonFault } from "./jsonFault.ts"
import { elementsOf, memberText, membersOf, skipSpace } from "./jsonText.ts"
import { prescan } from "./prescan.ts"

/** Events one request may carry. */
export const EVENTS_MAX = 1_000
/** UTF-8 bytes one event may have, as received. */
export const EVENT_BYTES_MAX = 32_768

/** Why an event was refused. `pointer` is a JSON pointer into the event as sent. */
export interface Rejection {
  readonly code: string
  readonly pointer: string
  readonly detail: string
  readonly hint?: string | undefined
}

/** What the client said, unchecked; null and absent are the same. */
export interface ClaimedFields {
  readonly id?: unknown
  readonly type?: unknown
  readonly time?: unknown
  readonly source?: unknown
  readonly userId?: unknown
  readonly anonymousId?: unknown
  readonly sessionId?: unknown
  readonly schemaVersion?: unknown
  readonly data?: unknown
}

interface Placed {
  /** Line of an NDJSON body, from 1. */
  readonly line?: number
}

export interface ParsedItem extends Placed {
  readonly kind: "event"
  readonly fields: ClaimedFields
  /** JSON text of `data` exactly as received; undefined when there is none. */
  readonly dataText: string | undefined
  /** The event as received. */
  readonly text: string
  /** What was left out of it, for its sender. */
  readonly ignored?: string | undefined
}

export interface RejectedItem extends Rejection, Placed {
  readonly kind: "rejected"
  readonly text: string
}

export type Item = ParsedItem | RejectedItem

export interface SplitItems {
  readonly kind: "items"
  readonly items: readonly Item[]
  /** The client's clock when it sent the request, Unix ms. */
  readonly sentAtMs: number | undefined
  /** The body is one event and not a batch of one. */
  readonly single: boolean
  /** What was left out of the object around the events, for its sender. */
  readonly ignored?: string | undefined
}

/** The body as a whole cannot be taken. */
export interface BadBody {
  readonly kind: "bad"
  readonly status: 400 | 413 | 415
  readonly code: string
  readonly detail: string
}

export interface RequestBody {
  /** Value of the content-type header, "" if none. */
  readonly contentType: string
  /** Value of a header by its lower-case name. */
  readonly header: (name: string) => string | undefined
  /** The inflated body, decoded as UTF-8. */
  readonly text: string
  /** The body is part of an import: lines `{"unreadable": text, "reason": why}` are kept as rejected. */
  readonly imported?: boolean
  /** Lines of an NDJSON body that were not UTF-8, from 1. */
  readonly dirtyLines?: ReadonlySet<number>
  /** The body's bytes when it is no NDJSON and not UTF-8 as a whole: only the elements of an array that are not are lost. */
  readonly dirtyBytes?: Uint8Array | undefined
  /** Names of the headers sent, lower-case. */
  readonly headerNames?: readonly string[]
}

const encoder = new TextEncoder()

/** Is the text longer than `bytesMax` in UTF-8? */
export const exceedsBytes = (text: string, bytesMax: number): boolean =>
  text.length > bytesMax || (text.length * 3 > bytesMax && encoder.encode(text).length > bytesMax)

const bad = (status: 400 | 413 | 415, code: string, detail: string): BadBody => ({ kind: "bad", status, code, detail })
const rejected = (text: string, code: string, pointer: string, detail: string): RejectedItem => ({ kind: "rejected", code, pointer, detail, text })

const isJsonType = (contentType: string): boolean => /^[^;]*[/+]json\s*(;|$)/i.test(contentType)

/** A body that is not JSON, or is other JSON than `wanted`. */
const badJson = (text: string, wanted: string): BadBody => {
  const fault = findJsonFault(text)
  return bad(400, "json", fault === undefined ? wanted : `not valid JSON: ${describeJsonFault(text, fault)}`)
}

type Fields = Readonly<Record<string, unknown>>

const parseBounded = (text: string): { readonly value: unknown } | RejectedItem => {
  if (exceedsBytes(text, EVENT_BYTES_MAX)) return rejected(text, "too-large", "", `larger than ${EVENT_BYTES_MAX} bytes`)
  const failure = prescan(text)
  if (failure !== undefined) return rejected(text, failure.code, "", failure.detail)
  try {
    const value: unknown = parseSecurely(text, undefined, { safe: true })
    if (value === null && text.trim() !== "null") return rejected(text, "forbidden-key", "", "has a key __proto__ or constructor.prototype")
    return { value }
  } catch {
    const fault = findJsonFault(text)
    return rejected(text, "json", "", fault === undefined ? "not valid JSON" : `not valid JSON: ${describeJsonFault(text, fault)}`)
  }
}

const fromNative = (fields: Fields): ClaimedFields => ({
  id: fields["id"],
  type: fields["type"],
  time: fields["time"],
  source: fields["source"],
  userId: fields["userId"],
  anonymousId: fields["anonymousId"],
  sessionId: fields["sessionId"],
  schemaVersion: fields["schemaVersion"],
  data: fields["data"]
})

const schemaVersionOf = (value: unknown): unknown => (typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value)

const fromCloudEvent = (fields: Fields): ClaimedFields => ({
  id: fields["id"],
  type: fields["type"],
  time: fields["time"],
  source: fields["source"],
  userId: fields["userid"],
  anonymousId: fields["anonymousid"],
  sessionId: fields["sessionid"],
  schemaVersion: schemaVersionOf(fields["schemaversion"]),
  data: fields["data"]
})

const cloudEventFault = (text: string, fields: Fields): RejectedItem | undefined => {
  if (fields["specversion"] !== "1.0") return rejected(text, "specversion", "/specversion", "expected CloudEvents 1.0")
  for (const name of ["id", "source"]) if (fields[name] === undefined) return rejected(text, "required", `/${name}`, "CloudEvents require it")
  const { time } = fields
  if (time !== undefined && time !== null && typeof time !== "string") return rejected(text, "time", "/time", "CloudEvents demand RFC 3339 text, for example 2026-01-31T12:00:00Z")
  if (fields["data_base64"] !== undefined) return rejected(text, "data", "/data_base64", "binary data is not taken; send JSON in data")
  const type = fields["datacontenttype"]
  return type === undefined || (typeof type === "string" && isJsonType(type)) ? undefined : rejected(text, "data", "/datacontenttype", "expected a JSON content type")
}

const ignoredOf = (names: readonly string[], cloudEvents: boolean): { readonly ignored?: string } => {
  const ignored = ignoredHint(names, cloudEvents)
  return ignored === undefined ? {} : { ignored }
}

const givenTwice = (name: string): string => `${name} is given more than once and no value is chosen for you: keep one and send it again`

const itemOf = (text: string, cloudEvents: boolean): Item => {
  const parsed = parseBounded(text)
  if ("kind" in parsed) return parsed
  const { value } = parsed
  const members = membersOf(text)
  if (typeof value !== "object" || value === null || members === undefined) return rejected(text, "json", "", "expected an object")
  const twice = repeatedMember(members.map(({ key }) => key), cloudEvents)
  if (twice !== undefined) return rejected(text, "json", `/${twice}`, givenTwice(twice))
  const fields = value as Fields
  const fault = cloudEvents ? cloudEventFault(text, fields) : undefined
  if (fault !== undefined) return fault
  return { kind: "event", fields: cloudEvents ? fromCloudEvent(fields) : fromNative(fields), dataText: memberText(text, members, "data"), text, ...ignoredOf(Object.keys(fields), cloudEvents) }
}

/** One event kept as it was received: a CloudEvent where it says so. */
export const keptItem = (text: string): Item => itemOf(text, membersOf(text)?.some(({ key }) => key === "specversion") === true)

const tooManyEvents = bad(413, "too-many-events", `more than ${EVENTS_MAX} events`)

const itemsOf = (texts: readonly string[], cloudEvents: boolean, sentAtMs?: number): SplitItems | BadBody =>
  texts.length > EVENTS_MAX
    ? tooManyEvents
    : { kind: "items", items: texts.map((text) => itemOf(text, cloudEvents)), sentAtMs, single: false }

/** `whole`: the body that `text` is a part of. */
const splitArray = (text: string, cloudEvents: boolean, sentAtMs?: number, whole = text): SplitItems | BadBody => {
  const elements = elementsOf(text)
  return elements === undefined ? badJson(whole, text === whole ? "expected a JSON array" : "expected events to be a JSON array") : itemsOf(elements.map(({ from, to }) => text.slice(from, to)), cloudEvents, sentAtMs)
}

const single = (text: string, cloudEvents: boolean): SplitItems | BadBody => {
  const item = itemOf(text, cloudEvents)
  return item.kind === "rejected" && item.code === "json" ? bad(400, "json", item.detail) : { kind: "items", items: [item], sentAtMs: undefined, single: true }
}

const sentAtOf = (text: string | undefined): number | undefined | BadBody => {
  if (text === undefined || text === "null") return undefined
  let ms: number | undefined
  try {
    ms = text.length > 64 ? undefined : parseTime(JSON.parse(text))
  } catch {
    ms = undefined
  }
  return ms ?? bad(400, "time", "sentAt is neither RFC 3339 nor Unix milliseconds")
}

const splitJson = (text: string): SplitItems | BadBody => {
  const first = text[skipSpace(text, 0)]
  if (first === "[") return splitArray(text, false)
  const members = first === "{" ? membersOf(text) : undefined
  if (members === undefined) return badJson(text, "expected a JSON object or array")
  const events = memberText(text, members, "events")
  if (events === undefined || memberText(text, members, "type") !== undefined) return single(text, false)
  const names = members.map(({ key }) => key)
  const twice = repeatedAround(names)
  if (twice !== undefined) return bad(400, "json", givenTwice(twice))
  const sentAtMs = sentAtOf(memberText(text, members, "sentAt"))
  if (typeof sentAtMs === "object") return sentAtMs
  const split = splitArray(events, false, sentAtMs, text)
  if (split.kind === "bad") return split
  const ignored = ignoredAroundHint(names)
  return ignored === undefined ? split : { ...split, ignored }
}

const UNREADABLE_START = '{"unreadable":'
const REASON_LENGTH_MAX = 500

/** What an importer could not read, in its own words; undefined when the line is something else. */
const unreadableOf = (text: string): RejectedItem | undefined => {
  const parsed = text.startsWith(UNREADABLE_START) ? parseBounded(text) : undefined
  if (parsed === undefined || "kind" in parsed) return undefined
  const { unreadable, reason, ...others } = parsed.value as Fields
  if (typeof unreadable !== "string" || typeof reason !== "string" || Object.keys(others).length > 0) return undefined
  return rejected(unreadable, "unreadable", "", reason.slice(0, REASON_LENGTH_MAX))
}

const splitLines = ({ text, imported = false, dirtyLines }: RequestBody): SplitItems | BadBody => {
  const lines = text.split("\n").flatMap((untrimmed, i) => {
    const line = untrimmed.trim()
    return line === "" ? [] : [{ line, number: i + 1 }]
  })
  if (lines.length > EVENTS_MAX) return tooManyEvents
  const items = lines.map(({ line, number }): Item => {
    const dirty = dirtyLines?.has(number) === true ? rejected(line, "utf-8", "", "not valid UTF-8") : undefined
    return { ...(dirty ?? (imported ? unreadableOf(line) : undefined) ?? itemOf(line, false)), line: number }
  })
  return { kind: "items", items, sentAtMs: undefined, single: false }
}

const BINARY_ATTRIBUTES = ["specversion", "id", "source", "type", "time", "userid", "anonymousid", "sessionid", "schemaversion"]

const splitBinary = (body: RequestBody): SplitItems | BadBody => {
  const fields: Record<string, unknown> = { __proto__: null }
  for (const name of BINARY_ATTRIBUTES) {
    const value = body.header(`ce-${name}`)
    if (value === undefined) continue
    try {
      fields[name] = decodeURIComponent(value)
    } catch {
      return bad(400, "header", `ce-${name} is not percent-encoded UTF-8`)
    }
  }
  const text = body.text.trim()
  if (text !== "" && !isJsonType(body.contentType)) return bad(415, "content-type", "expected a JSON content type")
  const one = (item: Item): SplitItems => ({ kind: "items", items: [item], sentAtMs: undefined, single: true })
  const fault = cloudEventFault(text, fields)
  if (fault !== undefined) return one(fault)
  const ignored = ignoredOf((body.headerNames ?? []).filter((name) => name.startsWith("ce-")).map((name) => name.slice(3)), true)
  if (text === "") return one({ kind: "event", fields: fromCloudEvent(fields), dataText: undefined, text, ...ignored })
  const parsed = parseBounded(text)
  if ("kind" in parsed) return parsed.code === "json" ? bad(400, "json", parsed.detail) : one(parsed)
  return one({ kind: "event", fields: fromCloudEvent({ ...fields, data: parsed.value }), dataText: text, text, ...ignored })
}

const utf8 = new TextDecoder("utf-8", { fatal: true })
const latin1 = new TextDecoder("latin1")

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    utf8.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Indices of the array's elements that are not UTF-8; undefined when the body is no array of events. Structure is ASCII, so bytes are read as such. */
const dirtyElements = (bytes: Uint8Array): ReadonlySet<number> | undefined => {
  const text = latin1.decode(bytes)
  const events = text[skipSpace(text, 0)] === "[" ? { from: 0, to: text.length } : membersOf(text)?.findLast(({ key }) => key === "events")
  const elements = events === undefined ? undefined : elementsOf(text.slice(events.from, events.to))
  if (events === undefined || elements === undefined) return undefined
  return new Set([...elements.keys()].filter((index) => {
    const { from, to } = elements[index] ?? { from: 0, to: 0 }
    return !isUtf8(bytes.subarray(events.from + from, events.from + to))
  }))
}

/** The events of a request body, in order; never throws. */
export const splitBody = (body: RequestBody): SplitItems | BadBody => {
  const split = splitText(body)
  if (body.dirtyBytes === undefined || split.kind === "bad") return split
  const dirty = split.single ? undefined : dirtyElements(body.dirtyBytes)
  if (dirty === undefined || dirty.size === 0) return bad(400, "utf-8", "the body is not valid UTF-8")
  return { ...split, items: split.items.map((item, index) => (dirty.has(index) ? rejected(item.text, "utf-8", "", "not valid UTF-8") : item)) }
}

const splitText = (body: RequestBody): SplitItems | BadBody => {
  const type = (body.contentType.split(";")[0] ?? "").trim().toLowerCase()
  if (type === "application/cloudevents+json") return single(body.text, true)
  if (type === "application/cloudevents-batch+json") return splitArray(body.text, true)
  if (body.header("ce-specversion") !== undefined) return splitBinary(body)
  if (type === "application/x-ndjson") return splitLines(body)
  if (type === "application/json" || type === "text/plain") return splitJson(body.text)
  return bad(415, "content-type", "expected application/json, application/x-ndjson, text/plain or CloudEvents")
}
