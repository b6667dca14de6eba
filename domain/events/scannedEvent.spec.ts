import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { compileDefinition, createExtraction } from "../definitions/compile.ts"
import { defineProjection } from "../definitions/definition.ts"
import { hashUtf8 } from "../measures/hash.ts"
import { dataSlotOf } from "./dataSlots.ts"
import { decodeRecord, encodeEvent } from "./envelope.ts"
import type { EventAttributes, EventEnvelope } from "./event.ts"
import { PartitionState } from "./partitionState.ts"
import { ScannedEvent } from "./scannedEvent.ts"
import { encodeHeartbeat } from "./systemRecords.ts"

const RUNS = 2_000
const SEED = 7
const event: EventAttributes = {
  id: "e-1", source: "urn:tidemark:key:tm_wk_ab", type: "page.viewed", timeMs: 1_000, receivedAtMs: 2_000, tenantId: "default", partitionKey: "default:u-1", schemaVersion: 2, userId: "u-1"
}
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

const ascii = fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.replaceAll(/["\\]/g, "q"))
const any = fc.oneof(ascii, fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), fc.string({ unit: "binary", minLength: 1, maxLength: 6 }).filter((text) => new TextDecoder().decode(bytesOf(text)) === text))
const optional = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined })
const instant = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
const attributesOf = (text: fc.Arbitrary<string>): fc.Arbitrary<EventAttributes> =>
  fc.record({
    id: text, source: text, type: fc.oneof(text, fc.constant("page.viewed"), fc.constant("tidemark.x")), tenantId: text, partitionKey: text, schemaVersion: fc.nat(),
    userId: optional(text), anonymousId: optional(text), sessionId: optional(text), backfill: optional(text), timeFlag: fc.constantFrom("corrected" as const, "clamped" as const, undefined),
    times: fc.tuple(instant, fc.nat(1e9)), originalTimeMs: fc.option(instant, { nil: undefined })
  }).map(({ times: [timeMs, ageMs], ...rest }) => ({ ...rest, timeMs, receivedAtMs: Math.min(timeMs + ageMs, 253_402_300_799_999) }))

const FIELDS = ["page", "durationMs", "n"]
const number = fc.oneof(fc.double().map(String), fc.integer().map(String), fc.constantFrom("-0", "0", "1e3", "-1.5E-7", "9007199254740993", "123456789012345", "01", "1.", "+1", "-", "1e", ".5"))
const jsonText = fc.oneof(fc.json(), number, any.map((text) => JSON.stringify(text)), fc.constantFrom("\"\\u0041\"", "\"\\ud800\"", "\"\\x\"", "\"\t\"", "tru", "nul", "[1,]", "[[[]]]", "{\"a\":{}}", " 1", "[ ]", ""))
const objectText = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...FIELDS, "__proto__", "\\u0070age"), ascii.map((text) => JSON.stringify(text).slice(1, -1))), jsonText), { maxLength: 5 })
  .map((fields) => `{${fields.map(([name, value]) => `"${name}":${value}`).join(",")}}`)

const plain = (envelope: EventEnvelope): EventEnvelope => ({
  id: envelope.id, source: envelope.source, type: envelope.type, timeMs: envelope.timeMs, receivedAtMs: envelope.receivedAtMs, tenantId: envelope.tenantId, partitionKey: envelope.partitionKey,
  schemaVersion: envelope.schemaVersion, userId: envelope.userId, anonymousId: envelope.anonymousId, sessionId: envelope.sessionId, backfill: envelope.backfill,
  originalTimeMs: envelope.originalTimeMs, timeFlag: envelope.timeFlag, data: envelope.data
})

const hashOf = (text: string): readonly number[] => {
  const out = new Uint32Array(4)
  hashUtf8(text, SEED, out)
  return [...out.subarray(0, 2)]
}

/** Everything a scanned record answers is what the decoder says; a record that is not taken asserts nothing. Answers whether it was taken. */
const agrees = (scanned: ScannedEvent, record: Uint8Array): boolean => {
  const decoded = decodeRecord(record)
  const buffer = Uint8Array.of(0x7b, ...record, 0x22, 0x7d)
  if (!scanned.scan(buffer, 1, record.length + 1)) return false
  if (decoded.kind !== "event") throw new Error(`taken, though it is ${JSON.stringify(decoded)}`)
  const { event: expected } = decoded
  for (const name of FIELDS) {
    const { data } = expected
    const isField = typeof data === "object" && data !== null && !Array.isArray(data) && Object.hasOwn(data, name)
    expect(scanned.field(dataSlotOf(name))).toEqual(isField ? (data as Record<string, unknown>)[name] : undefined)
  }
  expect(plain(scanned)).toEqual(expected)
  const out = new Uint32Array(4)
  scanned.hashId(SEED, out)
  expect([...out.subarray(0, 2)]).toEqual(hashOf(expected.id))
  const subject = expected.userId !== undefined ? `u:${expected.userId}` : expected.anonymousId !== undefined ? `a:${expected.anonymousId}` : undefined
  expect(scanned.hashSubject(SEED, out)).toBe(subject !== undefined)
  if (subject !== undefined) expect([...out.subarray(0, 2)]).toEqual(hashOf(subject))
  return true
}

