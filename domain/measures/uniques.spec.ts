import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { hashUtf8 } from "./hash.ts"
import { rankOf, registerOf } from "./hyperloglog.ts"
import { DENSE_FROM, EXACT_MAX, Uniques } from "./uniques.ts"

const out = new Uint32Array(4)
const addText = (uniques: Uniques, text: string, seed: number): void => {
  hashUtf8(text, seed, out)
  uniques.addHash(out[0]!, out[1]!)
}

const ofSize = (size: number, seed: number): Uniques => {
  const uniques = new Uniques()
  for (let i = 0; i < size; i++) addText(uniques, `u:${i}`, seed)
  return uniques
}

describe("uniques", () => {
  it("is exact up to 256 distinct texts, however often each comes", () => {
    const uniques = ofSize(EXACT_MAX, 1)
    uniques.merge(ofSize(EXACT_MAX, 1))
    expect(uniques.estimate()).toEqual({ value: 256, exact: true, errorBound: 0 })
    expect(uniques.encode().length).toBe(1 + 256 * 8)
  })

  it("estimates from the 257th distinct text on and says so", () => {
    const { value, exact, errorBound } = ofSize(EXACT_MAX + 1, 1).estimate()
    expect(exact).toBe(false)
    expect(Math.abs(value - 257)).toBeLessThanOrEqual(errorBound)
    expect(errorBound).toBe(Math.ceil(value * 3 * 0.008125))
  })

  it("property: lies within its stated bound, three standard errors, at every size", () => {
    const sizes = [300, 1_000, 3_000, 5_000, 12_000, 20_000, 40_000, 70_000, 150_000]
    for (const size of sizes) {
      for (const seed of [1, 2, 3]) {
        const { value, errorBound } = ofSize(size, seed).estimate()
        expect(Math.abs(value - size), `size ${size}, seed ${seed}, estimate ${value}`).toBeLessThanOrEqual(errorBound)
      }
    }
  })

  it("has no bias: the mean of 60 estimates is within three standard errors of the mean", () => {
    const size = 8_000
    const runs = 60
    let total = 0
    for (let seed = 100; seed < 100 + runs; seed++) total += ofSize(size, seed).estimate().value
    expect(Math.abs(total / runs / size - 1)).toBeLessThan((3 * 0.008125) / Math.sqrt(runs))
  })

  it("counts a merge as the union, not the sum", () => {
    const union = ofSize(5_000, 9)
    union.merge(ofSize(3_000, 9))
    expect(union.encode()).toEqual(ofSize(5_000, 9).encode())
  })

  it("property: the form is a function of the set, across both limits", () => {
    fc.assert(fc.property(fc.constantFrom(255, 256, 257, 258, 4_500, 4_700, 4_900), fc.nat(5), fc.nat(), (size, parts, seed) => {
      const split = Array.from({ length: parts + 1 }, () => new Uniques())
      for (let i = size - 1; i >= 0; i--) {
        addText(split[i % split.length]!, `u:${i}`, seed)
        addText(split[(i * 7) % split.length]!, `u:${i}`, seed)
      }
      const merged = new Uniques()
      for (const part of split) merged.merge(part)
      expect(merged.encode()).toEqual(ofSize(size, seed).encode())
    }), { numRuns: 40 })
  })

  it("stores pairs while fewer than 4,096 registers are non-zero, then 6 bits per register", () => {
    const uniques = new Uniques()
    for (let register = 0; register < DENSE_FROM - 1; register++) uniques.addHash((register << 18) >>> 0, 1)
    expect(uniques.encode().length).toBe(1 + (DENSE_FROM - 1) * 3)
    expect(Uniques.decode(uniques.encode()).encode()).toEqual(uniques.encode())
    uniques.addHash((16_383 << 18) >>> 0, 1)
    expect(uniques.encode().length).toBe(1 + 12_288)
    expect(Uniques.decode(uniques.encode()).estimate()).toEqual(uniques.estimate())
  })

  it("counts the hash that is all zeros like any other, in every position", () => {
    const zeroFirst = new Uniques()
    zeroFirst.addHash(0, 0)
    zeroFirst.addHash(0, 0)
    expect(zeroFirst.estimate().value).toBe(1)
    zeroFirst.merge(ofSize(256, 4))
    const zeroLast = ofSize(256, 4)
    zeroLast.addHash(0, 0)
    expect(zeroLast.estimate().exact).toBe(false)
    expect(zeroFirst.encode()).toEqual(zeroLast.encode())
  })

  it("splits a hash into 14 bits of register and the place of the first one in the other 50", () => {
    expect([registerOf(0xffffffff), registerOf(0x0003ffff), registerOf(0x00040000)]).toEqual([16_383, 0, 1])
    expect([rankOf(0x00020000, 0), rankOf(1, 0), rankOf(0, 0x80000000), rankOf(0, 1), rankOf(0, 0)])
      .toEqual([1, 18, 19, 50, 51])
  })
})
