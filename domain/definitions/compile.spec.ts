import { describe, expect, it } from "vitest"
import type { EventEnvelope } from "../events/event.ts"
import { hashUtf8 } from "../measures/hash.ts"
import type { MeasureSpec } from "../measures/measure.ts"
import { compileDefinition, createExtraction } from "./compile.ts"
import { defineProjection } from "./definition.ts"
import type { DefinitionInput } from "./definition.ts"

const eventOf = (data: unknown, more: Partial<EventEnvelope> = {}): EventEnvelope => ({
  id: "e1", source: "s", type: "a", timeMs: 0, receivedAtMs: 0, tenantId: "t", partitionKey: "p", schemaVersion: 1, data, ...more
})
const compiled = (more: Partial<DefinitionInput>) =>
  compileDefinition(defineProjection({ name: "n", version: 1, handles: [{ type: "a" }], key: {}, measures: { n: { kind: "count" } }, ...more }), 1)
/** "ok" with key and values, "filtered", or code and pointer. */
const extractOf = (more: Partial<DefinitionInput>, event: EventEnvelope): unknown => {
  const out = createExtraction()
  const result = compiled(more).extract(event, out)
  if (result === "ok") return { key: out.key, values: out.values }
  return result === "dead" ? `${out.code} ${out.pointer}` : result
}
const measured = (spec: MeasureSpec, data: unknown): unknown => extractOf({ measures: { n: spec } }, eventOf(data))
const adds = (value: unknown) => ({ key: [], values: [value] })

describe("what a projection takes", () => {
  it("filters types it does not name; * is every other type", () => {
    expect(extractOf({}, eventOf({}, { type: "b" }))).toBe("filtered")
    expect(extractOf({ handles: [{ type: "*" }] }, eventOf({}, { type: "b" }))).toEqual(adds(1))
  })

  it("filters events for which the filter is false or null; another value is a dead letter", () => {
    const filter = "event.data.f"
    expect(extractOf({ filter }, eventOf({ f: true }))).toEqual(adds(1))
    expect(extractOf({ filter }, eventOf({ f: false }))).toBe("filtered")
    expect(extractOf({ filter }, eventOf({}))).toBe("filtered")
    expect(extractOf({ filter }, eventOf({ f: "true" }))).toBe("EXPRESSION /filter")
    expect(extractOf({ filter: "event.data.f > 1" }, eventOf({}))).toBe("EXPRESSION /filter")
  })

  it("upcasts older versions, and leaves version 0 and newer ones as they are", () => {
    const more = { handles: [{ type: "page.viewed", upcastTo: 2 }], key: { ms: "event.data.durationMs" } }
    const keyAt = (schemaVersion: number, durationSeconds: unknown = 2) =>
      extractOf(more, eventOf({ durationSeconds }, { type: "page.viewed", schemaVersion }))
    expect(keyAt(1)).toEqual({ key: ["2000"], values: [1] })
    for (const version of [0, 2, 3]) expect(keyAt(version)).toEqual({ key: ["(none)"], values: [1] })
    expect(keyAt(1, "2")).toBe("UPCAST /data")
  })
})

describe("keys", () => {
  it("are dimension texts in name order; no scalar is a dead letter", () => {
    const key = { b: "event.data.b", a: "event.data.a" }
    expect(extractOf({ key }, eventOf({ a: 1, b: "(none)" }))).toEqual({ key: ["1", "\\(none)"], values: [1] })
    expect(extractOf({ key }, eventOf({ a: 1, b: [] }))).toBe("EXPRESSION /key/b")
    expect(extractOf({ key }, eventOf({ a: 2 ** 53 }))).toBe("UNSAFE_INTEGER /key/a")
  })
})

