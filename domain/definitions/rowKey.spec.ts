import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { keyIdOf } from "./rowKey.ts"

describe("row key", () => {
  it.each([
    ["t", ["ab", "c"], "t", ["a", "bc"]],
    ["t", ["a", ""], "t", ["a"]],
    ["t", ["1:a"], "t", ["", "a"]],
    ["t1", ["a"], "t", ["1a"]],
    ["t", [], "t", [""]]
  ])("tells (%s, %j) from (%s, %j)", (tenant, key, otherTenant, otherKey) => {
    expect(keyIdOf(tenant, key)).not.toBe(keyIdOf(otherTenant, otherKey))
  })

  it("property: is the same for equal keys only, in 32 hex characters", () => {
    const key = fc.array(fc.string({ unit: fc.constantFrom("1", "2", ":", "a"), maxLength: 4 }), { maxLength: 3 })
    fc.assert(fc.property(key, key, (one, two) => {
      expect(keyIdOf("t", one)).toMatch(/^[0-9a-f]{32}$/)
      expect(keyIdOf("t", one) === keyIdOf("t", two)).toBe(JSON.stringify(one) === JSON.stringify(two))
    }), { numRuns: 1000 })
  })
})
