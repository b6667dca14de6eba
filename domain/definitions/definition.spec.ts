import { describe, expect, it } from "vitest"
import { canonicalJson } from "./canonicalJson.ts"
import { compileDefinition } from "./compile.ts"
import { definitionHash, defineProjection, parseDefinition } from "./definition.ts"
import type { DefinitionInput } from "./definition.ts"
import { DefinitionMissingError } from "./expressionSyntax.ts"

const input: DefinitionInput = {
  name: "sales",
  version: 1,
  handles: [{ type: "order.refunded" }, { type: "order.paid" }],
  key: { shop: "event.data.shop", currency: "event.data.currency" },
  measures: { orders: { kind: "count" }, amount: { kind: "sum", of: "event.data.amount" } }
}
const sales = defineProjection(input)

describe("projection definition", () => {
  it("has every default filled in", () => {
    expect(sales).toMatchObject({
      window: { sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 604_800_000 },
      keyMax: 10_000,
      textBytesMax: 512,
      measures: { amount: { scale: 6 } }
    })
    expect(defineProjection({ ...input, window: { reviseWithinMs: 0 } }).window).toEqual({ sizeMs: 60_000, outOfOrdernessMs: 10_000, reviseWithinMs: 0 })
    expect(defineProjection(sales)).toEqual(sales)
  })

  it("has one order of names, so that equal hashes mean equal key order", () => {
    const turned = defineProjection({
      ...input,
      handles: [...input.handles].reverse(),
      key: { currency: "event.data.currency", shop: "event.data.shop" },
      measures: { amount: { of: "event.data.amount", scale: 6, kind: "sum" }, orders: { kind: "count" } }
    })
    expect(definitionHash(turned)).toBe(definitionHash(sales))
    const { dimensionNames, measureNames } = compileDefinition(turned, 1)
    expect([dimensionNames, measureNames]).toEqual([["currency", "shop"], ["amount", "orders"]])
  })

  it.each<[string, object]>([
    ["unknown field colour", { colour: "red" }],
    ["unknown field window.size", { window: { size: 1 } }],
    ["unknown field handles.upTo", { handles: [{ type: "a", upTo: 2 }] }],
    ["unknown field measures.n.of2", { measures: { n: { kind: "count", of2: "event.id" } } }],
    ["unknown field measures.n.scale", { measures: { n: { kind: "uniques", of: "event.id", scale: 1 } } }],
    ["unknown field measures.n.negateWhere", { measures: { n: { kind: "max", of: "event.data.n", negateWhere: "true" } } }],
    ["measures.n.kind", { measures: { n: { kind: "median", of: "event.data.n" } } }],
    ["measures.n.of", { measures: { n: { kind: "sum" } } }],
    ["measures.n.scale", { measures: { n: { kind: "sum", of: "event.data.n", scale: 19 } } }],
    ["measures", { measures: {} }],
    ["measures.a-b", { measures: { "a-b": { kind: "count" } } }],
    ["key.1", { key: { 1: "event.id" } }],
    ["key.a", { key: { a: 1 } }],
    ["name", { name: "Sales" }],
    ["version", { version: 0 }],
    ["handles", { handles: [] }],
    ["handles name a type twice", { handles: [{ type: "a" }, { type: "a" }] }],
    ["window.sizeMs is no part of an hour", { window: { sizeMs: 7_000_001 } }],
    ["key.a, character 10: Unexpected token: EOF", { key: { a: "event.id +" } }],
    ["filter, character 0: no such overload: int > string", { filter: "1 > 'a'" }]
  ])("is refused: %s", (fault, wrong) => {
    expect(() => defineProjection({ ...input, ...wrong })).toThrow(new RangeError(`definition: ${fault}`))
  })

  it("halts on a helper this binary lacks, when defined, hashed and compiled; its rows can still be read", () => {
    const stored = parseDefinition(canonicalJson({ ...sales, filter: "event.data.ip.geoCountry() == 'IS'" }))
    for (const act of [() => defineProjection(stored), () => definitionHash(stored), () => compileDefinition(stored, 1)]) expect(act).toThrow(DefinitionMissingError)
  })

  it("is read back from its stored text as it was", () => {
    const stored = canonicalJson(sales)
    expect(parseDefinition(stored)).toEqual(sales)
    expect(Object.keys(parseDefinition(stored).key)).toEqual(Object.keys(sales.key))
    expect(definitionHash(parseDefinition(stored))).toBe(definitionHash(sales))
    expect(() => parseDefinition("null")).toThrow(RangeError)
    expect(() => parseDefinition("{")).toThrow(SyntaxError)
  })
})

describe("definition hash", () => {
  it("is stable from release to release", () => {
    expect(definitionHash(sales)).toBe("8e2d44a143683a117daa568086497d74dde3f1642c782891e1deff449059be24")
  })

  it("changes with the document, the helpers it calls and the upcasters it uses", () => {
    const hashes = [
      sales,
      { ...sales, version: 2 },
      { ...sales, filter: "event.data.shop != null" },
      { ...sales, filter: "deviceClass(event.data.shop) != null" },
      { ...sales, handles: [{ type: "page.viewed", upcastTo: 2 }] },
      { ...sales, handles: [{ type: "page.viewed", upcastTo: 1 }] }
    ].map(definitionHash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})

describe("canonical JSON", () => {
  it("sorts names by code unit, keeps list order and leaves out what is undefined", () => {
    expect(canonicalJson({ b: [2, 1, null], a: { é: 1, z: "\"", Z: -0 }, c: undefined })).toBe('{"a":{"Z":0,"z":"\\"","é":1},"b":[2,1,null]}')
  })
})
