import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { correctEventTime } from "./correct.ts"

describe("event time", () => {
  it("is the receive time when the client gives none", () => {
    expect(correctEventTime({ receivedAtMs: 1_000, backfill: false })).toEqual({ timeMs: 1_000 })
  })

  it("is corrected by the difference of the clocks when the client says when it sent", () => {
    expect(correctEventTime({ receivedAtMs: 100_000, clientTimeMs: 5_000, sentAtMs: 6_500, backfill: false })).toEqual({
      timeMs: 98_500, originalTimeMs: 5_000, timeFlag: "corrected"
    })
  })

  it("is clamped to the receive time, and clamped wins over corrected", () => {
    expect(correctEventTime({ receivedAtMs: 100, clientTimeMs: 900, backfill: false })).toEqual({ timeMs: 100, originalTimeMs: 900, timeFlag: "clamped" })
    expect(correctEventTime({ receivedAtMs: 100, clientTimeMs: 900, sentAtMs: 700, backfill: false })).toEqual({ timeMs: 100, originalTimeMs: 900, timeFlag: "clamped" })
  })

  it("of a backfill ignores when it was sent", () => {
    expect(correctEventTime({ receivedAtMs: 100_000, clientTimeMs: 5_000, sentAtMs: 6_500, backfill: true })).toEqual({ timeMs: 5_000 })
  })

  it("property: is never later than the receive time and keeps the client's own time whenever it differs", () => {
    const instant = fc.integer({ min: -1e12, max: 4e12 })
    fc.assert(
      fc.property(instant, instant, fc.option(instant, { nil: undefined }), fc.boolean(), (receivedAtMs, clientTimeMs, sentAtMs, backfill) => {
        const result = correctEventTime({ receivedAtMs, clientTimeMs, backfill, ...(sentAtMs === undefined ? {} : { sentAtMs }) })
        expect(result.timeMs).toBeLessThanOrEqual(receivedAtMs)
        expect(result.originalTimeMs ?? result.timeMs).toBe(clientTimeMs)
        expect(result.timeFlag === undefined).toBe(result.timeMs === clientTimeMs)
      })
    )
  })
})
