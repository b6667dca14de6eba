import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RESOLUTIONS, isClosed, isPastRevision, windowOf, windowStart } from "./window.ts"

describe("a window", () => {
  it("puts an event on the boundary into the later window", () => {
    expect(windowOf(59_999, 60_000)).toEqual({ startMs: 0, endMs: 60_000 })
    expect(windowOf(60_000, 60_000)).toEqual({ startMs: 60_000, endMs: 120_000 })
  })

  it("is aligned downward before 1970 too", () => {
    expect(windowOf(-1, 60_000)).toEqual({ startMs: -60_000, endMs: 0 })
    expect(windowOf(-60_000, 60_000)).toEqual({ startMs: -60_000, endMs: 0 })
  })

  it("property: contains its instant, and a minute lies wholly inside its hour and day", () => {
    fc.assert(
      fc.property(fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 }), (atMs) => {
        for (const { sizeMs } of RESOLUTIONS) {
          const window = windowOf(atMs, sizeMs)
          expect(window.startMs <= atMs && atMs < window.endMs && window.endMs - window.startMs === sizeMs).toBe(true)
          expect(windowStart(windowStart(atMs, 60_000), sizeMs)).toBe(window.startMs)
        }
      })
    )
  })
})

describe("lateness", () => {
  it("counts an event at 59,999 while M is 69,999 and calls it late once M is 70,000", () => {
    expect(isClosed(60_000, 69_999, 10_000)).toBe(false)
    expect(isClosed(60_000, 70_000, 10_000)).toBe(true)
  })

  it("never closes a window while nothing has been seen", () => {
    expect(isClosed(60_000, -Infinity, 10_000)).toBe(false)
  })

  it("applies a late event until the revise horizon ends and holds it from then on", () => {
    expect(isPastRevision(60_000, 70_999, 10_000, 1_000)).toBe(false)
    expect(isPastRevision(60_000, 71_000, 10_000, 1_000)).toBe(true)
    expect(isPastRevision(60_000, 70_000, 10_000, 0)).toBe(true)
  })
})
