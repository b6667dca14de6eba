import { describe, expect, it } from "vitest"
import {
  decideAbort, decideCap, decideClaim, decideCompareAgain, decideCutOver, decideFail, decideMove, decideMoved, decideMovedBack, decidePause, decidePlan, decideResume, decideRetire, decideVerified
} from "./decide.ts"
import { readRebuildEvent } from "./events.ts"
import type { ParitySummary, RebuildEvent } from "./events.ts"
import { HISTORY_MAX, evolveRebuilds, rateOfLast } from "./evolve.ts"
import type { Rebuilds } from "./evolve.ts"

const sample = { seed: 1, windows: 90, skipped: 0, differing: [] }
const NOW = 1_700_000_000_000
const ID = "r1"
const command = {
  rebuildId: ID, projection: "orders", generation: 2, fromGeneration: 1, definition: "{}", definitionHash: "h", reason: "test orders were counted",
  plan: { events: "10", bytes: "1000", seconds: null }
}
const equal: ParitySummary = { sameDefinition: true, compared: 3, equal: 3, differ: 0, onlyOld: 0, onlyNew: 0, faults: [], position: [{ partition: 0, nextOffset: "10" }] }

type Decision = (state: Rebuilds | undefined) => readonly RebuildEvent[] | Error

/** Takes the decisions one after the other, each stored and read again; a refusal ends the test. */
const after = (...decisions: readonly Decision[]): Rebuilds | undefined => {
  let state: Rebuilds | undefined
  for (const decide of decisions) {
    const decided = decide(state)
    if (decided instanceof Error) throw decided
    for (const { type, data } of decided) {
      const read = readRebuildEvent(type, JSON.parse(JSON.stringify(data)))
      if (typeof read === "string") throw new RangeError(`${type} is ${read}`)
      state = evolveRebuilds(state, read)
    }
  }
  return state
}

const plan = (state: Rebuilds | undefined) => decidePlan(state, command, NOW)
const move = (to: Parameters<typeof decideMove>[2]) => (state: Rebuilds | undefined) => decideMove(state, ID, to, NOW)
const verified = (over: Partial<ParitySummary> = {}) => (state: Rebuilds | undefined) => decideVerified(state, ID, { ...equal, ...over }, NOW)
const built = [plan, move("preparing"), move("building"), move("catching_up"), move("verifying")]
const ready = (over: Partial<ParitySummary> = {}) => [...built, verified(over)]
const cutOver = (note?: string, served = 1) => (state: Rebuilds | undefined) => decideCutOver(state, ID, note, served, NOW)
const movedTo = (pointerVersion: number) => (state: Rebuilds | undefined) => decideMoved(state, ID, pointerVersion, NOW)
const moved = movedTo(2)
const only = (state: Rebuilds | undefined) => state?.rebuilds[0]

describe("a claim", () => {
  const claim = (executor: string, atMs: number) => (state: Rebuilds | undefined) => decideClaim(state, ID, executor, 60_000, atMs)

  it("keeps others away for its time, is kept by saying so again, and changes nothing else", () => {
    const claimed = after(...built, claim("a", NOW))
    expect(only(claimed)).toMatchObject({ status: "verifying", claim: { executor: "a", untilMs: NOW + 60_000 } })
    expect(claim("b", NOW + 59_999)(claimed)).toMatchObject({ _tag: "RebuildStatusError", status: "verifying, claimed by a" })
    expect(claim("a", NOW + 29_999)(claimed)).toEqual([])
    const kept = after(...built, claim("a", NOW), claim("a", NOW + 30_000))
    expect(only(kept)?.claim?.untilMs).toBe(NOW + 90_000)
    expect(claim("b", NOW + 60_000)(kept)).toMatchObject({ _tag: "RebuildStatusError" })
    expect(only(after(...built, claim("a", NOW), claim("b", NOW + 60_000)))?.claim?.executor).toBe("b")
  })

  it("is for those that somebody has to carry on, and for what an aborted one has left", () => {
    expect(claim("a", NOW)(after(...ready()))).toMatchObject({ _tag: "RebuildStatusError", status: "ready" })
    expect(claim("a", NOW)(after(plan, (state) => decideAbort(state, ID, NOW)))).toHaveLength(1)
    expect(claim("a", NOW)(undefined)).toMatchObject({ _tag: "RebuildMissingError" })
  })
})

