import { describe, expect, it } from "vitest"
import { asOfOf, positionText } from "./asOf.ts"

describe("--as-of", () => {
  it("takes a receive time, or a position as answers show it", () => {
    expect(asOfOf("2026-11-24T12:00Z")).toEqual({ time: "2026-11-24T12:00:00.000Z" })
    const position = [{ partition: 0, offset: "12" }, { partition: 1, offset: "9007199254740993" }]
    expect(asOfOf("0:12,1:9007199254740993")).toEqual({ position })
    expect(positionText(position)).toBe("#9007199254741005 (0:12,1:9007199254740993)")
  })

  it("refuses what is neither, and a partition named twice", () => {
    for (const text of ["", "12", "0:1,", "0:1;1:2", "yesterday"]) expect(() => asOfOf(text), text).toThrow(/is no time/)
    expect(() => asOfOf("0:1,0:2")).toThrow(/twice/)
  })
})
