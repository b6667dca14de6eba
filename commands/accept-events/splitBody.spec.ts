import { describe, expect, it } from "vitest"
import { DEPTH_MAX, KEYS_MAX, prescan } from "./prescan.ts"
import { EVENTS_MAX, splitBody } from "./splitBody.ts"
import type { Item, SplitItems } from "./splitBody.ts"

const split = (text: string, contentType = "application/json", headers: Record<string, string> = {}) =>
  splitBody({ contentType, header: (name) => headers[name], text })

const items = (text: string, contentType?: string, headers?: Record<string, string>): SplitItems => {
  const result = split(text, contentType, headers)
  if (result.kind === "bad") throw new Error(`${result.code}: ${result.detail}`)
  return result
}

const dataTexts = (list: readonly Item[]) => list.map((item) => (item.kind === "event" ? item.dataText : item.code))

describe("prescan", () => {
  it("takes depth 32 and 1,000 keys, and refuses one more", () => {
    expect(prescan("[".repeat(DEPTH_MAX) + "]".repeat(DEPTH_MAX))).toBeUndefined()
    expect(prescan("[".repeat(DEPTH_MAX + 1))?.code).toBe("too-deep")
    const keys = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":1`).join()}}`
    expect(prescan(keys(KEYS_MAX))).toBeUndefined()
    expect(prescan(keys(KEYS_MAX + 1))?.code).toBe("too-many-keys")
  })

  it("counts nothing inside strings, escaped quotes included", () => {
    expect(prescan(JSON.stringify({ a: `\\"${"[{:".repeat(2_000)}` }))).toBeUndefined()
    expect(prescan(`["\\\\",${"[".repeat(40)}]`)?.code).toBe("too-deep")
  })
})

