import { describe, expect, it } from "vitest"
import { logOf, trackOf } from "./rebuildTrack.ts"
import type { RebuildStatus, RebuildStep } from "./rebuild.ts"

const T0 = Date.parse("2026-11-24T12:00:00.000Z")
const steps = (...list: readonly (readonly [RebuildStatus, number, string?])[]): readonly RebuildStep[] => list.map(([status, seconds, detail]) => ({ status, at: new Date(T0 + seconds * 1_000).toISOString(), detail: detail ?? null }))
const seen = (status: RebuildStatus, history: readonly RebuildStep[], seconds: number) => {
  const { phases, exit } = trackOf(status, history, T0 + seconds * 1_000)
  return { phases: phases.filter(({ state }) => state !== "open").map((phase) => `${phase.status} ${phase.state} ${phase.beganMs === undefined ? "-" : (phase.beganMs - T0) / 1_000} ${phase.tookMs === undefined ? "-" : phase.tookMs / 1_000}`), exit: exit === undefined ? undefined : `${exit.label} ${exit.sinceMs === undefined ? "-" : (exit.sinceMs - T0) / 1_000}` }
}

describe("the track of a rebuild", () => {
  it("tells when each phase began and how long it took, up to now for the one it is in", () => {
    const history = steps(["PLANNED", 0, "why"], ["PREPARING", 1], ["BUILDING", 2], ["CATCHING_UP", 62])
    expect(seen("CATCHING_UP", history, 65)).toEqual({ phases: ["PLANNED done 0 1", "PREPARING done 1 1", "BUILDING done 2 60", "CATCHING_UP now 62 3"], exit: undefined })
    // Clocks of two machines: nothing took less than no time.
    expect(seen("CATCHING_UP", history, 60).phases.at(-1)).toBe("CATCHING_UP now 62 0")
  })

  it("adds up a phase it came to twice, and leaves out what was spent elsewhere", () => {
    const history = steps(["PLANNED", 0], ["PREPARING", 1], ["BUILDING", 2], ["PAUSED", 10], ["BUILDING", 40], ["BUILDING", 45, "at most 500 events/s"], ["CATCHING_UP", 50], ["VERIFYING", 51], ["READY", 53], ["VERIFYING", 60, "compared again"])
    expect(seen("VERIFYING", history, 64).phases).toEqual(["PLANNED done 0 1", "PREPARING done 1 1", "BUILDING done 2 18", "CATCHING_UP done 50 1", "VERIFYING now 51 6", "READY done 53 7"])
  })

  it("shows where it left the way, and since when", () => {
    const history = steps(["PLANNED", 0], ["PREPARING", 1], ["BUILDING", 2], ["FAILED", 10, "DISK: full"])
    expect(seen("FAILED", history, 20)).toEqual({ phases: ["PLANNED done 0 1", "PREPARING done 1 1", "BUILDING done 2 8"], exit: "Failed 10" })
    expect(seen("ABORTED", [...history, ...steps(["ABORTED", 30])], 99).exit).toBe("Aborted 30")
  })

  it("ends where nothing happens any more, and marks what was never passed", () => {
    const history = steps(["PLANNED", 0], ["PREPARING", 1], ["BUILDING", 2], ["CATCHING_UP", 3], ["VERIFYING", 4], ["READY", 5], ["ACTIVE", 6], ["RETIRED", 106])
    expect(seen("RETIRED", history, 9_999).phases.slice(-3)).toEqual(["ACTIVE done 6 100", "STANDBY skipped - -", "RETIRED now 106 -"])
  })

  it("of one whose steps are not known shows where it is", () => {
    expect(seen("READY", [], 5).phases).toEqual(["PLANNED skipped - -", "PREPARING skipped - -", "BUILDING skipped - -", "CATCHING_UP skipped - -", "VERIFYING skipped - -", "READY now - -"])
  })
})

describe("the log of a rebuild", () => {
  it("is told from the newest step back; one that stays where it was says only what is new", () => {
    expect(logOf(steps(["PLANNED", 0, "count refunds"], ["BUILDING", 2], ["BUILDING", 3, "no cap"], ["FAILED", 4, "DISK: full"])).map(({ atMs, text }) => `${(atMs - T0) / 1_000} ${text}`)).toEqual(["4 Failed: DISK: full", "3 no cap", "2 Building", "0 Planned: count refunds"])
  })
})
