/**
 * Events as documents: what of an event can be looked up by its index, and the filter that finds every event that may
 * match a search. The filter may find too much, never too little: whoever asks looks at the record itself.
 */
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { hashHex } from "@tidemark/domain/measures/hash"
import type { EventSearch } from "@tidemark/domain/ports/SearchIndex"
import { pathSteps, textOf } from "@tidemark/domain/ports/searchMatching"
import { KEYWORD, KEYWORD_CHARS_MAX, STORED, monthOf } from "./indices.ts"
import type { IndexShape } from "./indices.ts"

/** Distinct pieces of three characters of a record, and leaves of its payload; a record with more counts as a maybe. */
const GRAMS_MAX = 2_000
const LEAVES_MAX = 300
/** Longer leaves are found by their hash. */
const LEAF_CHARS_MAX = 256
const GRAM_CHARS = 3
/** More pieces of a text asked for make the search no sharper. */
const ASKED_GRAMS_MAX = 24

const MARKED = { type: "keyword", doc_values: false } as const

/** Mappings of an index of events. */
export const EVENT_SHAPE: IndexShape = {
  settings: { refresh_interval: "-1" },
  properties: {
    tenantId: MARKED, eventId: MARKED, type: KEYWORD, userId: MARKED, sessionId: MARKED, time: { type: "long" }, receivedAt: { type: "long" },
    partition: { type: "integer" }, offset: { type: "long" }, leaves: MARKED, grams: MARKED, maybe: { type: "boolean" }, record: STORED
  }
}

/** What is kept of an indexed event. `record` is the record's text, or its bytes in base64 when they are no text. */
export interface EventSource {
  readonly offset: number
  readonly receivedAt: number
  readonly record?: string
  readonly bytes?: string
}

const tokenOf = (path: string, text: string): string => {
  const token = `${path}=${text}`
  return token.length <= LEAF_CHARS_MAX ? token : `#${hashHex(token, 0)}`
}

/** Every leaf that can be compared, as `path=text`; undefined when there are too many. */
const leavesOf = (data: unknown): readonly string[] | undefined => {
  const found: string[] = []
  const open: (readonly [path: string | undefined, value: unknown])[] = [[undefined, data]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [path, value] = next
    const text = textOf(value)
    if (text !== undefined) found.push(tokenOf(path ?? "", text))
    else if (typeof value === "object" && value !== null) {
      // A name with a point in it is reached by no path.
      for (const [name, part] of Object.entries(value)) if (!name.includes(".")) open.push([path === undefined ? name : `${path}.${name}`, part])
    }
    if (found.length + open.length > LEAVES_MAX) return undefined
  }
  return found
}

/** Half a character is no text an engine takes: pieces with one are left out, of records and of what is asked for. */
const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff

/** Which pieces of the text at hand were seen: a table of places that a text's own number marks as taken. Four times as many as there may be. */
const SLOT_BITS = 13
const slotOwner = new Uint32Array(2 ** SLOT_BITS)
const slotPiece = new Float64Array(2 ** SLOT_BITS)
let textNumber = 0

/** Marks a piece of three letters; false when it was marked for this text before. */
const isNew = (first: number, second: number, third: number): boolean => {
  const piece = first * 2 ** 32 + second * 2 ** 16 + third
  let slot = (Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b) ^ Math.imul(third, 0xc2b2ae35)) >>> (32 - SLOT_BITS)
  while (slotOwner[slot] === textNumber) {
    if (slotPiece[slot] === piece) return false
    slot = (slot + 1) % 2 ** SLOT_BITS
  }
  slotOwner[slot] = textNumber
  slotPiece[slot] = piece
  return true
}

/** Distinct pieces of three characters, lower case; undefined when there are too many. */
const gramsOf = (text: string): readonly string[] | undefined => {
  const lower = text.toLowerCase()
  const grams: string[] = []
  textNumber += 1
  if (textNumber === 2 ** 32) {
    slotOwner.fill(0)
    textNumber = 1
  }
  let [first, second] = [-1, -1]
  for (let at = 0; at < lower.length; at++) {
    const third = lower.charCodeAt(at)
    if (isSurrogate(third)) {
      first = second = -1
      continue
    }
    if (first >= 0 && isNew(first, second, third)) {
      grams.push(lower.slice(at - GRAM_CHARS + 1, at + 1))
      if (grams.length > GRAMS_MAX) return undefined
    }
    first = second
    second = third
  }
  return grams
}