describe("the rate of the last rebuild", () => {
  const planned = (id: string, events: string) => (state: Rebuilds | undefined) => decidePlan(state, { ...command, rebuildId: id, plan: { ...command.plan, events } }, NOW)
  const at = (id: string, to: Parameters<typeof decideMove>[2], ms: number) => (state: Rebuilds | undefined) => decideMove(state, id, to, NOW + ms)
  const run = (id: string, events: string, fromMs: number, untilMs: number) => [planned(id, events), at(id, "preparing", fromMs), at(id, "building", fromMs), at(id, "catching_up", untilMs), at(id, "verifying", untilMs + 50)]
  const abort = (id: string, ms: number) => (state: Rebuilds | undefined) => decideAbort(state, id, NOW + ms)
  const rate = (...decisions: readonly Decision[]) => rateOfLast(after(...decisions)?.rebuilds ?? [])

  it("is that of the newest that was built, whatever became of it", () => {
    const first = [...run("a", "1000000", 0, 10_000), abort("a", 20_000)]
    expect(rate()).toBeUndefined()
    expect(rate(planned("a", "1000000"), at("a", "preparing", 0), at("a", "building", 0))).toBeUndefined()
    expect(rate(...first)).toBe(100_000)
    expect(rate(...first, ...run("b", "1000000", 30_000, 35_000))).toBe(200_000)
  })

  it("is none of one that was paused, failed or capped within, or was over too soon to tell", () => {
    const begun = [planned("a", "1000000"), at("a", "preparing", 0), at("a", "building", 0)]
    const disturbances: readonly (readonly Decision[])[] = [
      [(state) => decidePause(state, "a", NOW + 1_000), (state) => decideResume(state, "a", NOW + 9_000)],
      [(state) => decideFail(state, "a", "disk full", NOW + 1_000), (state) => decideResume(state, "a", NOW + 9_000)],
      [(state) => decideCap(state, "a", 5_000, NOW + 1_000), (state) => decideCap(state, "a", null, NOW + 2_000)]
    ]
    for (const disturbed of disturbances) expect(rate(...begun, ...disturbed, at("a", "catching_up", 10_000))).toBeUndefined()
    const capped = (state: Rebuilds | undefined) => decidePlan(state, { ...command, rebuildId: "a", eventsPerSecondMax: 9, plan: { ...command.plan, events: "1000000" } }, NOW)
    expect(rate(capped, at("a", "building", 0), at("a", "catching_up", 10_000))).toBeUndefined()
    expect(rate(...run("a", "1000000", 0, 999))).toBeUndefined()
    expect(rate(...run("a", "9999", 0, 10_000))).toBeUndefined()
  })
})

