import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decodeRecord, encodeEvent } from "./envelope.ts"
import type { EventAttributes } from "./event.ts"
import { encodeHeartbeat, encodeLateApplied, encodeLogCreated } from "./systemRecords.ts"

const event: EventAttributes = {
  id: "e-1", source: "urn:tidemark:key:tm_wk_ab", type: "page.viewed", timeMs: 1_000, receivedAtMs: 2_000, tenantId: "default",
  partitionKey: "default:u-1", schemaVersion: 2, userId: "u-1"
}
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))
const fields = () => JSON.parse(text(encodeEvent(event, undefined))) as Record<string, unknown>

describe("the record of an event", () => {
  it("is a CloudEvents 1.0 object with lower-case extension attributes", () => {
    expect(JSON.parse(text(encodeEvent(event, '{"page":"/"}')))).toEqual({
      specversion: "1.0", id: "e-1", source: "urn:tidemark:key:tm_wk_ab", type: "page.viewed", time: "1970-01-01T00:00:01.000Z",
      tenantid: "default", receivedat: "1970-01-01T00:00:02.000Z", schemaversion: 2, partitionkey: "default:u-1", userid: "u-1",
      datacontenttype: "application/json", data: { page: "/" }
    })
  })

  it("holds the payload as received, digit for digit", () => {
    expect(text(encodeEvent(event, '{"n":9007199254740993,"x":1.10}'))).toContain('"data":{"n":9007199254740993,"x":1.10}}')
  })

  it("property: read again is the same event, for any text", () => {
    const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    const record = fc.record({ id: word, source: word, tenantId: word, partitionKey: word, userId: fc.option(word, { nil: undefined }), backfill: fc.option(word, { nil: undefined }), data: fc.jsonValue() })
    fc.assert(
      fc.property(record, ({ data, ...attributes }) => {
        const decoded = decodeRecord(encodeEvent({ ...event, ...attributes, originalTimeMs: 5_000, timeFlag: "clamped" }, JSON.stringify(data)))
        expect(decoded).toEqual({ kind: "event", event: { ...event, ...attributes, originalTimeMs: 5_000, timeFlag: "clamped", data: JSON.parse(JSON.stringify(data)) as unknown } })
      })
    )
  })

  it.each([["not JSON", "{", ""], ["an array", "[]", ""], ["no tenant", { ...fields(), tenantid: undefined }, "/tenantid"],
    ["another version", { ...fields(), specversion: "0.3" }, "/specversion"], ["a number as user", { ...fields(), userid: 7 }, "/userid"],
    ["no time", { ...fields(), time: "yesterday" }, "/time"], ["a time after its receive time", { ...fields(), time: "1970-01-01T00:00:02.001Z" }, "/time"],
    ["an unknown system record", { ...fields(), type: "tidemark.unknown" }, "/data"]])(
    "is undecodable with %s and says where", (_name, value, pointer) => {
      expect(decodeRecord(bytes(value))).toEqual({ kind: "undecodable", code: "ENVELOPE", pointer })
    })

  it("is undecodable when its bytes are not UTF-8", () => {
    expect(decodeRecord(new Uint8Array([0x22, 0xff, 0x22]))).toMatchObject({ kind: "undecodable" })
  })
})

describe("system records", () => {
  it("are read as what they are", () => {
    const created = { timeMs: 7, logId: "log-1", partitions: 4, lanes: 2, partition: 3 }
    expect(decodeRecord(encodeLogCreated(created))).toEqual({ kind: "system", record: { system: "created", ...created } })
    expect(decodeRecord(encodeHeartbeat(9))).toEqual({ kind: "system", record: { system: "heartbeat", timeMs: 9 } })
  })

  it("carry the original of a released late event whole", () => {
    const original = encodeEvent(event, '{"page":"/x"}')
    expect(decodeRecord(encodeLateApplied(9, 3, 2n ** 53n + 1n, original))).toEqual({
      kind: "system",
      record: { system: "late-applied", timeMs: 9, partition: 3, offset: 2n ** 53n + 1n, original: { ...event, data: { page: "/x" } } }
    })
    const by = { actor: "tm_admin", reason: 'a phone came back "late"' }
    expect(decodeRecord(encodeLateApplied(9, 3, 1n, original, by))).toMatchObject({ kind: "system", record: { ...by, original: { id: event.id } } })
    expect(decodeRecord(bytes(text(encodeLateApplied(9, 3, 1n, original)).replace('"tenantid"', '"tenant"')))).toMatchObject({ kind: "undecodable" })
  })
})
