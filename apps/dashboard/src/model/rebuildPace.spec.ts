import { describe, expect, it } from "vitest"
import { etaText, fullRateOf, rateText, slowedByText, throttleSteps, timeParts } from "./rebuildPace.ts"
import type { Rebuild, RebuildProgress } from "./rebuild.ts"

const progress: RebuildProgress = { processed: "50", total: "200", eventsPerSecond: 182_400.4, etaSeconds: 14, etaSecondsMin: 11, etaSecondsMax: 17, eventsPerSecondUnslowed: 200_000, time: { read: 0.3, fold: 0.62, write: 0.077, throttle: 0.003 } }
const rebuild = (over: Partial<Rebuild>): Rebuild => ({ eventsPerSecondMax: null, progress: null, plan: null, ...over }) as Rebuild

describe("the pace of a rebuild", () => {
  it("has a rate and the time that is left with its band, which is left out where it says nothing", () => {
    expect([rateText(progress), etaText(progress)]).toEqual(["182,400 events/s", "about 14 s (±3 s) left"])
    expect(etaText({ ...progress, etaSecondsMin: 13.5, etaSecondsMax: 14.6 })).toBe("about 14 s left")
    expect(etaText({ ...progress, etaSeconds: 400, etaSecondsMin: 300, etaSecondsMax: 520 })).toBe("about 6 m 40 s (±1 m 50 s) left")
  })

  it("is left out where the process that answers does not know it", () => {
    const unknown = { ...progress, eventsPerSecond: null, etaSeconds: null, etaSecondsMin: null, etaSecondsMax: null, time: null }
    expect([rateText(unknown), etaText(unknown), slowedByText(unknown), timeParts(unknown)]).toEqual(["", "", undefined, []])
  })

  it("tells what its time goes into, the largest part first, what is next to nothing left out", () => {
    expect(slowedByText(progress)).toBe("folding: 62 % of its time · reading the log 30 % · writing rows 8 %")
    expect(slowedByText({ ...progress, time: { read: 0, fold: 0.1, write: 0.2, throttle: 0.7 } })).toBe("the throttle: 70 % of its time · writing rows 20 % · folding 10 %")
  })
})

describe("the throttle of a rebuild", () => {
  const plan = { events: "1000000", bytes: "1", rows: null, rowBytes: null, diskFreeBytes: null, seconds: 10, rateFrom: "SAMPLE" as const }

  it("offers a quarter, a half and all of the rate that was measured, else of the planned one", () => {
    expect(throttleSteps(rebuild({ progress, plan }))).toEqual([{ percent: 25, eventsPerSecondMax: 50_000, isSet: false }, { percent: 50, eventsPerSecondMax: 100_000, isSet: false }, { percent: 100, eventsPerSecondMax: null, isSet: true }])
    expect(throttleSteps(rebuild({ plan })).map(({ eventsPerSecondMax }) => eventsPerSecondMax)).toEqual([25_000, 50_000, null])
    expect(fullRateOf(rebuild({ progress: { ...progress, eventsPerSecondUnslowed: null }, plan }))).toBe(100_000)
  })

  it("says which step is set, also when the full rate was measured a little otherwise since, and none for another cap", () => {
    const set = (eventsPerSecondMax: number) => throttleSteps(rebuild({ progress, eventsPerSecondMax })).filter(({ isSet }) => isSet).map(({ percent }) => percent)
    expect([set(50_000), set(51_000), set(100_000), set(70_000), set(200_000)]).toEqual([[25], [25], [50], [], []])
  })

  it("offers nothing while no rate is known", () => {
    expect(throttleSteps(rebuild({ plan: { ...plan, seconds: null } }))).toEqual([])
    expect(throttleSteps(rebuild({ plan: { ...plan, events: "0" } }))).toEqual([])
  })
})