describe("the history of a rebuild", () => {
  const at = (to: Parameters<typeof decideMove>[2], ms: number) => (state: Rebuilds | undefined) => decideMove(state, ID, to, NOW + ms)

  it("tells every step with its time, and what more there is to say of it; claims are no news", () => {
    const told = only(after(
      (state) => decidePlan(state, { ...command, eventsPerSecondMax: 500 }, NOW), (state) => decideClaim(state, ID, "a", 60_000, NOW + 1), at("preparing", 2), at("building", 3),
      (state) => decidePause(state, ID, NOW + 4), (state) => decideResume(state, ID, NOW + 5), (state) => decideFail(state, ID, "DISK: full", NOW + 6), (state) => decideResume(state, ID, NOW + 7),
      (state) => decideCap(state, ID, null, NOW + 8), at("catching_up", 9), at("verifying", 10), (state) => decideVerified(state, ID, { ...equal, sameDefinition: false, sample, differ: 2, onlyNew: 1, faults: ["f"] }, NOW + 11),
      (state) => decideCompareAgain(state, ID, NOW + 12), (state) => decideVerified(state, ID, { ...equal, sameDefinition: false, sample, differ: 2 }, NOW + 13), (state) => decideCutOver(state, ID, "refunds count", 1, NOW + 14), moved
    ))?.history
    expect(told?.map(({ status, atMs, detail }) => `${status} ${atMs - NOW} ${detail ?? "-"}`)).toEqual([
      "planned 0 test orders were counted", "planned 0 at most 500 events/s", "preparing 2 -", "building 3 -", "paused 4 -", "building 5 -", "failed 6 DISK: full", "building 7 -", "building 8 no cap", "catching_up 9 -", "verifying 10 -",
      "ready 11 3 windows compared, 3 differ, 1 faults", "verifying 12 compared again", "ready 13 3 windows compared, 2 differ", "ready 14 accepted: refunds count", "active 0 -"
    ])
    const halted = { code: "LOG_GAP", detail: "d", position: [] }
    expect(only(after(...ready({ servedHalt: halted })))?.history.at(-1)).toMatchObject({ status: "ready", detail: "not compared: the served generation has halted with LOG_GAP" })
  })

  it("keeps its last steps only, however often somebody pauses it", () => {
    const steps = Array.from({ length: HISTORY_MAX }, (_, n): readonly Decision[] => [(state) => decidePause(state, ID, NOW + n), (state) => decideResume(state, ID, NOW + n)]).flat()
    const { history = [] } = only(after(plan, ...steps)) ?? {}
    expect([history.length, history.at(-1)]).toEqual([HISTORY_MAX, { status: "planned", atMs: NOW + HISTORY_MAX - 1, detail: null }])
  })
})

