import { describe, expect, it } from "vitest"
import { actionsOf, changeText, changesOf, cutOverLines, differencesOf, isConfirmed, placesOf, planFacts, ratioOf, readCap, rollBackLines, standbyText, throttleText, valueText } from "./rebuild.ts"
import type { Parity, Rebuild } from "./rebuild.ts"

const equal: Parity = { compared: "12", equal: "12", differ: "0", onlyOld: "0", onlyNew: "0", faults: [], sameDefinition: false, sample: { windows: 90, skipped: 0, wholeRows: null, differing: [] }, servedHalt: null, accepted: null, position: [] }
const rebuild = (over: Partial<Rebuild>): Rebuild => ({
  id: "r", projection: "revenue", status: "BUILDING", generation: 8, fromGeneration: 7, reason: "fix", plan: null, progress: null, parity: null, error: null, eventsPerSecondMax: null, eventsPerSecondAllowed: null, throttle: null, standbyHalt: null,
  startedAt: "2026-11-24T00:00:00.000Z", finishedAt: null, standbyUntil: null, standbySeconds: 86_400, history: [], ...over
})

const progress = (processed: string): NonNullable<Rebuild["progress"]> => ({ processed, total: "200", eventsPerSecond: 1, etaSeconds: null, etaSecondsMin: null, etaSecondsMax: null, eventsPerSecondUnslowed: null, time: null })

describe("the console", () => {
  const [running, serving, standby, retired] = [rebuild({ id: "c" }), rebuild({ id: "b", status: "ACTIVE" }), rebuild({ id: "b", status: "STANDBY" }), rebuild({ id: "a", status: "RETIRED" })]

  it("keeps the way back of what serves, or forth to what stands by, in sight while a new one is built", () => {
    expect(placesOf([running, serving, retired])).toEqual({ current: running, other: serving, past: [retired] })
    expect(placesOf([running, standby, retired])).toEqual({ current: running, other: standby, past: [retired] })
    expect(actionsOf(serving).rollBack).toBe(true)
  })

  it("has one place alone while nothing is built, and none for what is over", () => {
    expect(placesOf([serving, retired])).toEqual({ current: serving, other: undefined, past: [retired] })
    expect(placesOf([rebuild({ status: "ABORTED" }), serving, retired])).toMatchObject({ current: serving, other: undefined, past: [{ status: "ABORTED" }, retired] })
    expect(placesOf([retired])).toEqual({ current: undefined, other: undefined, past: [retired] })
    expect(placesOf([])).toEqual({ current: undefined, other: undefined, past: [] })
  })
})

