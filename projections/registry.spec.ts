import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import { eventTypes } from "@tidemark/domain/events/types/catalogue"
import { describe, expect, it } from "vitest"
import { projections } from "./registry.ts"

const event = (type: string, schemaVersion: number, data: unknown) => ({
  id: "1", source: "s", type, timeMs: 0, receivedAtMs: 0, tenantId: "t", partitionKey: "t:7", userId: "7", schemaVersion, data
})

/** Keys of one projection for every payload recorded with the types that ship, by type and version. */
const keysOf = (name: string): Record<string, string[]> => {
  const definition = projections.find((candidate) => candidate.name === name)
  if (definition === undefined) throw new RangeError(name)
  const compiled = compileDefinition(definition, 1)
  const out = createExtraction()
  const keys: Record<string, string[]> = {}
  for (const { type, version, fixtures } of eventTypes) {
    for (const data of fixtures) {
      const result = compiled.extract(event(type, version, data), out)
      if (result === "dead") throw new RangeError(`${type} ${version}: ${out.code} ${out.pointer}`)
      if (result === "ok") (keys[`${type} ${version}`] ??= []).push(out.key.join(" "))
    }
  }
  return keys
}

describe("shipped projections", () => {
  it("have the names, dimensions and measures that users rely on", () => {
    expect(projections.map(({ name, key, measures }) => [name, Object.keys(key), Object.keys(measures)])).toEqual([
      ["page-views", ["page"], ["duration", "views", "visitors"]],
      ["event-counts", ["type"], ["events", "users"]],
      ["requests", ["path", "status"], ["bytes", "clients", "requests"]],
      ["revenue", ["currency"], ["amount", "orders", "refunds"]],
      ["traffic-sources", ["deviceClass", "referrerHost"], ["views", "visitors"]]
    ])
  })

  it("take every recorded payload of the types they handle, and no other", () => {
    expect(keysOf("page-views")).toEqual({ "page.viewed 1": ["/", "/pricing", "/docs/start", "/blog"], "page.viewed 2": ["/", "/pricing", "/docs/start"] })
    expect(keysOf("requests")).toEqual(Object.fromEntries([1, 2].map((version) => [`http.request ${version}`, ["/images/logo.gif 200", "/ 304", "(none) 400"]])))
    expect(keysOf("revenue")).toEqual({ "order.paid 1": ["EUR", "USD", "EUR"], "order.refunded 1": ["EUR", "USD"] })
    expect(keysOf("traffic-sources")).toEqual({
      "page.viewed 1": Array.from({ length: 4 }, () => "(none) (none)"),
      "page.viewed 2": ["(none) (none)", "(none) www.example.org", "mobile (none)"]
    })
    expect(Object.keys(keysOf("event-counts"))).toEqual(eventTypes.map(({ type, version }) => `${type} ${version}`))
  })
})
