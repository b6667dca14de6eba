import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { EventEnvelope } from "../events/event.ts"
import { UnsafeIntegerError } from "./eventPath.ts"
import { compileExpression, interpretExpression } from "./expression.ts"
import { DefinitionMissingError, ExpressionSyntaxError, readExpression } from "./expressionSyntax.ts"

const eventOf = (data: unknown, more: Partial<EventEnvelope> = {}): EventEnvelope => ({
  id: "e1", source: "s", type: "order.paid", timeMs: 60_000, receivedAtMs: 61_000, tenantId: "t", partitionKey: "p", schemaVersion: 1, data, ...more
})
const evaluate = (text: string, data: unknown = {}, more: Partial<EventEnvelope> = {}): unknown => {
  const event = eventOf(data, more)
  return compileExpression(text)(event, data)
}
const thrownBy = (act: () => unknown): unknown => {
  try {
    act()
  } catch (cause) {
    return cause
  }
  return undefined
}

describe("event paths", () => {
  it.each([
    ["event.data.a.b", { a: { b: "x" } }, "x"],
    ["event.data.a.b", { a: {} }, null],
    ["event.data.a.b", {}, null],
    ["event.data.a.b", { a: "text" }, null],
    ["event.data.a.b", undefined, null],
    ["event.data.a", { a: null }, null],
    ["event.data.constructor", {}, null],
    ["event.data.items.length", { items: [1] }, null],
    ["event.userid", {}, null],
    ["event.nothing.known", {}, null],
    ["event.type.length", {}, null],
    ["  event . data . a ", { a: 1 }, 1]
  ])("%s of %j is %j, compiled and interpreted", (text, data, value) => {
    expect(compileExpression(text)(eventOf(data), data)).toEqual(value)
    expect(interpretExpression(text)(eventOf(data), data)).toEqual(value)
  })

  it("read the attributes; the subject is the user, else the anonymous visitor", () => {
    expect(evaluate("event.time")).toBe(60_000)
    expect(evaluate("event.receivedat")).toBe(61_000)
    expect(evaluate("event.backfill", {}, { backfill: "march" })).toBe("march")
    expect(evaluate("event.subject", {}, { userId: "7", anonymousId: "9" })).toBe("u:7")
    expect(evaluate("event.subject", {}, { anonymousId: "9" })).toBe("a:9")
    expect(evaluate("event.subject")).toBeNull()
  })
})

describe("CEL over an event", () => {
  it.each([
    ["event.data.n + 1", { n: 1 }, 2],
    ["event.data.n + 1", { n: 1.5 }, 2.5],
    ["event.data.n * 1.5", { n: 2 }, 3],
    ["event.data.n / 100", { n: 1999 }, 19.99],
    ["event.data.n % 2 == 0", { n: 4 }, true],
    ["event.data.a + event.data.b", { a: 1, b: 0.5 }, 1.5],
    ["event.data.n == 1", { n: 1 }, true],
    ["event.data.n in [1, 2]", { n: 2 }, true],
    ["7 / 2", {}, 3],
    ["size(event.data.s) + 1", { s: "abc" }, 4],
    ["event.data.s.startsWith('ab')", { s: "abc" }, true],
    ["event.data.items.exists(item, item.quantity + 1 > 2)", { items: [{ quantity: 2 }] }, true],
    ["'event.data.n + 1'", {}, "event.data.n + 1"]
  ])("%s of %j is %j", (text, data, value) => {
    expect(evaluate(text, data)).toEqual(value)
  })

  it("keeps all digits of an integer beyond 2^53", () => {
    expect(evaluate("9007199254740993 + 0")).toBe(9_007_199_254_740_993n)
    expect(evaluate("9007199254740991 + 0")).toBe(2 ** 53 - 1)
  })

  it.each([
    ["has(event.data.a.b)", { a: { b: 0 } }, true],
    ["has(event.data.a.b)", { a: { b: null } }, false],
    ["has(event.data.a.b)", {}, false],
    ["!has(event.data.a) || event.data.a > 1", {}, true],
    ["event.data.a == null", {}, true],
    ["event.data.a.b != null", { a: { b: 1 } }, true],
    ["event.data.a == 1", {}, false],
    ["event.data.a != null && event.data.a > 1", {}, false],
    ["has(event.userid) ? 'known' : 'unknown'", {}, "unknown"]
  ])("%s of %j is %j", (text, data, value) => {
    expect(evaluate(text, data)).toBe(value)
  })

  it("has no order, sum or truth of null", () => {
    for (const text of ["event.data.a > 1", "event.data.a + 1", "!event.data.a", "event.data.a ? 1 : 2"]) expect(() => evaluate(text)).toThrow()
  })

  it("refuses numbers whose digits are lost, and what is no number", () => {
    const data = { n: 2 ** 53 }
    for (const text of ["event.data.n", "event.data.n + 1", "referrerHost(event.data.n)"]) {
      expect(() => compileExpression(text)(eventOf(data), data)).toThrow(UnsafeIntegerError)
      expect(() => interpretExpression(text)(eventOf(data), data)).toThrow(UnsafeIntegerError)
    }
    expect(() => evaluate("event.data.n + 1", { n: 2 ** 53 - 1 })).toThrow(UnsafeIntegerError)
    expect(evaluate("event.data.n", { n: 2 ** 53 - 1 })).toBe(2 ** 53 - 1)
    expect(thrownBy(() => evaluate("event.data.n / 0", { n: 1 }))).not.toBeInstanceOf(UnsafeIntegerError)
    expect(() => evaluate("event.data.n / 0", { n: 1 })).toThrow(RangeError)
  })
})

