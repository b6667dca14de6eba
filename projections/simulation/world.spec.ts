import { describe, expect, it } from "vitest"
import { failureLines, runCampaign } from "./campaign.ts"
import { runWorld } from "./runWorld.ts"

const SEEDS = 200
const TIMEOUT_MS = 300_000

describe("the simulation", () => {
  it(`keeps every rule for the seeds 1 to ${SEEDS}, after every commit and at rest`, () => {
    const failures: string[] = []
    const { telling, ...sums } = runCampaign(1, SEEDS, (result) => failures.push(failureLines(result).join("\n")))
    expect(failures.slice(0, 3)).toEqual([])
    expect(sums.passed).toBe(SEEDS)
    expect(telling / SEEDS).toBeGreaterThanOrEqual(0.95)
    expect(sums.kills).toBeGreaterThan(SEEDS * 3)
    expect(sums.zombies).toBeGreaterThan(SEEDS)
  }, TIMEOUT_MS)

  it("does the same for the same seed, to the last line, and something else for another", () => {
    for (const seed of [1, 7, 42, 123]) expect(runWorld(seed)).toEqual(runWorld(seed))
    expect(runWorld(1).traceHash).not.toBe(runWorld(2).traceHash)
  })
})
