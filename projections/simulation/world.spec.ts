import { describe, expect, it } from "vitest"
import { failureLines, runCampaign } from "./campaign.ts"
import { runWorld } from "./runWorld.ts"

/** Seeds that are always run, from 1 on. */
const SEEDS = 800
/** Seeds that no run before has had. */
const FRESH = 200
const TIMEOUT_MS = 400_000

const expectNoFailure = (from: number, seeds: number): ReturnType<typeof runCampaign> => {
  const failures: string[] = []
  const summary = runCampaign(from, seeds, (result) => { if (failures.length < 2) failures.push(failureLines(result).join("\n")) })
  expect(failures.join("\n\n"), `npm run sim -- --from ${from} --seeds ${seeds}`).toBe("")
  expect(summary.passed).toBe(seeds)
  return summary
}

describe("the simulation", () => {
  it(`keeps every rule for the seeds 1 to ${SEEDS}, after every commit and at rest`, () => {
    const { telling, kills, zombies, inPart } = expectNoFailure(1, SEEDS)
    expect(telling / SEEDS).toBeGreaterThanOrEqual(0.95)
    expect(kills).toBeGreaterThan(SEEDS * 3)
    expect(zombies).toBeGreaterThan(SEEDS)
    expect(inPart).toBeGreaterThan(SEEDS / 10)
  }, TIMEOUT_MS)

  it(`keeps every rule for ${FRESH} seeds that are new each time`, () => {
    const from = SEEDS + 1 + (Math.floor(Date.now() / 1_000) % 1_000_000_000)
    process.stdout.write(`the simulation's new seeds: npm run sim -- --from ${from} --seeds ${FRESH}\n`)
    expectNoFailure(from, FRESH)
  }, TIMEOUT_MS)

  it("does the same for the same seed, to the last line, and something else for another", () => {
    for (const seed of [1, 7, 42, 123]) expect(runWorld(seed)).toEqual(runWorld(seed))
    expect(runWorld(1).traceHash).not.toBe(runWorld(2).traceHash)
  })
})
