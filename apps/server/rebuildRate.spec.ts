import { describe, expect, it } from "vitest"
import { makeRebuildRate } from "./rebuildRate.ts"
import type { RateSample } from "./rebuildRate.ts"

const NOTHING: RateSample["spent"] = { read: 0n, fold: 0n, write: 0n, throttle: 0n }
const sample = (processed: bigint, atMs: number, over: Partial<RateSample> = {}): RateSample => ({ processed, atMs, spent: NOTHING, isSlowed: false, ...over })

describe("the rate of a rebuild", () => {
  it("is the mean of the last 10 s, of the one that is built, and the last one stays known for plans", () => {
    const rate = makeRebuildRate()
    expect([rate.of("a"), rate.last()]).toEqual([undefined, undefined])
    rate.note("a", sample(0n, 0))
    rate.note("a", sample(0n, 500))
    expect(rate.of("a")).toBeUndefined()
    rate.note("a", sample(5_000n, 5_000))
    expect(rate.of("a")?.perSecond).toBe(1_000)
    rate.note("a", sample(5_000n + 20_000n, 15_000))
    expect([rate.of("a")?.perSecond, rate.of("b")]).toEqual([2_000, undefined])
    rate.ended("a")
    expect([rate.of("a"), rate.last()]).toEqual([undefined, 2_000])
    rate.note("b", sample(7n, 20_000))
    expect([rate.of("b"), rate.last()]).toEqual([undefined, 2_000])
  })

  it("is kept apart for two that run at once", () => {
    const rate = makeRebuildRate()
    for (const [rebuildId, times] of [["a", 1n], ["b", 3n]] as const) {
      rate.note(rebuildId, sample(0n, 0))
      rate.note(rebuildId, sample(1_000n * times, 1_000))
    }
    expect([rate.of("a")?.perSecond, rate.of("b")?.perSecond, rate.last()]).toEqual([1_000, 3_000, 3_000])
    rate.ended("a")
    expect([rate.of("a"), rate.of("b")?.perSecond]).toEqual([undefined, 3_000])
  })

  it("has a band: the slowest and the quickest mean of the last 10 s, those before them forgotten", () => {
    const rate = makeRebuildRate()
    for (const [processed, atMs] of [[0n, 0], [4_000n, 1_000], [6_000n, 2_000], [9_000n, 3_000]] as const) rate.note("a", sample(processed, atMs))
    expect(rate.of("a")).toMatchObject({ perSecond: 3_000, slowest: 3_000, quickest: 4_000 })
    for (let second = 4; second <= 22; second++) rate.note("a", sample(9_000n + 1_000n * BigInt(second - 3), second * 1_000))
    expect(rate.of("a")).toMatchObject({ perSecond: 1_000, slowest: 1_000, quickest: 1_200 })
  })

  it("remembers how quick it was while nothing slowed it, the seconds after a slow time left out", () => {
    const rate = makeRebuildRate()
    rate.note("a", sample(0n, 0))
    rate.note("a", sample(9_000n, 1_000))
    expect(rate.of("a")?.unslowed).toBe(9_000)
    rate.note("a", sample(9_500n, 2_000, { isSlowed: true }))
    rate.note("a", sample(10_000n, 12_000))
    expect(rate.of("a")).toMatchObject({ perSecond: 50, unslowed: 9_000 })
    rate.note("a", sample(20_000n, 12_500))
    expect(rate.of("a")?.unslowed).not.toBe(9_000)
    const slowed = makeRebuildRate()
    slowed.note("b", sample(0n, 0, { isSlowed: true }))
    slowed.note("b", sample(500n, 1_000, { isSlowed: true }))
    expect(slowed.of("b")).toMatchObject({ perSecond: 500, unslowed: undefined })
  })

  it("says what took the time of the last 10 s, in shares", () => {
    const rate = makeRebuildRate()
    rate.note("a", sample(0n, 0, { spent: { read: 5_000n, fold: 0n, write: 0n, throttle: 0n } }))
    rate.note("a", sample(100n, 1_000, { spent: { read: 5_100n, fold: 600n, write: 200n, throttle: 100n } }))
    expect(rate.of("a")?.time).toEqual({ read: 0.1, fold: 0.6, write: 0.2, throttle: 0.1 })
    rate.note("a", sample(200n, 11_000, { spent: { read: 5_100n, fold: 600n, write: 1_200n, throttle: 100n } }))
    expect(rate.of("a")?.time).toEqual({ read: 0, fold: 0, write: 1, throttle: 0 })
  })

  it("says so also before the first records are committed", () => {
    const rate = makeRebuildRate()
    rate.note("a", sample(0n, 0))
    rate.note("a", sample(0n, 500, { spent: { read: 25n, fold: 0n, write: 0n, throttle: 75n } }))
    expect([rate.of("a"), rate.last()]).toEqual([{ perSecond: undefined, slowest: undefined, quickest: undefined, unslowed: undefined, time: { read: 0.25, fold: 0, write: 0, throttle: 0.75 } }, undefined])
  })
})
