/** Lineage and audit over random logs that reach every rule: whatever stored window is looked at is proved. Semantics §9.5, §9.10. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import { simulatedProjections } from "@tidemark/projections/simulation/oracleProjections"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { AUDIT_BOUNDS, auditWindow } from "./auditWindow.ts"
import type { AuditOutcome, AuditedWindow } from "./auditWindow.ts"
import { makeFoldedLog, randomRecords } from "./foldedLog.ts"

const START_MS = 1_700_000_000_000
const RECORDS = 600
/** Windows looked at, chosen by chance. */
const WINDOWS = 300
const definitions = [...simulatedProjections.map(({ definition }) => definition), ...projections]
/** Another one each time. */
const fresh = Date.now() % 1_000_000

describe("the proof of a window", () => {
  it.each([[1], [fresh]])("holds for windows and keys by chance of the random log of seed %i, in every projection", async (seed) => {
    const world = makeFoldedLog(definitions, START_MS, { partitions: 3, lanes: 2 })
    await world.fold(randomRecords(seed, { records: RECORDS, partitions: 3, startMs: START_MS }))
    const windows = new Map([...world.modelDisk.state.rows.values()].map(({ lane: { projection, generation }, row: { tenantId, resolution, windowStartMs, keyId, key } }) => {
      const window: AuditedWindow = { projection, generation, tenantId, resolution, startMs: windowStartMs, keyId, key }
      return [[projection, tenantId, resolution, windowStartMs, keyId].join(), window] as const
    }))
    const random = new SeededRandom(seed)
    const share = Math.min(1, WINDOWS / windows.size)
    const found = new Map<string, number>()
    await world.run(Effect.scoped(Effect.gen(function* () {
      const snapshot = yield* (yield* ReadModelStore).snapshot
      for (const window of windows.values()) {
        if (!random.chance(share)) continue
        const outcome: AuditOutcome = yield* auditWindow(snapshot, window, () => 0, AUDIT_BOUNDS)
        const said = outcome.kind === "skipped" ? `skipped: ${outcome.reason}` : (outcome.difference ?? "proved")
        found.set(said, (found.get(said) ?? 0) + 1)
      }
    })))
    expect([seed, [...found.keys()]]).toEqual([seed, ["proved"]])
    expect(found.get("proved")).toBeGreaterThan(WINDOWS / 2)
  }, 60_000)
})
