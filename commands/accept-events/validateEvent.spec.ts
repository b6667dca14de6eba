import { describe, expect, it } from "vitest"
import { splitBody } from "./splitBody.ts"
import { validateEvent } from "./validateEvent.ts"

const validate = (text: string) => {
  const split = splitBody({ contentType: "application/json", header: () => undefined, text })
  const item = split.kind === "items" ? split.items[0] : undefined
  if (item?.kind !== "event") throw new Error("not an event")
  return validateEvent(item)
}

describe("validateEvent", () => {
  it("takes an event with every attribute, time as RFC 3339 or Unix ms", () => {
    const text = `{"type":"page.viewed","id":"1","time":"1970-01-01T00:00:01Z","userId":"u","anonymousId":"a","sessionId":"s","source":"web","schemaVersion":2,"data":{"p":1.10}}`
    expect(validate(text)).toEqual({
      type: "page.viewed", id: "1", clientTimeMs: 1_000, userId: "u", anonymousId: "a", sessionId: "s", source: "web", schemaVersion: 2, data: { p: 1.1 }, dataText: `{"p":1.10}`
    })
    expect(validate(`{"type":"a","time":1000,"userId":null}`)).toMatchObject({ clientTimeMs: 1_000, userId: undefined })
  })

  it("names the code and the place of the first fault", () => {
    const faults: readonly (readonly [string, string, string])[] = [
      [`{}`, "required", "/type"],
      [`{"type":7}`, "attribute", "/type"],
      [`{"type":"tidemark.heartbeat"}`, "reserved-type", "/type"],
      [`{"type":"a","id":"${"ü".repeat(65)}"}`, "attribute", "/id"],
      [`{"type":"a","userId":42}`, "attribute", "/userId"],
      [`{"type":"a","sessionId":""}`, "attribute", "/sessionId"],
      [`{"type":"a","time":"yesterday"}`, "time", "/time"],
      [`{"type":"a","time":1.5}`, "time", "/time"],
      [`{"type":"a","schemaVersion":-1}`, "attribute", "/schemaVersion"],
      [`{"type":"a","userId":"x\\u0000"}`, "text", "/userId"],
      [`{"type":"a","data":{"a/b":["ok","\\ud800"]}}`, "text", "/data/a~1b/1"],
      [`{"type":"a","data":{"k\\u0000":1}}`, "text", "/data"],
      [`{"type":"a","data":"${"\ud800"}"}`, "text", "/data"]
    ]
    for (const [text, code, pointer] of faults) expect(validate(text), text).toMatchObject({ code, pointer })
  })

  it("takes an id of exactly 128 bytes and surrogate pairs", () => {
    expect(validate(`{"type":"a","id":"${"ü".repeat(64)}","data":"\\ud83d\\ude00"}`)).toMatchObject({ id: "ü".repeat(64), data: "😀" })
  })

  it("says how to send a numeric id", () => {
    expect(validate(`{"type":"a","userId":42}`)).toMatchObject({ hint: `send it as a string: "42"` })
  })
})