describe("what may be done to a rebuild", () => {
  it("keeps the cut-over locked and says why until parity was compared", () => {
    expect(actionsOf(rebuild({}))).toMatchObject({ cutOver: false, locked: "it is not verified yet", pause: true, abort: true, rollBack: false })
    expect(actionsOf(rebuild({ status: "READY" }))).toMatchObject({ cutOver: false, locked: "parity has not been compared" })
    expect(actionsOf(rebuild({ status: "READY", parity: equal }))).toMatchObject({ cutOver: true, needsNote: false, locked: undefined })
  })

  it("asks for a note when windows differ, in whichever way, and not again once they are accepted", () => {
    for (const over of [{ differ: "6" }, { onlyOld: "1" }, { onlyNew: "2" }]) {
      expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, ...over } }))).toMatchObject({ cutOver: true, needsNote: true })
      expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, ...over, accepted: "refunds count now" } })).needsNote).toBe(false)
    }
    expect(differencesOf({ ...equal, differ: "6", onlyOld: "1", onlyNew: "2" })).toBe(9n)
  })

  it("asks for a note where the served generation has halted, whatever the definition", () => {
    const servedHalt = { code: "LOG_GAP", detail: "d", position: [] }
    for (const sameDefinition of [true, false]) {
      expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, sameDefinition, servedHalt } }))).toMatchObject({ cutOver: true, needsNote: true })
      expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, sameDefinition, servedHalt, accepted: "it stood still" } }))).toMatchObject({ cutOver: true, needsNote: false })
    }
  })

  it("keeps the cut-over locked for what no note accepts", () => {
    expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, faults: ["digests of lane 0 differ"] } }))).toMatchObject({ cutOver: false, locked: "the new generation is not what the log gives" })
    expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, sameDefinition: true, differ: "1" } }))).toMatchObject({ cutOver: false, locked: expect.stringContaining("the definition is the same") as string })
    expect(actionsOf(rebuild({ status: "READY", parity: { ...equal, sameDefinition: true } }))).toMatchObject({ cutOver: true })
  })

  it("offers the way back while the old generation stands by, and nothing once it is over", () => {
    expect(actionsOf(rebuild({ status: "ACTIVE", parity: equal }))).toMatchObject({ rollBack: true, abort: false, pause: false })
    expect(actionsOf(rebuild({ status: "ABORTED" }))).toMatchObject({ rollBack: false, abort: false, pause: false, resume: false, cutOver: false })
    expect(actionsOf(rebuild({ status: "FAILED" }))).toMatchObject({ resume: true, abort: true })
  })

  it("offers to serve again what stands by after a way back", () => {
    expect(actionsOf(rebuild({ status: "STANDBY", parity: equal }))).toMatchObject({ cutOver: true, rollBack: false, abort: false, locked: undefined })
    expect(actionsOf(rebuild({ status: "ACTIVE", parity: equal }))).toMatchObject({ cutOver: false, locked: "it serves" })
  })

  it("locks the way to what stands by once that has halted", () => {
    const standbyHalt = "STANDBY_HALTED FOLD_FAILED"
    expect([actionsOf(rebuild({ status: "ACTIVE" })).rollBackLocked, actionsOf(rebuild({ status: "ACTIVE", standbyHalt })).rollBackLocked]).toEqual([false, true])
    expect(actionsOf(rebuild({ status: "STANDBY", standbyHalt }))).toMatchObject({ cutOver: false, locked: "what stands by has halted" })
  })

  it("compares again what is ready", () => {
    expect(actionsOf(rebuild({ status: "READY", parity: equal })).compare).toBe(true)
    for (const status of ["VERIFYING", "PAUSED", "FAILED", "ACTIVE", "STANDBY"] as const) expect(actionsOf(rebuild({ status })).compare, status).toBe(false)
  })

  it("pauses what is worked on, which one that is ready is not", () => {
    for (const status of ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING"] as const) expect(actionsOf(rebuild({ status })).pause, status).toBe(true)
    for (const status of ["READY", "PAUSED", "FAILED", "ACTIVE"] as const) expect(actionsOf(rebuild({ status })).pause, status).toBe(false)
  })

  it("says what a rebuild gives way to and how far, and reads a cap as it is typed", () => {
    expect(throttleText(rebuild({}))).toBeUndefined()
    expect(throttleText(rebuild({ throttle: "gives way: live lag 3.2 s", eventsPerSecondAllowed: 5_400.4 }))).toBe("gives way: live lag 3.2 s (at most 5,400 events/s)")
    expect(throttleText(rebuild({ throttle: "capped at 500 events/s", eventsPerSecondAllowed: 500 }))).toBe("capped at 500 events/s")
    expect(["20 000", "20,000", "", " ", "0", "-1", "1.5", "x"].map(readCap)).toEqual([20_000, 20_000, null, null, undefined, undefined, undefined, undefined])
  })

  it("never shows more progress than there is", () => {
    expect(ratioOf(rebuild({}))).toBe(0)
    expect(ratioOf(rebuild({ progress: progress("50") }))).toBe(0.25)
    expect(ratioOf(rebuild({ progress: progress("201") }))).toBe(1)
  })
})

describe("what differs of a window", () => {
  it("is told figure by figure, of a window of one generation too", () => {
    expect(changesOf({ old: "events 3, amount 12.50", new: "events 2, amount 10.25" })).toEqual([{ name: "events", old: "3", new: "2" }, { name: "amount", old: "12.50", new: "10.25" }])
    expect(changesOf({ old: null, new: "events 2" })).toEqual([{ name: "events", old: "–", new: "2" }])
    expect(changesOf({ old: "events 2, visitors ", new: null })).toEqual([{ name: "events", old: "2", new: "–" }, { name: "visitors", old: "", new: "–" }])
    expect(changesOf({ old: "", new: "" })).toEqual([])
  })
})

