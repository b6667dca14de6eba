/**
 * An event read where it lies: its record was walked over once, and an attribute or a field of the payload is made only
 * when somebody asks for it. One instance is used for record after record: what it answers holds until the next `scan`.
 *
 * Takes only what `encodeEvent` writes, with plain ASCII attributes; everything else is left to `decodeRecord`, which
 * gives the same event for every record taken here. Rules: docs/semantics.md §2.
 */
import { hashRange } from "../measures/hash.ts"
import { parseRfc3339Bytes } from "../time/rfc3339.ts"
import { dataSlots, findDataSlot } from "./dataSlots.ts"
import type { EventEnvelope } from "./event.ts"
import { phrase, plainStringEnd, skipPhrase, skipValue } from "./jsonScan.ts"
import type { Phrase } from "./jsonScan.ts"
import { SYSTEM_PREFIX } from "./systemRecords.ts"
import { asciiText } from "./textCache.ts"

const HEAD = phrase(`{"specversion":"1.0","id":"`)
const SOURCE = phrase(`","source":"`)
const TYPE = phrase(`","type":"`)
const TIME = phrase(`","time":"`)
const TENANT = phrase(`","tenantid":"`)
const RECEIVED = phrase(`","receivedat":"`)
const ORIGINAL = phrase(`,"originaltime":"`)
const FLAG = phrase(`,"timeflag":"`)
const VERSION = phrase(`,"schemaversion":`)
const KEY = phrase(`,"partitionkey":"`)
const USER = phrase(`,"userid":"`)
const ANONYMOUS = phrase(`,"anonymousid":"`)
const SESSION = phrase(`,"sessionid":"`)
const BACKFILL = phrase(`,"backfill":"`)
const DATA = phrase(`,"datacontenttype":"application/json","data":`)
const CORRECTED = phrase(`corrected"`)
const CLAMPED = phrase(`clamped"`)
const SYSTEM = phrase(SYSTEM_PREFIX)
const TIME_BYTES = 24
const QUOTE = 0x22
const CLOSE = 0x7d
const VERSION_DIGITS_MAX = 9
const NUMBER_DIGITS_MAX = 15

const decoder = new TextDecoder()

/** Not read yet; no payload holds it. */
const UNREAD = Symbol("unread")

/** Where a text of the record stands: [from, to); `from` is −1 when there is none. */
interface Span {
  from: number
  to: number
}

const span = (): Span => ({ from: -1, to: -1 })

export class ScannedEvent implements EventEnvelope {
  timeMs = NaN
  receivedAtMs = NaN
  schemaVersion = 0
  originalTimeMs: number | undefined = undefined
  timeFlag: "corrected" | "clamped" | undefined = undefined
  tenantId = ""
  type = ""
  private bytes: Uint8Array = new Uint8Array()
  /** Of `bytes`. */
  private view = new DataView(this.bytes.buffer)
  private readonly idSpan = span()
  private readonly sourceSpan = span()
  private readonly tenantSpan = span()
  private readonly keySpan = span()
  private readonly userSpan = span()
  private readonly anonymousSpan = span()
  private readonly sessionSpan = span()
  private readonly backfillSpan = span()
  private readonly dataSpan = span()
  private slotFrom = new Int32Array(0)
  private slotTo = new Int32Array(0)
  private slotValues: unknown[] = []
  private parsed: unknown = UNREAD
  private subjectSeed = NaN
  private readonly subjectHash = new Uint32Array(4)
  private scratch = new Uint8Array(1_024)
  private scratchView = new DataView(this.scratch.buffer)

  get id(): string {
    return this.text(this.idSpan)
  }

  get source(): string {
    return this.text(this.sourceSpan)
  }

  get partitionKey(): string {
    return this.text(this.keySpan)
  }

  get userId(): string | undefined {
    return this.optionalText(this.userSpan)
  }

  get anonymousId(): string | undefined {
    return this.optionalText(this.anonymousSpan)
  }

  get sessionId(): string | undefined {
    return this.optionalText(this.sessionSpan)
  }

  get backfill(): string | undefined {
    return this.optionalText(this.backfillSpan)
  }

  /** The whole payload, parsed. */
  get data(): unknown {
    if (this.parsed === UNREAD) this.parsed = this.dataSpan.from < 0 ? undefined : this.parse(this.dataSpan.from, this.dataSpan.to)
    return this.parsed
  }

  /** The field of the payload with this slot (`dataSlotOf`); undefined when the payload is no object or lacks it. */
  field(slot: number): unknown {
    const known = this.slotValues[slot]
    if (known !== UNREAD) return known
    const from = this.slotFrom[slot] ?? -1
    return (this.slotValues[slot] = from < 0 ? undefined : this.value(from, this.slotTo[slot] ?? from))
  }

  /** 64-bit hash of the id into `out[0..1]`. */
  hashId(seed: number, out: Uint32Array): void {
    hashRange(this.view, this.idSpan.from, this.idSpan.to, seed, out)
  }

