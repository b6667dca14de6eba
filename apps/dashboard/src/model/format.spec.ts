import { describe, expect, it } from "vitest"
import { formatMoment, formatStart } from "./format.ts"
import { summaryOf } from "./segments.ts"
import type { ChartPoint } from "./segments.ts"

const at = (text: string): number => Date.parse(text)
const NOW = at("2026-11-24T12:00:00Z")

describe("a moment", () => {
  it("is told with its day where that is not today, and with its year where that is another one", () => {
    expect(formatMoment(at("2026-11-24T01:02:03Z"), NOW)).toBe("01:02:03")
    expect(formatMoment(at("2026-05-18T01:02:03Z"), NOW)).toBe("18 May 01:02:03")
    expect(formatMoment(at("2015-05-18T01:02:03Z"), NOW)).toBe("18 May 2015 01:02:03")
  })

  it("is told with its day as the start of a long window", () => {
    expect(formatStart(at("2026-11-24T13:05:00Z"), 60_000)).toBe("13:05")
    expect(formatStart(at("2026-11-24T13:00:00Z"), 3_600_000)).toBe("24 Nov, 13:00")
  })
})

describe("the sentence that says what a chart shows", () => {
  const point = (start: string, lengthMs: number, value: number, state: ChartPoint["state"] = "FINAL") => ({ startMs: at(start), endMs: at(start) + lengthMs, value, state }) as ChartPoint

  it("names the day of the highest window where several days are shown, and counts one window as one", () => {
    expect(summaryOf("Page views", [point("2026-11-24T12:00:00Z", 60_000, 3)], String)).toBe("Page views: 3 in 1 window, highest 3 at 12:00 UTC.")
    expect(summaryOf("Page views", [point("2026-11-23T13:00:00Z", 3_600_000, 5, "REVISED"), point("2026-11-24T12:00:00Z", 3_600_000, 3, "PROVISIONAL")], String)).toBe("Page views: 8 in 2 windows, highest 5 at 23 Nov, 13:00 UTC, 1 still filling, 1 revised.")
    expect(summaryOf("Page views", [], String)).toBe("Page views: no data in this range.")
  })
})