describe("a rebuild", () => {
  it("goes from planned through its phases to active, standby and active again, and is retired", () => {
    const back = (state: Rebuilds | undefined) => decideMovedBack(state, ID, 3, NOW)
    expect(only(after(plan))).toMatchObject({ status: "planned", reason: command.reason, startedAtMs: NOW, finishedAtMs: null })
    expect(only(after(...built))).toMatchObject({ status: "verifying" })
    expect(only(after(...ready()))).toMatchObject({ status: "ready", parity: equal })
    expect(only(after(...ready(), cutOver(), moved))).toMatchObject({ status: "active" })
    expect(only(after(...ready(), cutOver(), moved, back))).toMatchObject({ status: "standby" })
    expect(only(after(...ready(), cutOver(), moved, back, cutOver(), movedTo(4)))).toMatchObject({ status: "active", pointerVersion: 4 })
    // Who saw the pointer before the rollback changes nothing.
    expect(only(after(...ready(), cutOver(), moved, back, moved))).toMatchObject({ status: "standby", pointerVersion: 3 })
    expect(only(after(...ready(), cutOver(), moved, (state) => decideRetire(state, ID, NOW)))).toMatchObject({ status: "retired" })
  })

  it("needs a reason, and waits for the running one of its projection", () => {
    expect(decidePlan(undefined, { ...command, reason: " " }, NOW)).toMatchObject({ _tag: "InvalidSettingError", pointer: "/reason" })
    for (const state of [after(plan), after(...ready()), after(plan, (now) => decidePause(now, ID, NOW)), after(plan, (now) => decideFail(now, ID, "disk full", NOW))]) {
      expect(decidePlan(state, { ...command, rebuildId: "r2" }, NOW)).toMatchObject({ _tag: "RebuildRunningError", rebuildId: ID })
    }
    expect(decidePlan(after(plan, (state) => decideAbort(state, ID, NOW)), { ...command, rebuildId: "r2" }, NOW)).toHaveLength(1)
    expect(decidePlan(after(...ready(), cutOver(), moved), { ...command, rebuildId: "r2" }, NOW)).toHaveLength(1)
  })

  it("pauses in any phase and goes on with that phase, and so does one that failed", () => {
    for (let length = 1; length <= built.length; length++) {
      const before = built.slice(0, length)
      const status = only(after(...before))?.status
      const paused = [...before, (state: Rebuilds | undefined) => decidePause(state, ID, NOW)]
      expect(only(after(...paused))).toMatchObject({ status: "paused" })
      expect(decideMove(after(...paused), ID, "building", NOW)).toMatchObject({ _tag: "RebuildStatusError", status: "paused" })
      expect(only(after(...paused, (state) => decideResume(state, ID, NOW)))).toMatchObject({ status })
      const failed = [...before, (state: Rebuilds | undefined) => decideFail(state, ID, "disk full", NOW)]
      expect(only(after(...failed))).toMatchObject({ status: "failed", error: "disk full" })
      expect(only(after(...failed, (state) => decideResume(state, ID, NOW)))).toMatchObject({ status, error: null })
    }
  })

  it("may be slowed from its beginning and at any moment while it is to be built, and let go again", () => {
    const cap = (rate: number | null) => (state: Rebuilds | undefined) => decideCap(state, ID, rate, NOW)
    expect(only(after((state) => decidePlan(state, { ...command, eventsPerSecondMax: 500 }, NOW)))).toMatchObject({ status: "planned", eventsPerSecondMax: 500 })
    expect(only(after(...built))?.eventsPerSecondMax).toBeNull()
    const slowed = after(...built, cap(20_000))
    expect(only(slowed)).toMatchObject({ status: "verifying", eventsPerSecondMax: 20_000 })
    expect(cap(20_000)(slowed)).toEqual([])
    expect(only(after(...built, cap(20_000), (state) => decidePause(state, ID, NOW), cap(null)))).toMatchObject({ status: "paused", eventsPerSecondMax: null })
    for (const wrong of [0, -1, 1.5, NaN, 1e12]) {
      expect(cap(wrong)(slowed), String(wrong)).toMatchObject({ _tag: "InvalidSettingError", pointer: "/eventsPerSecondMax" })
      expect(decidePlan(undefined, { ...command, eventsPerSecondMax: wrong }, NOW), String(wrong)).toMatchObject({ _tag: "InvalidSettingError" })
    }
    expect(cap(1)(after(...ready()))).toMatchObject({ _tag: "RebuildStatusError", status: "ready" })
  })

  it("is aborted at any moment before the cut-over, for good, and not after it", () => {
    const aborted = [...ready(), (state: Rebuilds | undefined) => decideAbort(state, ID, NOW)]
    expect(only(after(...aborted))).toMatchObject({ status: "aborted", finishedAtMs: NOW })
    expect(decideAbort(after(...aborted), ID, NOW)).toEqual([])
    expect(decideResume(after(...aborted), ID, NOW)).toMatchObject({ _tag: "RebuildStatusError" })
    expect(decideAbort(after(...ready(), cutOver(), moved), ID, NOW)).toMatchObject({ _tag: "RebuildStatusError", status: "active" })
    expect(decideAbort(undefined, ID, NOW)).toMatchObject({ _tag: "RebuildMissingError" })
  })
})