describe("expression syntax", () => {
  it.each([
    ["geoCountry(event.data.ip)", "geoCountry"],
    ["event.data.ip.geoCountry()", "geoCountry"],
    ["1 == 1 || event.data.ip.geoCountry() == 'x'", "geoCountry"],
    ["event.data.items.exists(x, geoCountry(x) == 'x')", "geoCountry"],
    ["event.data.s.matches('(a+)+$')", "matches"],
    ["timestamp('2026-01-01T00:00:00.000')", "timestamp"]
  ])("%s lacks the helper %s", (text, name) => {
    expect(thrownBy(() => compileExpression(text))).toEqual(new DefinitionMissingError({ name }))
  })

  it.each([
    ["event.data. + 1", 12],
    ["event.data.a >", 14],
    ["", 0],
    ["1 + event", 4],
    ["1 + path__0", 4],
    ["1 + other.field", 4],
    ["event.data.a > null", 0]
  ])("says where %j fails: character %i", (text, at) => {
    const fault = thrownBy(() => compileExpression(text))
    expect(fault).toBeInstanceOf(ExpressionSyntaxError)
    expect(fault).toMatchObject({ at })
  })

  it("names the paths and helpers of a text", () => {
    const { paths, helpers, plain } = readExpression("has(event.data.a) && deviceClass(event.data.b.c) == 'bot'")
    expect(paths.map(({ names, has }) => [names.join("."), has])).toEqual([["data.a", true], ["data.b.c", false]])
    expect([...helpers]).toEqual(["deviceClass"])
    expect(plain).toBeUndefined()
  })
})

describe("compiled expressions", () => {
  const name = fc.constantFrom("a", "b", "c")
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, true, 0, -0, 1, 1.5, 2 ** 53, "", "https://Example.org/x", "Googlebot"),
      fc.dictionary(name, tie("json")),
      fc.array(tie("json"), { maxLength: 2 })
    )
  }))
  const path = fc.oneof(
    fc.array(name, { maxLength: 3 }).map((names) => ["event", "data", ...names].join(".")),
    fc.constantFrom("event.type", "event.subject", "event.time", "event.userid", "event.unknown")
  )
  const text = fc.tuple(path, fc.constantFrom("", "referrerHost", "deviceClass")).map(([of, helper]) => (helper === "" ? of : `${helper}(${of})`))
  const outcome = (act: () => unknown): unknown => {
    try {
      return act()
    } catch (cause) {
      return cause instanceof UnsafeIntegerError ? "UNSAFE_INTEGER" : "EXPRESSION"
    }
  }

  it("property: compiled equals interpreted, and equals CEL around the same path", () => {
    fc.assert(fc.property(text, json, fc.option(fc.string(), { nil: undefined }), (source, data, userId) => {
      const event = eventOf(data, { userId })
      const compiled = outcome(() => compileExpression(source)(event, data))
      expect(outcome(() => interpretExpression(source)(event, data))).toEqual(compiled)
      expect(outcome(() => compileExpression(`true ? ${source} : ${source}`)(event, data))).toEqual(compiled)
    }), { numRuns: 300 })
  })
})