  /** Hash of `event.subject` into `out[0..1]`; false when there is no subject. */
  hashSubject(seed: number, out: Uint32Array): boolean {
    const { userSpan, anonymousSpan, subjectHash } = this
    const of = userSpan.from >= 0 ? userSpan : anonymousSpan
    if (of.from < 0) return false
    if (this.subjectSeed !== seed) {
      const scratch = this.room(of.to - of.from + 2)
      scratch[0] = of === userSpan ? 0x75 : 0x61
      scratch[1] = 0x3a
      const end = this.copy(of, scratch, 2)
      hashRange(this.scratchView, 0, end, seed, subjectHash)
      this.subjectSeed = seed
    }
    out[0] = subjectHash[0]!
    out[1] = subjectHash[1]!
    return true
  }

  /** Hash of the dedupe identity, the same as of `identityText`. */
  hashIdentity(seed: number, out: Uint32Array): void {
    const { tenantSpan, keySpan, backfillSpan, idSpan } = this
    const scratch = this.room(64 + (tenantSpan.to - tenantSpan.from) + (keySpan.to - keySpan.from) + (backfillSpan.to - backfillSpan.from) + (idSpan.to - idSpan.from))
    let at = this.counted(tenantSpan, scratch, 0)
    scratch[at++] = 0x1f
    at = this.counted(keySpan, scratch, at)
    scratch[at++] = 0x1f
    if (backfillSpan.from < 0) scratch[at++] = 0x2d
    else at = this.counted(backfillSpan, scratch, at)
    scratch[at++] = 0x1f
    hashRange(this.scratchView, 0, this.copy(idSpan, scratch, at), seed, out)
  }

  /** Walks over the record `bytes[from, to)`. False when it is none of this form; then the instance holds nothing. */
  scan(bytes: Uint8Array, from: number, to: number): boolean {
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    const { view } = this
    this.parsed = UNREAD
    this.subjectSeed = NaN
    this.resetSlots()
    let at = this.scanHead(bytes, skipPhrase(view, from, HEAD))
    if (at < 0) return false
    at = this.scanTimes(bytes, at)
    if (at < 0) return false
    at = this.scanKeys(bytes, at)
    if (at < 0) return false
    this.dataSpan.from = -1
    const dataAt = skipPhrase(view, at, DATA)
    if (dataAt >= 0) {
      at = bytes[dataAt] === 0x7b ? this.scanData(bytes, dataAt) : skipValue(bytes, dataAt)
      this.dataSpan.from = dataAt
      this.dataSpan.to = at
    }
    return at >= 0 && bytes[at] === CLOSE && at + 1 === to
  }

  private resetSlots(): void {
    const slots = dataSlots()
    if (this.slotFrom.length !== slots) {
      this.slotFrom = new Int32Array(slots)
      this.slotTo = new Int32Array(slots)
    }
    for (let slot = 0; slot < slots; slot++) {
      this.slotFrom[slot] = -1
      this.slotValues[slot] = UNREAD
    }
  }

  /** id, source, type and tenant with the times between; answers the place behind `receivedat`. */
  private scanHead(bytes: Uint8Array, start: number): number {
    const { view } = this
    let at = this.scanText(bytes, start, this.idSpan, SOURCE)
    at = this.scanText(bytes, at, this.sourceSpan, TYPE)
    const typeFrom = at
    const typeTo = at < 0 ? -1 : plainStringEnd(bytes, at)
    at = typeTo <= typeFrom ? -1 : skipPhrase(view, typeTo, TIME)
    if (at < 0 || skipPhrase(view, typeFrom, SYSTEM) >= 0) return -1
    this.timeMs = parseRfc3339Bytes(bytes, at)
    at = this.scanText(bytes, skipPhrase(view, at + TIME_BYTES, TENANT), this.tenantSpan, RECEIVED)
    if (at < 0) return -1
    this.receivedAtMs = parseRfc3339Bytes(bytes, at)
    if (!(this.timeMs <= this.receivedAtMs) || bytes[at + TIME_BYTES] !== QUOTE) return -1
    this.type = asciiText(bytes, typeFrom, typeTo)
    this.tenantId = asciiText(bytes, this.tenantSpan.from, this.tenantSpan.to)
    return at + TIME_BYTES + 1
  }

  private scanTimes(bytes: Uint8Array, start: number): number {
    const { view } = this
    this.originalTimeMs = undefined
    this.timeFlag = undefined
    let at = start
    const original = skipPhrase(view, at, ORIGINAL)
    if (original >= 0) {
      const ms = parseRfc3339Bytes(bytes, original)
      if (ms !== ms || bytes[original + TIME_BYTES] !== QUOTE) return -1
      this.originalTimeMs = ms
      at = original + TIME_BYTES + 1
    }
    const flag = skipPhrase(view, at, FLAG)
    if (flag < 0) return at
    const corrected = skipPhrase(view, flag, CORRECTED)
    this.timeFlag = corrected < 0 ? "clamped" : "corrected"
    return corrected < 0 ? skipPhrase(view, flag, CLAMPED) : corrected
  }

