import { DDSketch } from "@datadog/sketches-js"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { parseDecimal } from "./decimal.ts"
import { Quantiles } from "./quantiles.ts"

const QS = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]

const of = (values: readonly number[], scale = 6): Quantiles => {
  const quantiles = new Quantiles(scale)
  for (const value of values) quantiles.add(value)
  return quantiles
}

/** Independent reading of the nearest-rank definition: the ⌈q·n⌉-th smallest value. */
const nearestRank = (values: readonly number[], q: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(1, Math.ceil((Math.round(q * 100) * sorted.length) / 100)) - 1]!
}

const exactAtScale = (places: number, bound: number): fc.Arbitrary<number> =>
  fc.integer({ min: -bound, max: bound }).map((n) => n / 10 ** places)
const measured = fc.array(
  fc.oneof(exactAtScale(0, 2 ** 31 - 1), exactAtScale(3, 10_000_000), exactAtScale(6, 5_000)),
  { minLength: 1, maxLength: 300 }
)

describe("quantiles", () => {
  it("property: every percentile is within 1 % of the exact nearest rank and within its own bound", () => {
    fc.assert(fc.property(measured, (values) => {
      const quantiles = of(values)
      for (const q of QS) {
        const exact = nearestRank(values, q)
        const estimate = quantiles.quantile(q)!
        const error = Math.abs(estimate.value - exact)
        expect(error).toBeLessThanOrEqual(Math.abs(exact) * 0.01 * (1 + 1e-9))
        expect(error).toBeLessThanOrEqual(estimate.errorBound * (1 + 1e-9))
      }
    }), { numRuns: 300 })
  })

  it("property: agrees with @datadog/sketches-js within the error bounds of both", () => {
    fc.assert(fc.property(fc.array(exactAtScale(3, 1e9), { minLength: 1, maxLength: 200 }), (values) => {
      const oracle = new DDSketch({ relativeAccuracy: 0.01 })
      for (const value of values) oracle.accept(value)
      const quantiles = of(values)
      for (const percent of [50, 95, 99]) {
        // The library's rank is ⌊q·(n − 1)⌋ from 0: ask it for ours, from within the step, at most 1.
        const rank = Math.ceil((percent * values.length) / 100)
        const theirs = oracle.getValueAtQuantile(Math.min(1, (rank - 0.5) / Math.max(1, values.length - 1)))
        const ours = quantiles.quantile(percent / 100)!
        expect(Math.abs(ours.value - theirs)).toBeLessThanOrEqual(ours.errorBound + Math.abs(theirs) * 0.0102)
      }
      expect(quantiles.count()).toBe(BigInt(oracle.count))
    }), { numRuns: 300 })
  })

  it("property: sum, min, max and average are exact", () => {
    fc.assert(fc.property(measured, (values) => {
      const quantiles = of(values)
      const scaled = values.map((value) => parseDecimal(value, 6)).filter((value) => typeof value === "bigint")
      const sum = scaled.reduce((total, value) => total + value, 0n)
      expect(quantiles.sum()).toBe(sum)
      expect(quantiles.min()).toBe(scaled.reduce((least, value) => (value < least ? value : least)))
      expect(quantiles.max()).toBe(scaled.reduce((most, value) => (value > most ? value : most)))
      const error = 2n * (quantiles.averageScaled()! * BigInt(values.length) - sum)
      expect((error < 0n ? -error : error) <= BigInt(values.length)).toBe(true)
    }))
  })

  it("puts every magnitude from 10^-9 to 10^12 into a bucket within 1 % of it", () => {
    for (let exponent = -9; exponent <= 12; exponent++) {
      for (const digit of [1, 1.01, 1.0202, 2.5, 9.99]) {
        const x = Number(`${digit}e${exponent}`)
        if (x > 1e12) continue
        const sketch = of([-1e15, x, 1e15], 14)
        expect(Math.abs(sketch.quantile(0.5)!.value / x - 1), String(x)).toBeLessThanOrEqual(0.01 + 1e-9)
      }
    }
  })

  it("counts |x| < 10^-9 as zero and −0 as 0", () => {
    const sketch = of([9.9e-10, -9.9e-10, 5, -5, 0], 12)
    expect(sketch.quantile(0.5)).toEqual({ value: 0, errorBound: 1e-9 })
    expect(of([-0, -0]).encode()).toEqual(of([0, 0]).encode())
    expect(of([-0]).quantile(0.5)).toEqual({ value: 0, errorBound: 0 })
  })

  it("clamps beyond 10^12 in the sketch alone, and the bound says so", () => {
    const sketch = of([1e12, 5e12, 9e12])
    const median = sketch.quantile(0.5)!
    expect(Math.abs(median.value - 5e12)).toBeLessThanOrEqual(median.errorBound)
    expect(sketch.max()).toBe(9n * 10n ** 18n)
    expect(sketch.sum()).toBe(15n * 10n ** 18n)
    const mirrored = of([-1e12, -5e12, -9e12]).quantile(0.5)!
    expect(Math.abs(mirrored.value + 5e12)).toBeLessThanOrEqual(mirrored.errorBound)
  })

  it("rounds half to even to the scale before it counts", () => {
    expect(of([0.5, 1.5, 2.5], 0).encode()).toEqual(of([0, 2, 2], 0).encode())
  })

  it("answers a single value, and equal values, exactly", () => {
    expect(of([1234.5]).quantile(0.99)).toEqual({ value: 1234.5, errorBound: 0 })
    expect(of([7, 7, 7]).quantile(0.5)).toEqual({ value: 7, errorBound: 0 })
  })

  it("has no quantile and no average while empty", () => {
    expect([new Quantiles(6).quantile(0.5), new Quantiles(6).averageScaled()]).toEqual([null, null])
  })

  it("refuses what is no safe number, and another scale", () => {
    const sketch = of([1])
    const bytes = sketch.encode()
    for (const x of [NaN, Infinity, 2 ** 53]) expect(() => sketch.add(x)).toThrow(RangeError)
    expect(() => sketch.merge(new Quantiles(2))).toThrow(RangeError)
    expect(sketch.encode()).toEqual(bytes)
  })
})
