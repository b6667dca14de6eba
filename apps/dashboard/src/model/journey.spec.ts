import { describe, expect, it } from "vitest"
import { addsText, concerned, outcomeText, timeText, windowText } from "./journey.ts"
import type { Made } from "./journey.ts"

const made = (over: Partial<Made>): Made => ({ projection: "page-views", outcome: "FOLDED", key: [], places: [], contribution: [], lateByMs: null, release: null, wasHeld: false, code: null, pointer: null, ...over })

describe("what became of an event", () => {
  it.each<readonly [string, Partial<Made>]>([
    ["counted", {}],
    ["counted, 8 m 58 s late", { outcome: "APPLIED", lateByMs: 538_000 }],
    ["held, not counted, 8 d 1 h late", { outcome: "HELD", lateByMs: 8 * 86_400_000 + 3_600_000 }],
    ["counted by hand, 8 d 0 h late: the phone was off", { outcome: "APPLIED", lateByMs: 8 * 86_400_000, wasHeld: true, release: { offset: "9", actor: "tm_admin", reason: "the phone was off" } }],
    ["counted by hand, 8 d 0 h late", { outcome: "APPLIED", lateByMs: 8 * 86_400_000, wasHeld: true }],
    ["a dead letter: EXPRESSION /data/amount", { outcome: "DEAD_LETTER", code: "EXPRESSION", pointer: "/data/amount" }],
    ["a dead letter: ENVELOPE", { outcome: "DEAD_LETTER", code: "ENVELOPE", pointer: "" }],
    ["a repetition: not counted again", { outcome: "DUPLICATE" }],
    ["not reached yet", { outcome: "PENDING" }]
  ])("is told as: %s", (text, over) => {
    expect(outcomeText(made(over))).toBe(text)
  })

  it("names the window with its day when that is another one, what it holds by now, and what the event added", () => {
    const nowMs = Date.parse("2026-11-24T13:00:00Z")
    const place = (start: string, events: string, state: "FINAL" | "PROVISIONAL" | "REVISED" | null) => made({ places: [{ start, end: start, events, state }] })
    expect(windowText(place("2026-11-24T12:56:00.000Z", "1", "PROVISIONAL"), nowMs)).toBe("minute of 12:56:00 UTC (1 event, still filling)")
    expect(windowText(place("2026-11-15T12:56:00.000Z", "1204", "REVISED"), nowMs)).toBe("minute of 15 Nov 12:56:00 UTC (1,204 events, revised)")
    expect(windowText(place("2025-11-15T12:56:00.000Z", "0", null), nowMs)).toBe("minute of 15 Nov 2025 12:56:00 UTC (no longer kept)")
    expect(windowText(made({}), nowMs)).toBeUndefined()
    const contribution = [{ name: "duration.avg", text: "5" }, { name: "duration.sum", text: "5" }, { name: "duration.count", text: "1" }, { name: "views", text: "1" }]
    expect(addsText(made({ contribution }))).toBe("adds duration 5, views 1")
    expect(addsText(made({ contribution, outcome: "HELD" }))).toBe("would add duration 5, views 1")
    expect(addsText(made({ outcome: "DUPLICATE" }))).toBe("")
  })

  it("lists the projections that count it first and leaves out those it does not concern", () => {
    const windows = [made({ projection: "b", outcome: "HELD" }), made({ projection: "c" }), made({ projection: "a", outcome: "FILTERED" }), made({ projection: "a", outcome: "APPLIED" })]
    expect(concerned(windows).map(({ projection, outcome }) => [projection, outcome])).toEqual([["a", "APPLIED"], ["c", "FOLDED"], ["b", "HELD"]])
  })

  it("says how its time came about when it is not the one that was sent", () => {
    const received = { at: "", source: "", originalTime: null, timeFlag: null }
    expect(timeText(received)).toBeUndefined()
    expect(timeText({ ...received, originalTime: "2026-01-01T00:00:00.000Z", timeFlag: "CORRECTED" })).toMatch(/^sent as 2026-01-01T00:00:00.000Z, corrected/)
    expect(timeText({ ...received, originalTime: "2026-01-01T00:00:00.000Z", timeFlag: "CLAMPED" })).toMatch(/ahead of its receipt$/)
  })
})