describe("splitBody", () => {
  it("keeps the digits of data as received in every form", () => {
    const data = `{"n": 9007199254740993, "p":1.10, "s":"]}\\"," }`
    const event = `{"type":"a", "data": ${data} ,"id":"1"}`
    const cloud = `{"specversion":"1.0","id":"1","source":"s","type":"a","data":${data}}`
    expect(dataTexts(items(event).items)).toEqual([data])
    expect(dataTexts(items(`[${event} , ${event}]`).items)).toEqual([data, data])
    expect(dataTexts(items(`{"sentAt":1,"events":[${event}]}`, "text/plain;charset=UTF-8").items)).toEqual([data])
    expect(dataTexts(items(`${event}\r\n\n${event}`, "application/x-ndjson").items)).toEqual([data, data])
    expect(dataTexts(items(cloud, "application/cloudevents+json; charset=utf-8").items)).toEqual([data])
    expect(dataTexts(items(`[${cloud}]`, "application/cloudevents-batch+json").items)).toEqual([data])
    expect(dataTexts(items(data, "application/json", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "a" }).items)).toEqual([data])
  })

  it("reads CloudEvents attributes, percent-encoded in headers", () => {
    const headers = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "a", "ce-userid": "z%C3%BC", "ce-schemaversion": "3" }
    const [item] = items("", "", headers).items
    expect(item).toMatchObject({ kind: "event", fields: { id: "1", source: "s", type: "a", userId: "zü", schemaVersion: 3 }, dataText: undefined })
  })

  it("refuses a body whose events or sentAt are given twice, and only the event that says twice what is stored", () => {
    for (const text of [`{"events":[{"type":"a"}],"events":[{"type":"b"}]}`, `{"events":[],"\\u0065vents":[{"type":"b"}]}`, `{"sentAt":1,"events":[{"type":"a"}],"sentAt":2}`, `{"type":"a","type":"b"}`]) {
      expect(split(text), text).toMatchObject({ kind: "bad", status: 400, code: "json", detail: expect.stringMatching(/^(events|sentAt|type) is given more than once and no value is chosen for you: keep one and send it again$/) as string })
    }
    const list = items(`[{"type":"a","data":1},{"type":"b","data":1,"d\\u0061ta":2},{"type":"c","id":"1","id":"1"},{"type":"d","note":1,"note":2,"data":{"x":1,"x":2}}]`).items
    expect(list.map((item) => (item.kind === "event" ? item.fields.type : [item.code, item.pointer, item.detail]))).toEqual(["a", ["json", "/data", "data is given more than once and no value is chosen for you: keep one and send it again"], ["json", "/id", expect.stringMatching(/^id is given more than once/) as string], "d"])
    const cloud = `{"specversion":"1.0","id":"1","source":"s","type":"a","userid":"u","userid":"v"}`
    expect(dataTexts(items(`[${cloud}]`, "application/cloudevents-batch+json").items)).toEqual(["json"])
  })

  it("refuses a CloudEvent whose time is no text, by its own result", () => {
    const cloud = (time: string) => `{"specversion":"1.0","id":"1","source":"s","type":"a","time":${time}}`
    const codes = (list: readonly Item[]) => list.map((item) => (item.kind === "event" ? "event" : [item.code, item.pointer]))
    const batch = `[${[`5`, `"2026-01-31T12:00:00Z"`, `1700000000000`, `true`, `null`].map(cloud).join()}]`
    expect(codes(items(batch, "application/cloudevents-batch+json").items)).toEqual([["time", "/time"], "event", ["time", "/time"], ["time", "/time"], "event"])
    expect(codes(items(cloud("5"), "application/cloudevents+json").items)).toEqual([["time", "/time"]])
  })

  it("rejects an item that cannot be parsed and keeps the others", () => {
    const deep = `{"type":"a","data":${"[".repeat(40)}${"]".repeat(40)}}`
    const list = items(`[{"type":"a"},{"type":tru},7,${deep},{"type":"b","data":"${"x".repeat(40_000)}"},{"type":"c"}]`).items
    expect(list.map((item) => (item.kind === "event" ? item.fields.type : item.code))).toEqual(["a", "json", "json", "too-deep", "too-large", "c"])
  })

  it("rejects __proto__ and constructor.prototype, and pollutes nothing", () => {
    const list = items(`[{"type":"a","data":{"__proto__":{"x":1}}},{"type":"a","data":{"constructor":{"prototype":{"x":1}}}},{"type":"a","data":{"\\u005f_proto__":{}}}]`).items
    expect(list.map((item) => item.kind === "rejected" && item.code)).toEqual(["forbidden-key", "forbidden-key", "forbidden-key"])
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined()
  })

  it("names members and CloudEvents extensions that the record has no place for", () => {
    const ignored = (list: readonly Item[]) => list.map((item) => item.kind === "event" && item.ignored)
    const cloud = `{"specversion":"1.0","id":"1","source":"s","type":"a","traceparent":"00","userId":"u","tenantid":"x"}`
    const told = "not stored: traceparent, userId (did you mean userid?), tenantid; put what belongs to the event into data"
    expect(ignored(items(cloud, "application/cloudevents+json").items)).toEqual([told])
    expect(ignored(items(`{"type":"a","timestamp":1,"data":{"x":1}}`).items)).toEqual(["not stored: timestamp (did you mean time?); put what belongs to the event into data"])
    const headers: Record<string, string> = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "a", "ce-traceparent": "00" }
    const binary = splitBody({ contentType: "application/json", header: (name) => headers[name], headerNames: [...Object.keys(headers), "accept"], text: "{}" })
    expect(binary.kind === "items" && ignored(binary.items)).toEqual(["not stored: traceparent; put what belongs to the event into data"])
  })

  it("loses only the elements of an array that are not UTF-8", () => {
    const bytes = (text: string) => Buffer.from(text.replaceAll("?", "\u00ff"), "latin1")
    const dirty = (text: string, contentType = "application/json") =>
      splitBody({ contentType, header: () => undefined, text: new TextDecoder().decode(bytes(text)), dirtyBytes: bytes(text) })
    const codes = (text: string) => {
      const result = dirty(text)
      return result.kind === "bad" ? [result.status, result.code] : result.items.map((item) => (item.kind === "event" ? item.fields.type : item.code))
    }
    expect(codes(`[{"type":"a"},{"type":"b","data":"?"},{"type":"c","data":"?\\""},{"type":"d"}]`)).toEqual(["a", "utf-8", "utf-8", "d"])
    expect(codes(`{"sentAt":1,"events":[{"type":"?"},{"type":"z"}]}`)).toEqual(["utf-8", "z"])
    expect(codes(`{"type":"?"}`)).toEqual([400, "utf-8"])
    expect(codes(`{"?":1,"events":[{"type":"z"}]}`)).toEqual([400, "utf-8"])
  })

  it("tells a single event from a batch and reads sentAt", () => {
    expect(items(`{"type":"a"}`).single).toBe(true)
    expect(items(`[{"type":"a"}]`).single).toBe(false)
    expect(items(`{"events":[],"sentAt":"1970-01-01T00:00:01Z"}`)).toEqual({ kind: "items", items: [], sentAtMs: 1_000, single: false })
  })

  it("answers 400, 413 or 415 when the body as a whole cannot be taken", () => {
    for (const text of ["", "7", "{", "[{}", "[{},]", "[1 2]", `{"a" 1}`, `{"events":{}}`, `{"events":[],"sentAt":"soon"}`, `{"type":tru}`, "[".repeat(200_000)]) {
      expect(split(text), text.slice(0, 40)).toMatchObject({ kind: "bad", status: 400 })
    }
    expect(split(`[${"1,".repeat(EVENTS_MAX)}1]`)).toMatchObject({ kind: "bad", status: 413 })
    expect(split("a,b", "text/csv")).toMatchObject({ kind: "bad", status: 415 })
  })
})