describe("measures", () => {
  it("add nothing for null, unless required", () => {
    for (const kind of ["count", "sum", "min", "max", "uniques", "quantiles"] as const) {
      expect(measured({ kind, of: "event.data.v" }, {})).toEqual(adds(null))
      expect(measured({ kind, of: "event.data.v", required: true }, {})).toBe("MEASURE_MISSING /measures/n")
    }
  })

  it("add nothing where the condition is false or null, required or not", () => {
    const spec: MeasureSpec = { kind: "sum", of: "event.data.v", where: "event.data.w", required: true }
    expect(measured(spec, { w: true, v: 1 })).toEqual(adds(1_000_000))
    expect(measured(spec, { w: false })).toEqual(adds(null))
    expect(measured(spec, {})).toEqual(adds(null))
    expect(measured(spec, { w: 1, v: 1 })).toBe("EXPRESSION /measures/n")
  })

  it("refuse JSON integers beyond 2^53 - 1, also inside an expression", () => {
    const safe = 2 ** 53 - 1
    for (const kind of ["sum", "min", "max", "quantiles", "uniques", "count"] as const) {
      expect(measured({ kind, of: "event.data.v" }, { v: safe + 1 })).toBe("UNSAFE_INTEGER /measures/n")
      expect(measured({ kind, of: "event.data.v - 1" }, { v: -safe - 1 })).toBe("UNSAFE_INTEGER /measures/n")
    }
    expect(measured({ kind: "sum", of: "event.data.v", scale: 0 }, { v: safe })).toEqual(adds(safe))
    expect(measured({ kind: "sum", of: "event.data.v", scale: 0 }, { v: "9007199254740993" })).toEqual(adds(9_007_199_254_740_993n))
  })

  it("sum exactly and round the others half to even", () => {
    expect(measured({ kind: "sum", of: "event.data.v", scale: 1 }, { v: 0.25 })).toBe("DECIMAL_SCALE /measures/n")
    for (const kind of ["min", "max", "quantiles"] as const) expect(measured({ kind, of: "event.data.v", scale: 1 }, { v: 0.25 })).toEqual(adds(2))
    expect(measured({ kind: "sum", of: "event.data.v" }, { v: "many" })).toBe("EXPRESSION /measures/n")
    expect(measured({ kind: "sum", of: "event.data.v" }, { v: true })).toBe("EXPRESSION /measures/n")
  })

  it("subtract where told to, and never add a negative zero", () => {
    const spec: MeasureSpec = { kind: "sum", of: "event.data.v", negateWhere: "event.data.back", scale: 0 }
    expect(measured(spec, { v: 5, back: true })).toEqual(adds(-5))
    expect(measured(spec, { v: 0, back: true })).toEqual(adds(0))
    expect(measured(spec, { v: 5 })).toEqual(adds(5))
    expect(measured(spec, { v: 0, back: 1 })).toBe("EXPRESSION /measures/n")
  })

  it("hash whole texts for uniques, however long", () => {
    const text = "x".repeat(2_000)
    const [out, hash] = [createExtraction(), new Uint32Array(4)]
    expect(compiled({ measures: { n: { kind: "uniques", of: "event.data.v" } } }).extract(eventOf({ v: text }), out)).toBe("ok")
    hashUtf8(text, 1, hash)
    expect(out).toMatchObject({ values: [""], hashHi: [hash[0]], hashLo: [hash[1]] })
    expect(measured({ kind: "uniques", of: "event.data.v" }, { v: { a: 1 } })).toBe("EXPRESSION /measures/n")
  })
})

describe("dead letters", () => {
  it("leave every accumulator as it was, whichever measure fails", () => {
    const projection = compiled({
      measures: { a: { kind: "count" }, b: { kind: "uniques", of: "event.id" }, c: { kind: "quantiles", of: "event.data.c" }, d: { kind: "sum", of: "event.data.d" } }
    })
    const out = createExtraction()
    const accumulators = projection.createAccumulators()
    const fold = (data: unknown): string => {
      const result = projection.extract(eventOf(data), out)
      if (result === "ok") projection.apply(out, accumulators)
      return result
    }
    const bytes = () => accumulators.map((accumulator) => accumulator.encode())
    expect(fold({ c: 1, d: 1 })).toBe("ok")
    const before = bytes()
    for (const data of [{ c: "x", d: 1 }, { c: 1, d: "0.0000001" }, { c: 1, d: 2 ** 60 }, { c: {}, d: 1 }]) {
      expect(fold(data)).toBe("dead")
      expect(bytes()).toEqual(before)
    }
    expect(fold({ c: 1, d: 1 })).toBe("ok")
    expect(bytes()).not.toEqual(before)
  })
})
