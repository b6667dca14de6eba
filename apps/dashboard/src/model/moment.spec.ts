import { describe, expect, it } from "vitest"
import { parseMoment } from "./moment.ts"
import { formatPageState, parsePageState } from "./range.ts"

const NOW = Date.parse("2026-11-24T12:05:00Z")
const at = (text: string): string | undefined => {
  const ms = parseMoment(text, NOW)
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

describe("a moment as typed", () => {
  it("is so long ago, a clock time that has been, a date or a time", () => {
    expect(at("5 min ago")).toBe("2026-11-24T12:00:00.000Z")
    expect(at(" 2H ")).toBe("2026-11-24T10:05:00.000Z")
    expect(at("12:03:20")).toBe("2026-11-24T12:03:20.000Z")
    expect(at("23:59")).toBe("2026-11-23T23:59:00.000Z")
    expect(at("2026-11-23")).toBe("2026-11-23T00:00:00.000Z")
    expect(at("2026-11-24 12:03")).toBe("2026-11-24T12:03:00.000Z")
    expect(at("2026-11-24T12:03:20.5+02:00")).toBe("2026-11-24T10:03:20.500Z")
  })

  it("is nothing else, and never to come", () => {
    for (const text of ["", "soon", "25:00", "12:60", "2026-13-01", "2026-11-25", "2026-11-24T12:05:01Z", "1 fortnight ago"]) expect([text, at(text)]).toEqual([text, undefined])
  })

  it("stays in the address of the page", () => {
    const state = { ...parsePageState("?v=1&range=24h"), asOfMs: NOW, pinMs: NOW - 60_000 }
    expect(parsePageState(formatPageState(state))).toEqual(state)
    expect(parsePageState("?asof=yesterday&pin=tomorrow")).toMatchObject({ asOfMs: undefined, pinMs: undefined })
  })
})
