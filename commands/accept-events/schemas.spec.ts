import { describe, expect, it } from "vitest"
import { SchemaRefusedError, makeSchemaRegistry } from "./schemas.ts"

const duration = (type: string) => ({ type: "object", properties: { durationMs: { type }, path: { type: "string", pattern: "^(/[a-z]*)+$" } }, required: ["durationMs"], additionalProperties: false })
const registry = makeSchemaRegistry([
  { type: "page.viewed", version: 1, schema: duration("number") },
  { type: "page.viewed", version: 2, schema: duration("integer") }
])

describe("schemas", () => {
  it("checks against the client's version, else the newest", () => {
    expect(registry.check("page.viewed", undefined, { durationMs: 1 })).toEqual({ kind: "match", version: 2 })
    expect(registry.check("page.viewed", 1, { durationMs: 1.5 })).toEqual({ kind: "match", version: 1 })
    expect(registry.check("page.viewed", undefined, { durationMs: 1.5 })).toMatchObject({ kind: "mismatch" })
    expect(registry.check("page.viewed", 3, { durationMs: 1 })).toMatchObject({ code: "schema-version", pointer: "/schemaVersion", hint: "the newest is 2" })
  })

  it("names the place and the reason", () => {
    expect(registry.check("page.viewed", undefined, { durationMs: "1" })).toMatchObject({ code: "schema", pointer: "/data/durationMs", detail: "expected integer, got string" })
    expect(registry.check("page.viewed", undefined, {})).toMatchObject({ pointer: "/data/durationMs", detail: "is required" })
    expect(registry.check("page.viewed", undefined, { durationMs: 1, "a/b": 1 })).toMatchObject({ pointer: "/data/a~1b", detail: "is not in the schema" })
    expect(registry.check("page.viewed", undefined, undefined)).toMatchObject({ kind: "mismatch", pointer: "/data" })
  })

  it("takes a type without schema as version 0 and points at a near name", () => {
    expect(registry.check("order.placed", undefined, 1)).toEqual({ kind: "match", version: 0, hint: undefined })
    expect(registry.check("page.veiwed", undefined, 1)).toEqual({ kind: "match", version: 0, hint: "did you mean page.viewed?" })
    expect(registry.check("order.placed", 1, 1)).toMatchObject({ code: "schema-version" })
  })

  it("runs patterns in linear time", () => {
    expect(registry.check("page.viewed", undefined, { durationMs: 1, path: `${"/a".repeat(10_000)}!` })).toMatchObject({ pointer: "/data/path" })
    expect(registry.check("page.viewed", undefined, { durationMs: 1, path: "/a/b" })).toMatchObject({ kind: "match" })
  })

  it("refuses remote references, $data, back references and doubles", () => {
    const bad = [{ $ref: "https://example.org/x" }, { type: "number", minimum: { $data: "1/a" } }, { pattern: "(a)\\1" }, { $async: true }]
    for (const schema of bad) expect(() => makeSchemaRegistry([{ type: "a", version: 1, schema }]), JSON.stringify(schema)).toThrow(SchemaRefusedError)
    expect(() => makeSchemaRegistry([{ type: "a", version: 1, schema: true }, { type: "a", version: 1, schema: true }])).toThrow(SchemaRefusedError)
  })
})
