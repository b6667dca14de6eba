import { describe, expect, it } from "vitest"
import { countText, deadReason, editable, inGroups, lateReason, nextStep, partsText, redriveText, releaseSummary } from "./ledgers.ts"
import type { LateEvent, Release } from "./ledgers.ts"

const START = "2026-03-01T00:00:00.000Z"
const late = (more: Partial<LateEvent>): LateEvent =>
  ({ eventId: "e", type: "t", time: START, windowStart: START, key: [], lateByMs: 1, reason: "AFTER_REVISION", wasHeld: true, canApply: true, contribution: [], partition: 0, offset: "1", ...more })
const change = (projection: string, windowStart = START) => ({ projection, windowStart, key: [{ name: "page", value: "/" }], contribution: [] })
const release = (more: Partial<Release> = {}): Release => ({ partition: 0, offset: "1", eventId: "e", verdict: "APPLY", releasedAt: null, changes: [change("page-views")], ...more })

describe("the ledgers", () => {
  it("count what is listed, and say when there is more", () => {
    expect([countText(0, false), countText(12, false), countText(50, true)]).toEqual(["0", "12", "50+"])
  })

  it("tell why an event is late, counted or not, and whether its window is gone", () => {
    const reasons = [late({}), late({ canApply: false, wasHeld: false }), late({ canApply: false }), late({ reason: "AFTER_CLOSE" }), late({ reason: "EXPIRED", canApply: false })].map(lateReason)
    expect(reasons).toEqual(["later than the projection revises by itself", "its window was dropped by retention", "counted by hand", "its minute had closed", "its window was dropped by retention"])
  })

  it("tell of a distribution its one value, and of others all figures", () => {
    expect(partsText([{ name: "views", text: "1" }, { name: "duration.avg", text: "5" }, { name: "duration.sum", text: "5" }, { name: "duration.p95", text: "5" }])).toBe("views 1, duration 5")
    expect(partsText([])).toBe("")
  })

  it("have words for codes, also for those they do not know", () => {
    expect([deadReason({ code: "MEASURE_MISSING" }), deadReason({ code: "NEW" }), nextStep({ code: "time" }), nextStep({ code: "new" })]).toEqual([
      "A measure that every event must have is missing.", "It could not be folded.", "Send RFC 3339, or whole milliseconds since 1970.", "Correct the event and send it again with the same id."
    ])
  })

  it("sum up what a release changes: each minute of a key once, in every projection", () => {
    const other = "2026-03-01T00:01:00.000Z"
    expect(releaseSummary([release()])).toBe("1 event would be counted: 1 minute of 1 projection, with their hours and days.")
    const both = [release({ changes: [change("page-views"), change("event-counts")] }), release({ offset: "2", changes: [change("page-views"), change("event-counts", other)] }), release({ verdict: "EXPIRED", changes: [] })]
    expect(releaseSummary(both)).toBe("2 events would be counted: 3 minutes of 2 projections, with their hours and days. 1 other cannot be counted.")
    expect(releaseSummary([release({ releasedAt: "9" })])).toMatch(/^1 event was counted/)
    expect(releaseSummary([release({ verdict: "APPLIED", changes: [] })])).toMatch(/^None of them can be counted/)
  })

  it("tell what becomes of a refused event that is sent again", () => {
    const one = { eventId: "e-1", place: null, refusal: null }
    expect(redriveText({ ...one, verdict: "APPEND" })).toBe("It would be taken, as event e-1.")
    expect(redriveText({ ...one, verdict: "APPEND", place: { partition: 1, offset: "7" } })).toBe("It was taken, as event e-1 at 1/7.")
    expect(redriveText({ ...one, verdict: "REJECTED", refusal: { code: "schema", pointer: "/data", detail: "is required", hint: "send it" } })).toBe("It is refused again: /data: is required (send it).")
    expect([redriveText({ ...one, verdict: "DUPLICATE" }), redriveText({ ...one, verdict: "UNKNOWN" })]).toEqual(["The log has an event of this id already: it is counted once.", "The rejected log no longer has it."])
  })

  it("show a body to correct line by line, and one that is no JSON as it came", () => {
    expect([editable('{"a":1}'), editable('{"cut off')]).toEqual(['{\n  "a": 1\n}', '{"cut off'])
  })

  it("ask for a selection in groups that one request takes", () => {
    expect([inGroups([1, 2, 3, 4, 5], 2), inGroups([], 2)]).toEqual([[[1, 2], [3, 4], [5]], []])
  })
})
