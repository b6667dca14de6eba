import { describe, expect, it } from "vitest"
import { builtWithin, causeText, changesText, figureText, inOrder, momentText } from "./comparison.ts"
import type { Figures, WindowChange } from "./comparison.ts"

const NOW = Date.parse("2026-11-24T12:05:00Z")
const figures = (events: string, state: Figures["state"] = "FINAL", corrections = "0"): Figures =>
  ({ state, events, corrections, measures: [{ name: "views", value: Number(events), text: events, exact: true, errorBound: null }, { name: "visitors", value: 1234.6, text: null, exact: false, errorBound: 1 }] })
const change = (before: Figures | null, after: Figures | null): WindowChange => ({ key: [], start: "", end: "", before, after })

describe("two moments", () => {
  it("are put in order, whichever is pinned, and called by their time or now", () => {
    expect([inOrder(1, undefined), inOrder(1, 2), inOrder(2, 1)]).toEqual([
      { beforeMs: 1, afterMs: undefined, pinIsLater: false }, { beforeMs: 1, afterMs: 2, pinIsLater: false }, { beforeMs: 1, afterMs: 2, pinIsLater: true }
    ])
    expect([momentText(undefined, NOW), momentText(NOW - 60_000, NOW), momentText(NOW - 86_400_000, NOW)]).toEqual(["now", "12:04:00 UTC", "24 Nov 12:05:00 UTC".replace("24", "23")])
  })

  it("know which generations were begun between", () => {
    const built = [{ generation: 1, atMs: NOW - 90_000_000 }, { generation: 2, atMs: NOW - 60_000 }, { generation: 3, atMs: NOW + 1 }]
    expect(builtWithin(built, NOW - 3_600_000, NOW, NOW)).toEqual([{ generation: 2, atMs: NOW - 60_000, text: "generation 2 begun 12:04:00 UTC" }])
  })

  it("say how many windows changed and what lies between", () => {
    const moment = (offset: string) => ({ watermark: null, position: [{ partition: 0, offset }, { partition: 1, offset: "5" }] })
    expect(changesText({ compared: 12, changed: 3, before: moment("10"), after: moment("1214"), changes: [] })).toBe("3 of 12 windows changed; 1,204 records of the log between them.")
    expect(changesText({ compared: 0, changed: 0, before: moment("10"), after: moment("11"), changes: [] })).toBe("Neither moment has a window in this range; 1 record of the log between them.")
  })

  it("show each figure as it was, a dash where nothing was, and say what happened", () => {
    expect([figureText(figures("1204"), "views"), figureText(figures("1"), "visitors"), figureText(null, "views"), figureText(figures("1"), "none")]).toEqual(["1,204", "≈ 1,234.6", "–", "–"])
    const told = [
      change(null, figures("1")), change(null, figures("1", "REVISED", "1")), change(figures("1"), null), change(figures("1", "PROVISIONAL"), figures("2", "PROVISIONAL")), change(figures("1", "PROVISIONAL"), figures("2", "REVISED", "1")),
      change(figures("1"), figures("2", "REVISED", "1")), change(figures("2", "REVISED", "1"), figures("3", "REVISED", "2")), change(figures("2"), figures("2", "FINAL"))
    ].map(causeText)
    expect(told).toEqual(["new", "new, with late or imported events", "gone", "grew", "grew, with late or imported events", "revised by late or imported events", "revised by late or imported events", "changed"])
  })
})