const short = (text: string | undefined): string | undefined => (text === undefined || text.length > KEYWORD_CHARS_MAX ? undefined : text)

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** The document of an event, as JSON. */
export const eventDocument = (partition: number, offset: bigint, event: EventEnvelope, value: Uint8Array): string => {
  const text = decoder.decode(value)
  const isText = Buffer.from(text, "utf8").equals(value)
  const [leaves, grams] = [leavesOf(event.data), gramsOf(text)]
  const { tenantId, type, timeMs, receivedAtMs, id, userId, sessionId } = event
  const isWhole = leaves !== undefined && grams !== undefined && [tenantId, type, id, userId, sessionId].every((field) => field === undefined || short(field) !== undefined)
  return JSON.stringify({
    tenantId: short(tenantId), eventId: short(id), type: short(type), userId: short(userId), sessionId: short(sessionId), time: timeMs, receivedAt: receivedAtMs,
    partition, offset: Number(offset), leaves, grams, maybe: !isWhole, ...(isText ? { record: text } : { bytes: Buffer.from(value).toString("base64") })
  })
}

/**
 * A document of an event that the engine refuses to take whole: nothing of it is looked up, so every search of its time
 * has to look at the record.
 */
export const maybeDocument = (partition: number, offset: bigint, { tenantId, timeMs, receivedAtMs }: EventEnvelope, value: Uint8Array): string =>
  JSON.stringify({ tenantId: short(tenantId), time: timeMs, receivedAt: receivedAtMs, partition, offset: Number(offset), maybe: true, bytes: Buffer.from(value).toString("base64") })

/** The stored bytes of an event. */
export const recordOf = ({ record, bytes }: EventSource): Uint8Array => new Uint8Array(record === undefined ? Buffer.from(bytes ?? "", "base64") : Buffer.from(record, "utf8"))

const leafClause = ({ path, equals, in: oneOf }: NonNullable<EventSearch["where"]>[number]): readonly object[] => {
  const name = pathSteps(path).join(".")
  return [equals === undefined ? undefined : [equals], oneOf].flatMap((texts) => (texts === undefined ? [] : [{ terms: { leaves: texts.map((text) => tokenOf(name, text)) } }]))
}

const textClauses = (text: string): readonly object[] => {
  const grams = gramsOf(text) ?? []
  const every = Math.max(1, Math.ceil(grams.length / ASKED_GRAMS_MAX))
  return grams.filter((_, at) => at % every === 0).map((gram) => ({ term: { grams: gram } }))
}

const termClause = (field: string, value: string | undefined): readonly object[] => (value === undefined ? [] : [{ term: { [field]: value } }])

/** Finds every event that may match, of one partition below an offset. */
export const eventFilter = (query: EventSearch, partition: number, from: bigint, below: bigint): object => {
  const { tenantId, fromMs, toMs, types, eventId, userId, sessionId, text, where = [] } = query
  const sharp = [
    ...termClause("tenantId", tenantId), ...termClause("eventId", eventId), ...termClause("userId", userId), ...termClause("sessionId", sessionId),
    ...(types === undefined ? [] : [{ terms: { type: types } }]), ...where.flatMap(leafClause), ...(text === undefined ? [] : textClauses(text))
  ]
  const time = { ...(fromMs === undefined ? {} : { gte: fromMs }), ...(toMs === undefined ? {} : { lt: toMs }) }
  return {
    bool: {
      filter: [
        { term: { partition } }, { range: { offset: { gte: Number(from), lt: Number(below) } } },
        ...(fromMs === undefined && toMs === undefined ? [] : [{ range: { time } }]),
        { bool: { should: [{ bool: { filter: sharp } }, { term: { maybe: true } }], minimum_should_match: 1 } }
      ]
    }
  }
}

/** Names of everything a namespace keeps of one log's events. */
export class EventNames {
  private readonly namespace: string
  private readonly log: string

  constructor(namespace: string, logId: string) {
    this.namespace = namespace
    // A log id may hold anything; another log is another name.
    this.log = hashHex(logId, 0).slice(0, 16)
  }

  /** One index a month of receive times. */
  monthly(receivedAtMs: number): string {
    return `${this.months}${monthOf(receivedAtMs)}`
  }

  /** Begins the names of all months' indices. */
  get months(): string {
    return `${this.namespace}-events-${this.log}-`
  }

  /** How far each partition is indexed, and what was refused. */
  get state(): string {
    return `${this.namespace}-eventstate-${this.log}`
  }
}