describe("the gate before a cut-over", () => {
  it("stays shut before the comparison", () => {
    expect(cutOver()(after(...built))).toMatchObject({ _tag: "RebuildStatusError", status: "verifying" })
    expect(cutOver("I know")(after(plan))).toMatchObject({ _tag: "RebuildStatusError" })
  })

  it("never opens for differences of the same definition, whatever the note", () => {
    for (const found of [{ differ: 1 }, { onlyOld: 1 }, { onlyNew: 1 }, { faults: ["digests of lane 0 differ"] }]) {
      expect(cutOver("I know")(after(...ready(found)))).toMatchObject({ _tag: "ParityDiffersError", differences: 1, isAcceptable: false })
    }
  })

  it("opens for differences of another definition with a note, which is stored first", () => {
    const state = after(...ready({ sameDefinition: false, sample, differ: 6, onlyOld: 2 }))
    expect(cutOver()(state)).toMatchObject({ _tag: "ParityDiffersError", differences: 8, isAcceptable: true })
    expect(cutOver(" ")(state)).toMatchObject({ _tag: "InvalidSettingError", pointer: "/acceptDifferences" })
    expect(cutOver("test orders no longer count")(state)).toEqual([{ type: "rebuild.accepted", data: { rebuildId: ID, note: "test orders no longer count", atMs: NOW } }])
    expect(cutOver("rows are not what their digest says")(after(...ready({ sameDefinition: false, sample, faults: ["x"] })))).toMatchObject({ isAcceptable: false })
  })

  it("stays shut for another definition of which nothing was recomputed, whether or not anything differs", () => {
    for (const found of [{}, { sample: null }, { differ: 6 }]) {
      expect(cutOver("I know")(after(...ready({ sameDefinition: false, ...found })))).toMatchObject({ _tag: "ParityDiffersError", isAcceptable: false })
    }
    expect(cutOver()(after(...ready({ sameDefinition: false, sample })))).toEqual([])
  })

  it("shuts while it is compared again, which only one that is ready can be, and opens with what that has found", () => {
    const again = (state: Rebuilds | undefined) => decideCompareAgain(state, ID, NOW)
    const asked = after(...ready(), again)
    expect(only(asked)).toMatchObject({ status: "verifying", parity: equal })
    expect(again(asked)).toEqual([])
    expect(cutOver()(asked)).toMatchObject({ _tag: "RebuildStatusError", status: "verifying" })
    expect(only(after(...ready(), again, (state) => decidePause(state, ID, NOW), (state) => decideResume(state, ID, NOW)))?.status).toBe("verifying")
    expect(only(after(...ready(), again, verified({ compared: 4, equal: 4 })))).toMatchObject({ status: "ready", parity: { compared: 4 } })
    for (const steps of [[plan], [...ready(), cutOver(), moved], [...ready(), (state: Rebuilds | undefined) => decideAbort(state, ID, NOW)]]) expect(again(after(...steps))).toMatchObject({ _tag: "RebuildStatusError", wanted: "ready" })
  })

  it("opens beside a generation that has halted with a proof by the log and a note, whatever the definition, and never without either", () => {
    const servedHalt = { code: "DEFINITION_CHANGED", detail: "d", position: [{ partition: 0, nextOffset: "4" }] }
    for (const sameDefinition of [true, false]) {
      const halted = { sameDefinition, servedHalt, compared: 0, equal: 0 }
      expect(cutOver("I know")(after(...ready({ ...halted, sample: null })))).toMatchObject({ _tag: "ParityDiffersError", isAcceptable: false })
      expect(cutOver("I know")(after(...ready({ ...halted, sample, faults: ["x"] })))).toMatchObject({ _tag: "ParityDiffersError", isAcceptable: false })
      expect(cutOver()(after(...ready({ ...halted, sample })))).toMatchObject({ _tag: "ParityDiffersError", differences: 0, isAcceptable: true, servedHalt: "DEFINITION_CHANGED" })
      expect(cutOver("served stands still")(after(...ready({ ...halted, sample })))).toMatchObject([{ type: "rebuild.accepted" }])
      expect(cutOver()(after(...ready({ ...halted, sample }), cutOver("served stands still")))).toEqual([])
    }
  })

  it("asks for another note after another comparison", () => {
    const accepted = [...ready({ sameDefinition: false, sample, differ: 6 }), cutOver("six")]
    expect(cutOver()(after(...accepted))).toEqual([])
    expect(cutOver()(after(...accepted, verified({ sameDefinition: false, sample, differ: 7 })))).toMatchObject({ _tag: "ParityDiffersError", differences: 7 })
  })
})