describe("a record read where it lies", () => {
  it("property: is the event the decoder reads, for whatever attributes and payload were written", () => {
    const scanned = new ScannedEvent()
    for (const name of FIELDS) dataSlotOf(name)
    let taken = 0
    fc.assert(
      fc.property(fc.oneof(attributesOf(ascii), attributesOf(any)), fc.option(fc.oneof(jsonText, objectText), { nil: undefined }), (attributes, data) => {
        if (agrees(scanned, encodeEvent(attributes, data))) taken += 1
      }),
      { numRuns: RUNS }
    )
    expect(taken).toBeGreaterThan(RUNS / 20)
  })

  it("property: is refused or the same with any byte changed, added or lost", () => {
    const scanned = new ScannedEvent()
    const record = encodeEvent({ ...event, originalTimeMs: 900, timeFlag: "corrected", anonymousId: "a", sessionId: "s", backfill: "b" }, `{"page":"/","x":[1,{"y":null}],"durationMs":12.5}`)
    fc.assert(
      fc.property(fc.nat(record.length - 1), fc.nat(255), fc.constantFrom("change", "add", "lose"), (at, byte, how) => {
        const rest = record.subarray(how === "add" ? at : at + 1)
        agrees(scanned, Uint8Array.from([...record.subarray(0, at), ...(how === "lose" ? [] : [byte]), ...rest]))
      }),
      { numRuns: RUNS }
    )
  })

  it("takes what ingest writes, and leaves system records and other orders to the decoder", () => {
    const scanned = new ScannedEvent()
    const written = encodeEvent(event, `{"page":"/é","nested":{"a":["\\n"]}}`)
    expect(agrees(scanned, written)).toBe(true)
    expect(agrees(scanned, encodeEvent({ ...event, originalTimeMs: 1, timeFlag: "clamped" }, undefined))).toBe(true)
    const { id, ...others } = JSON.parse(new TextDecoder().decode(written)) as Record<string, unknown>
    for (const text of [JSON.stringify({ ...others, id }), JSON.stringify({ id, ...others }, null, 1)]) expect(agrees(scanned, bytesOf(text))).toBe(false)
    expect(agrees(scanned, encodeHeartbeat(5))).toBe(false)
  })

  it("property: is extracted, and known as a duplicate, as the decoded event is", () => {
    const definition = defineProjection({
      name: "p", version: 1, handles: [{ type: "page.viewed", upcastTo: 2 }, { type: "*" }], filter: "event.data.n != 3.0", key: { page: "event.data.page", deep: "event.data.n.a" },
      measures: { all: { kind: "count" }, who: { kind: "uniques", of: "event.subject" }, n: { kind: "uniques", of: "event.data.n" }, ms: { kind: "quantiles", of: "event.data.durationMs" } }
    })
    const compiled = compileDefinition(definition, SEED)
    const scanned = new ScannedEvent()
    fc.assert(
      fc.property(fc.array(fc.tuple(attributesOf(fc.constantFrom("a", "b", "c")), objectText), { minLength: 1, maxLength: 6 }), (records) => {
        const [one, other] = [new PartitionState(0, SEED), new PartitionState(0, SEED)]
        for (const [attributes, data] of records) {
          const record = encodeEvent({ ...attributes, schemaVersion: attributes.schemaVersion % 3 }, data)
          const decoded = decodeRecord(record)
          if (!scanned.scan(record, 0, record.length) || decoded.kind !== "event") continue
          expect(one.observe({ kind: "event", event: scanned })).toEqual(other.observe(decoded))
          const [left, right] = [createExtraction(), createExtraction()]
          const outcome = compiled.extract(scanned, left)
          expect(outcome).toBe(compiled.extract(decoded.event, right))
          expect(outcome === "dead" ? [left.code, left.pointer] : outcome === "ok" ? left : 0).toEqual(outcome === "dead" ? [right.code, right.pointer] : outcome === "ok" ? right : 0)
        }
        expect([one.receivedMaxMs, one.tenantMaxMs()]).toEqual([other.receivedMaxMs, other.tenantMaxMs()])
      }),
      { numRuns: RUNS }
    )
  })
})
