import { describe, expect, it } from "vitest"
import { makeRebuildRate } from "./rebuildRate.ts"

describe("the rate of a rebuild", () => {
  it("is the mean of the last 10 s, of the one that is built, and the last one stays known for plans", () => {
    const rate = makeRebuildRate()
    expect([rate.of("a"), rate.last()]).toEqual([undefined, undefined])
    rate.note("a", 0n, 0)
    rate.note("a", 0n, 500)
    expect(rate.of("a")).toBeUndefined()
    rate.note("a", 5_000n, 5_000)
    expect(rate.of("a")).toBe(1_000)
    rate.note("a", 5_000n + 20_000n, 15_000)
    expect([rate.of("a"), rate.of("b")]).toEqual([2_000, undefined])
    rate.ended("a")
    expect([rate.of("a"), rate.last()]).toEqual([undefined, 2_000])
    rate.note("b", 7n, 20_000)
    expect([rate.of("b"), rate.last()]).toEqual([undefined, 2_000])
  })

  it("is kept apart for two that run at once", () => {
    const rate = makeRebuildRate()
    for (const [rebuildId, times] of [["a", 1n], ["b", 3n]] as const) {
      rate.note(rebuildId, 0n, 0)
      rate.note(rebuildId, 1_000n * times, 1_000)
    }
    expect([rate.of("a"), rate.of("b"), rate.last()]).toEqual([1_000, 3_000, 3_000])
    rate.ended("a")
    expect([rate.of("a"), rate.of("b")]).toEqual([undefined, 3_000])
  })
})