describe("what is confirmed", () => {
  const nowMs = Date.parse("2026-11-24T12:00:00.000Z")

  it("is told before it is done: what changes, for whom, and until when the way back stays open", () => {
    expect(changeText(equal)).toBe("No window changes its numbers.")
    expect(changeText({ ...equal, differ: "1", onlyOld: "1", onlyNew: "1" })).toBe("1 window changes its numbers, 1 window disappears, 1 window appears.")
    expect(changeText({ ...equal, differ: "1200", onlyOld: "0", onlyNew: "2" })).toBe("1,200 windows change their numbers, 2 windows appear.")
    expect(changeText({ ...equal, servedHalt: { code: "LOG_GAP", detail: "d", position: [] } })).toContain("any number may change")
    expect(cutOverLines(rebuild({ status: "READY", parity: { ...equal, differ: "6" } })).join("\n")).toMatch(/from generation 8 instead of 7 at once.*\n6 windows change their numbers\.\n.*\nGeneration 7 goes on beside it for 24 h: until/)
    expect(rollBackLines(rebuild({ status: "ACTIVE", standbyUntil: "2026-11-25T11:00:00.000Z" }), nowMs).join("\n")).toMatch(/from generation 7 instead of 8.*\nGeneration 8 stands by.*\nPossible until 25 Nov 11:00:00 UTC, 23 h 0 m from now\./)
    expect(standbyText(rebuild({ standbyUntil: "2026-11-24T11:59:59.000Z" }), nowMs)).toBe("What stands by is about to be dropped.")
    expect(standbyText(rebuild({ standbyUntil: null }), nowMs)).toBeUndefined()
    expect(standbyText(rebuild({ standbyUntil: "2026-11-25T11:00:00.000Z", standbyHalt: "STANDBY_HALTED LOG_GAP" }), nowMs)).toBeUndefined()
  })

  it("takes the projection's name and nothing like it", () => {
    expect(["revenue", " revenue ", "Revenue", "revenu", ""].map((typed) => isConfirmed(typed, "revenue"))).toEqual([true, true, false, false, false])
  })
})

describe("a plan", () => {
  const plan = { events: "12408551", bytes: "3100000000", rows: "92114", rowBytes: "31000000", diskFreeBytes: "52000000000", seconds: 67.2, rateFrom: "LAST_REBUILD" as const }
  const facts = (over: Partial<NonNullable<Rebuild["plan"]>>) => planFacts(rebuild({ plan: { ...plan, ...over } })).map(({ name, figure, note }) => `${name} ${figure}: ${note}`)

  it("says what is read, written, taken and sent, and where the time comes from", () => {
    expect(facts({})).toEqual([
      "Reads 12,408,551 records: 3.1 GB of the log", "Takes about 1 m 07 s: at the rate of the last rebuild", "Writes about 92,114 rows: as generation 8 beside generation 7",
      "Disk about 31.0 MB: of 52.0 GB free, until the old one is dropped", "Sends nothing: effects come from the generation that serves, which goes on meanwhile"
    ])
    expect(facts({ rateFrom: "SAMPLE" })[1]).toBe("Takes about 1 m 07 s: by a sample folded just now, storing not counted")
    expect(facts({ seconds: null, rateFrom: null, rows: null, rowBytes: null, diskFreeBytes: null }).slice(1, 4)).toEqual(["Takes not known: the log is too short to measure a rate", "Writes rows not estimated: as generation 8 beside generation 7", "Disk not estimated: until the old one is dropped"])
    expect(planFacts(rebuild({ plan: null }))).toEqual([])
    const takes = (eventsPerSecondMax: number, seconds: number | null) => planFacts(rebuild({ plan: { ...plan, seconds }, eventsPerSecondMax }))[1]
    expect(takes(100_000, 67.2)).toEqual({ name: "Takes", figure: "about 2 m 04 s", note: "at the cap of 100,000 events/s" })
    expect(takes(100_000, null)).toMatchObject({ figure: "about 2 m 04 s" })
    expect(takes(1_000_000, 67.2)).toMatchObject({ figure: "about 1 m 07 s", note: "at the rate of the last rebuild" })
  })
})

describe("a figure", () => {
  it("is grouped, and an estimate shown with two digits", () => {
    expect(["1240.50", "1234567", "12.3456789012", "-3", "–", "e-7"].map(valueText)).toEqual(["1,240.50", "1,234,567", "12.35", "−3", "–", "e-7"])
  })
})
