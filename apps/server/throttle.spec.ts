import { describe, expect, it } from "vitest"
import { PER_SECOND_MIN, makeThrottle, sufferingOf } from "./throttle.ts"
import type { ThrottleInput, Vitals } from "./throttle.ts"

const well: Vitals = { liveLagMs: 200, latencies: [{ name: "queries", recentMs: 12, usualMs: 10 }] }
const lagging: Vitals = { ...well, liveLagMs: 3_200 }
const input = (over: Partial<ThrottleInput> = {}): ThrottleInput => ({ capPerSecond: null, ratePerSecond: 100_000, vitals: well, nowMs: 0, ...over })
const queries = (recentMs: number | undefined, usualMs: number | undefined): Vitals => ({ liveLagMs: 0, latencies: [{ name: "ingest", recentMs: undefined, usualMs: 5 }, { name: "queries", recentMs, usualMs }] })

describe("what suffers from a rebuild", () => {
  it("is a live lag of more than a second, or answers that take half as long again as usual", () => {
    expect(sufferingOf(well)).toBeUndefined()
    expect(sufferingOf({ ...well, liveLagMs: 1_000 })).toBeUndefined()
    expect(sufferingOf(lagging)).toBe("live lag 3.2 s")
    expect(sufferingOf(queries(60, 40))).toBeUndefined()
    expect(sufferingOf(queries(61, 40))).toBe("queries p95 61 ms, 40 ms without a rebuild")
    // 2 ms instead of 1 ms is nothing anybody feels.
    expect(sufferingOf(queries(11, 1))).toBeUndefined()
    expect(sufferingOf(queries(11.1, 1))).toBe("queries p95 11 ms, 1.0 ms without a rebuild")
    expect([sufferingOf(queries(250, undefined)), sufferingOf(queries(undefined, 1))]).toEqual([undefined, undefined])
    expect(sufferingOf(queries(251, undefined))).toBe("queries p95 251 ms")
  })
})

describe("the throttle of a rebuild", () => {
  it("allows everything while nothing suffers and nobody has set a cap", () => {
    expect(makeThrottle()(input())).toEqual({ allowedPerSecond: undefined, reason: undefined })
  })

  it("gives way below what was folded, again after a while, never to a stand, and comes back once nothing suffers", () => {
    const step = makeThrottle()
    expect(step(input({ vitals: lagging }))).toEqual({ allowedPerSecond: 60_000, reason: "gives way: live lag 3.2 s" })
    expect(step(input({ vitals: lagging, nowMs: 500 })).allowedPerSecond).toBe(60_000)
    expect(step(input({ vitals: lagging, nowMs: 1_500, ratePerSecond: 60_000 })).allowedPerSecond).toBe(36_000)
    for (let nowMs = 3_000; nowMs < 40_000; nowMs += 1_500) step(input({ vitals: lagging, nowMs, ratePerSecond: 6_000 }))
    expect(step(input({ vitals: lagging, nowMs: 40_000, ratePerSecond: 10 })).allowedPerSecond).toBe(PER_SECOND_MIN)
    expect(step(input({ nowMs: 40_500, ratePerSecond: 5_000 }))).toEqual({ allowedPerSecond: 5_750, reason: "comes back after: live lag 3.2 s" })
    const rates = Array.from({ length: 80 }, (_, at) => step(input({ nowMs: 41_000 + at * 500, ratePerSecond: 100_000 })).allowedPerSecond)
    expect(rates.at(-1)).toBeUndefined()
    expect(rates.filter((rate) => rate !== undefined).every((rate, at, all) => at === 0 || rate > (all[at - 1] ?? 0))).toBe(true)
  })

  it("takes for usual what answers take while it all but stands still, and comes back; a lag stays a lag", () => {
    const slow: Vitals = { liveLagMs: 0, latencies: [{ name: "queries", recentMs: 80, usualMs: 10 }] }
    const step = makeThrottle()
    let nowMs = 0
    /** What is allowed after each half second of so many. */
    const during = (count: number, vitals: Vitals) => Array.from({ length: count }, () => step(input({ vitals, nowMs: (nowMs += 500), ratePerSecond: 6_000 })))
    expect(during(4, slow).at(-1)).toMatchObject({ allowedPerSecond: PER_SECOND_MIN, reason: "gives way: queries p95 80 ms, 10 ms without a rebuild" })
    expect(during(14, slow).at(-1)).toMatchObject({ reason: "comes back after: queries p95 80 ms, 10 ms without a rebuild" })
    // Half as long again as that is a reason to give way again.
    expect(during(1, { liveLagMs: 0, latencies: [{ name: "queries", recentMs: 121, usualMs: 10 }] })[0]?.reason).toBe("gives way: queries p95 121 ms, 80 ms without a rebuild")
    expect(during(60, lagging).at(-1)).toEqual({ allowedPerSecond: PER_SECOND_MIN, reason: "gives way: live lag 3.2 s" })
  })

  it("never allows more than the cap, and says which of the two it is", () => {
    const step = makeThrottle()
    expect(step(input({ capPerSecond: 80_000 }))).toEqual({ allowedPerSecond: 80_000, reason: "capped at 80000 events/s" })
    expect(step(input({ capPerSecond: 80_000, vitals: lagging, ratePerSecond: 80_000 }))).toEqual({ allowedPerSecond: 48_000, reason: "gives way: live lag 3.2 s" })
    expect(step(input({ capPerSecond: 40_000, vitals: lagging, nowMs: 1 }))).toMatchObject({ allowedPerSecond: 40_000, reason: "capped at 40000 events/s" })
    expect(step(input({ capPerSecond: 500, vitals: lagging, nowMs: 10_000, ratePerSecond: 500 })).allowedPerSecond).toBe(500)
  })

  it("slows one of which nothing was measured yet to something modest", () => {
    expect(makeThrottle()(input({ ratePerSecond: undefined, vitals: lagging })).allowedPerSecond).toBe(12_000)
  })
})
