import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { TIME_MS_MAX, TIME_MS_MIN, formatRfc3339, parseRfc3339, parseTime } from "./rfc3339.ts"

describe("an RFC 3339 time", () => {
  it("is read with any offset and any number of digits of the second", () => {
    expect(parseRfc3339("1970-01-01T00:00:00Z")).toBe(0)
    expect(parseRfc3339("1970-01-01t01:00:00.123456789+01:00")).toBe(123)
    expect(parseRfc3339("1969-12-31T23:59:59.5-00:00")).toBe(-500)
    expect(parseRfc3339("2024-02-29T12:00:00Z")).toBe(1_709_208_000_000)
    expect(parseRfc3339("0001-01-01T00:00:00Z")).toBe(-62_135_596_800_000)
  })

  it.each(["", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00.000Z", "2024-13-01T00:00:00Z", "2024-01-01", "2024-01-01T24:00:00Z",
    "2024-01-01T00:00:60Z", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00+24:00", "12024-01-01T00:00:00Z"])(
    "refuses %j", (text) => expect(parseRfc3339(text)).toBeUndefined())

  it("may be a whole number of Unix ms, and nothing else", () => {
    expect(parseTime(1_700_000_000_000)).toBe(1_700_000_000_000)
    for (const wrong of [1.5, NaN, Infinity, TIME_MS_MAX + 1, TIME_MS_MIN - 1, null, true, {}]) expect(parseTime(wrong)).toBeUndefined()
  })

  it("is written alike whatever was written before: at the ends of days, of years and of what can be written", () => {
    const edges = [0, -1, 86_399_999, 86_400_000, -86_400_001, TIME_MS_MIN, TIME_MS_MAX, Date.UTC(2024, 1, 29, 23, 59, 59, 999), Date.UTC(2024, 2, 1)]
    for (const before of edges) for (const ms of edges) expect([formatRfc3339(before), formatRfc3339(ms)]).toEqual([new Date(before).toISOString(), new Date(ms).toISOString()])
    expect(() => formatRfc3339(NaN)).toThrow(RangeError)
  })

  it("property: written as the platform writes it, and read again the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: TIME_MS_MIN, max: TIME_MS_MAX }), (ms) => {
        expect(parseRfc3339(formatRfc3339(ms))).toBe(ms)
        expect(formatRfc3339(ms)).toBe(new Date(ms).toISOString())
      })
    )
  })
})