  private scanKeys(bytes: Uint8Array, start: number): number {
    const { view } = this
    let at = this.scanVersion(bytes, skipPhrase(view, start, VERSION))
    at = at < 0 ? -1 : skipPhrase(view, at, KEY)
    if (at < 0) return -1
    const { keySpan } = this
    keySpan.from = at
    keySpan.to = plainStringEnd(bytes, at)
    if (keySpan.to <= at) return -1
    at = this.scanOptional(bytes, keySpan.to + 1, USER, this.userSpan)
    at = this.scanOptional(bytes, at, ANONYMOUS, this.anonymousSpan)
    at = this.scanOptional(bytes, at, SESSION, this.sessionSpan)
    return this.scanOptional(bytes, at, BACKFILL, this.backfillSpan)
  }

  private scanVersion(bytes: Uint8Array, start: number): number {
    if (start < 0) return -1
    let version = 0
    let at = start
    for (let digit = (bytes[at] ?? 0) - 48; digit >= 0 && digit <= 9; digit = (bytes[at] ?? 0) - 48) {
      version = version * 10 + digit
      at++
    }
    if (at === start || at - start > VERSION_DIGITS_MAX || (bytes[start] === 0x30 && at > start + 1)) return -1
    this.schemaVersion = version
    return at
  }

  /** A text that is not empty, and what follows it. */
  private scanText(bytes: Uint8Array, at: number, into: Span, next: Phrase): number {
    if (at < 0) return -1
    into.from = at
    into.to = plainStringEnd(bytes, at)
    return into.to <= at ? -1 : skipPhrase(this.view, into.to, next)
  }

  private scanOptional(bytes: Uint8Array, at: number, name: Phrase, into: Span): number {
    into.from = -1
    into.to = -1
    if (at < 0) return -1
    const from = skipPhrase(this.view, at, name)
    if (from < 0) return at
    const to = plainStringEnd(bytes, from)
    if (to < 0) return -1
    into.from = from
    into.to = to
    return to + 1
  }

  /** An object; notes where the fields with a slot stand, the last of equal names. */
  private scanData(bytes: Uint8Array, start: number): number {
    if (bytes[start + 1] === CLOSE) return start + 2
    let at = start
    do {
      if (bytes[at + 1] !== QUOTE) return -1
      const nameFrom = at + 2
      const nameTo = plainStringEnd(bytes, nameFrom)
      if (nameTo < 0 || bytes[nameTo + 1] !== 0x3a) return -1
      const valueFrom = nameTo + 2
      at = skipValue(bytes, valueFrom)
      const slot = findDataSlot(bytes, nameFrom, nameTo)
      if (slot >= 0) {
        this.slotFrom[slot] = valueFrom
        this.slotTo[slot] = at
      }
    } while (at > 0 && bytes[at] === 0x2c)
    return at > 0 && bytes[at] === CLOSE ? at + 1 : -1
  }

  private value(from: number, to: number): unknown {
    const { bytes } = this
    if (bytes[from] === QUOTE && plainStringEnd(bytes, from + 1) === to - 1) return asciiText(bytes, from + 1, to - 1)
    let value = 0
    let at = bytes[from] === 0x2d ? from + 1 : from
    for (let digit = bytes[at]! - 48; digit >= 0 && digit <= 9 && at < to; digit = (bytes[at] ?? 0) - 48) {
      value = value * 10 + digit
      at++
    }
    if (at === to && to - from <= NUMBER_DIGITS_MAX) return bytes[from] === 0x2d ? -value : value
    return this.parse(from, to)
  }

  private parse(from: number, to: number): unknown {
    return JSON.parse(decoder.decode(this.bytes.subarray(from, to)))
  }

  private text({ from, to }: Span): string {
    return asciiText(this.bytes, from, to)
  }

  private optionalText(of: Span): string | undefined {
    return of.from < 0 ? undefined : this.text(of)
  }

  private room(length: number): Uint8Array {
    if (this.scratch.length < length) {
      this.scratch = new Uint8Array(2 * length)
      this.scratchView = new DataView(this.scratch.buffer)
    }
    return this.scratch
  }

  private copy({ from, to }: Span, target: Uint8Array, start: number): number {
    const { bytes } = this
    let at = start
    for (let i = from; i < to; i++) target[at++] = bytes[i]!
    return at
  }

  /** Length in decimal digits, a colon, and the text. */
  private counted(of: Span, target: Uint8Array, start: number): number {
    const length = of.to - of.from
    let at = start
    let unit = 1
    while (unit * 10 <= length) unit *= 10
    for (; unit >= 1; unit = Math.floor(unit / 10)) target[at++] = 48 + (Math.floor(length / unit) % 10)
    target[at++] = 0x3a
    return this.copy(of, target, at)
  }
}
