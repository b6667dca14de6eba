import { describe, expect, it } from "vitest"
import { durationText, timeText } from "./timeText.ts"

describe("a time on the command line", () => {
  it("is RFC 3339 in UTC; seconds and zone may be left out, and a date is its midnight", () => {
    expect(timeText("2026-01-31T12:00:00Z")).toBe("2026-01-31T12:00:00.000Z")
    expect(timeText("2026-01-31T12:00:01.25+01:00")).toBe("2026-01-31T11:00:01.250Z")
    expect(timeText("2026-01-31 12:05")).toBe("2026-01-31T12:05:00.000Z")
    expect(timeText("2026-01-31T12:05+02:00")).toBe("2026-01-31T10:05:00.000Z")
    expect(timeText("2026-01-31")).toBe("2026-01-31T00:00:00.000Z")
  })

  it.each(["yesterday", "2026-02-31", "2026-01-31T25:00", "2026-01-31T12", "2026-13-01", "12:00", ""])("is refused as usage when it is %s, with an example", (text) => {
    expect(() => timeText(text)).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringContaining("2026-01-31") as string }) as Error)
  })
})

describe("a duration on the command line", () => {
  it.each([[0, "0 ms"], [999, "999 ms"], [1_000, "1 s"], [61_500, "1 min 1 s"], [3_600_000, "1 h"], [3_605_000, "1 h"], [8 * 86_400_000 + 3 * 3_600_000 + 5, "8 d 3 h"]])("of %i ms is %s", (ms, text) => {
    expect(durationText(ms)).toBe(text)
  })
})
