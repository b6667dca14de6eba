import { describe, expect, it } from "vitest"
import type { Series, SeriesChange, SeriesGroup, SeriesPoint } from "./answer.ts"
import { applyChange } from "./order.ts"

const point = (minute: number, revision: number): SeriesPoint => ({
  start: `2026-03-01T00:${String(minute).padStart(2, "0")}:00.000Z`, end: `2026-03-01T00:${String(minute + 1).padStart(2, "0")}:00.000Z`, state: "PROVISIONAL", revision: String(revision),
  corrections: "0", events: String(revision), measures: []
})

const group = (page: string, ...points: readonly SeriesPoint[]): SeriesGroup => ({ key: [{ name: "page", value: page }], points })

const series = (pointerVersion: number, ...groups: readonly SeriesGroup[]): Series =>
  ({ projection: "page-views", generation: pointerVersion, pointerVersion, watermark: null, position: [{ partition: 0, offset: "7" }], groups })

const change = (kind: SeriesChange["kind"], of: Series): SeriesChange => ({ ...of, kind })

/** Page → minute and revision of its points. */
const outline = (answer: Series | "resync") => (answer === "resync" ? answer : Object.fromEntries(answer.groups.map(({ key, points }) => [key[0]?.value, points.map(({ start, revision }) => `${start.slice(14, 16)}:${revision}`)])))

describe("a pushed change", () => {
  const shown = series(1, group("/a", point(1, 1), point(2, 5)), group("/b", point(1, 1)))

  it("joins the answer on screen where it is of the same generation", () => {
    expect(outline(applyChange(shown, change("UPSERT", series(1, group("/b", point(1, 2), point(3, 1))))))).toEqual({ "/a": ["01:1", "02:5"], "/b": ["01:2", "03:1"] })
  })

  it("has the question asked again where points of another generation cannot join", () => {
    expect(applyChange(shown, change("UPSERT", series(2, group("/b", point(1, 2)))))).toBe("resync")
  })

  it("replaces the answer where it is a whole one: groups that are not in it go, windows never go back", () => {
    const whole = series(1, group("/a", point(1, 2), point(2, 4)), group("/c", point(1, 1)))
    expect(outline(applyChange(shown, change("RESYNC", whole)))).toEqual({ "/a": ["01:2", "02:5"], "/c": ["01:1"] })
    expect(outline(applyChange(shown, change("RESYNC", series(2, group("/a", point(0, 1), point(2, 3)))), point(1, 1).start))).toEqual({ "/a": ["02:3"] })
  })

  it("changes nothing where it is a whole one of an earlier pointer", () => {
    expect(applyChange(series(3, group("/a", point(1, 1))), change("RESYNC", shown))).toEqual(series(3, group("/a", point(1, 1))))
  })

  it("has the question asked again where there is no answer to join", () => {
    for (const kind of ["RESYNC", "UPSERT"] as const) expect(applyChange(undefined, change(kind, shown))).toBe("resync")
  })
})
