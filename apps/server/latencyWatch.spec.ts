import { describe, expect, it } from "vitest"
import { makeLatencyWatch } from "./latencyWatch.ts"

/** 1 to `count` ms, ten a second up to `atMs`. */
const answer = (watch: ReturnType<typeof makeLatencyWatch>, count: number, atMs: number, times = 1): void => {
  for (let ms = 1; ms <= count; ms++) watch.note(ms * times, atMs)
}

describe("the latency of answers", () => {
  it("is the nearest-rank p95 of the last 3 s, told apart from the one without a rebuild", () => {
    const watch = makeLatencyWatch()
    answer(watch, 100, 0)
    expect([watch.usualP95Ms(), watch.recentP95Ms(0)]).toEqual([95, undefined])
    watch.disturb(true)
    answer(watch, 100, 1_000, 3)
    expect([watch.usualP95Ms(), watch.recentP95Ms(1_000)]).toEqual([95, 285])
    answer(watch, 20, 4_000)
    expect(watch.recentP95Ms(4_000)).toBe(19)
    watch.disturb(false)
    answer(watch, 100, 9_000, 2)
    // Of 200 answers 1 to 100 and 2, 4 … 200.
    expect(watch.usualP95Ms()).toBe(180)
  })

  it("is not known from fewer than 20 answers", () => {
    const watch = makeLatencyWatch()
    answer(watch, 19, 0)
    watch.disturb(true)
    answer(watch, 19, 10)
    expect([watch.usualP95Ms(), watch.recentP95Ms(10)]).toEqual([undefined, undefined])
  })
})
