import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { dimensionText, NONE, OTHER } from "./dimensionText.ts"

const bytesOf = (text: string | undefined): number => new TextEncoder().encode(text).length
const seed = 7

describe("dimension text", () => {
  it.each([
    [null, "(none)"], [undefined, "(none)"], ["", ""], ["/a", "/a"], [0, "0"], [-0, "0"], [1.5, "1.5"], [1e-7, "1e-7"], [true, "true"],
    ["(none)", "\\(none)"], ["\\(none)", "\\\\(none)"], ["__other__", "\\__other__"], ["(none) ", "(none) "], ["\\", "\\"]
  ])("of %j is %j", (value, text) => {
    expect(dimensionText(value, 512, seed)).toBe(text)
  })

  it("of an integer beyond 2^53, as an expression may give, has all digits", () => {
    expect(dimensionText(9_007_199_254_740_993n, 512, seed)).toBe("9007199254740993")
  })

  it("is not of what is no JSON scalar", () => {
    for (const value of [{}, [], NaN, Infinity, new Uint8Array(1)]) expect(dimensionText(value, 512, seed)).toBeUndefined()
  })

  it("keeps 512 bytes and shortens 513 to a prefix and a hash of the whole", () => {
    expect(dimensionText("x".repeat(512), 512, seed)).toBe("x".repeat(512))
    const long = dimensionText("x".repeat(513), 512, seed)
    expect(long).toMatch(/^x{477}…[0-9a-f]{32}$/)
    expect(bytesOf(long)).toBe(512)
    expect(dimensionText(`${"x".repeat(513)}y`, 512, seed)).not.toBe(dimensionText(`${"x".repeat(513)}z`, 512, seed))
  })

  it("cuts between characters, and keeps a byte order mark", () => {
    const text = dimensionText("😀".repeat(200), 512, seed)
    expect(text).toMatch(/^(?:😀){119}…[0-9a-f]{32}$/u)
    expect(dimensionText(`\ufeff${"x".repeat(600)}`, 512, seed)?.startsWith("\ufeffx")).toBe(true)
  })

  it("property: fits, is never a reserved text, and short texts stay distinct", () => {
    const text = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.tuple(fc.constantFrom("", "\\", "\\\\"), fc.constantFrom(NONE, OTHER)).map((parts) => parts.join("")))
    fc.assert(fc.property(text, text, (one, two) => {
      const shown = dimensionText(one, 128, seed)
      expect(bytesOf(shown)).toBeLessThanOrEqual(128)
      expect([NONE, OTHER]).not.toContain(shown)
      if (one !== two) expect(dimensionText(two, 128, seed)).not.toBe(shown)
    }), { numRuns: 500 })
  })
})
