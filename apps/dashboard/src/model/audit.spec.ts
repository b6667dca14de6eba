import { describe, expect, it } from "vitest"
import { auditSkipped, auditSummary, auditTimes, auditVerdict } from "./audit.ts"
import type { Audit } from "./audit.ts"

const START = "2026-03-01T00:00:00.000Z"
const audit = (more: Partial<Audit> = {}): Audit => ({ startedAt: START, windows: 1_204, differing: 0, skipped: [], lastAt: "2026-03-01T01:00:00.000Z", lastDifferenceAt: null, lastDifference: null, ...more })

describe("the audit", () => {
  it("holds while nothing differs, fails at the first difference, and judges nothing before the first window", () => {
    const told = [audit(), audit({ windows: 1 }), audit({ differing: 1 }), audit({ differing: 2 }), audit({ windows: 0, lastAt: null })].map((one) => [auditVerdict(one), auditSummary(one)])
    expect(told).toEqual([
      ["holds", "1,204 windows recomputed from the log, none differs"], ["holds", "1 window recomputed from the log, none differs"],
      ["fails", "1,204 windows recomputed from the log, 1 differs"], ["fails", "1,204 windows recomputed from the log, 2 differ"], ["none", "No window has been recomputed yet."]
    ])
  })

  it("tells when, and what it left out and why, also for reasons it does not know", () => {
    const nowMs = Date.parse("2026-03-01T01:00:08.000Z")
    expect([auditTimes(audit(), nowMs), auditTimes(audit({ lastAt: null }), nowMs)]).toEqual(["the last 8 s ago · running for 1 h 0 m", "running for 1 h 0 m"])
    expect(auditSkipped(audit())).toBeUndefined()
    expect(auditSkipped(audit({ skipped: [{ reason: "keys", windows: 1 }, { reason: "new", windows: 3 }] }))).toBe("Left out: 1 window of too many keys, 3 windows new.")
  })
})
