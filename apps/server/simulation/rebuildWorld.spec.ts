import { catchBug, failureLines, runCampaign } from "@tidemark/projections/simulation/campaign"
import { describe, expect, it } from "vitest"
import { rebuildBugs } from "./rebuildBugs.ts"
import { noDeeds } from "./rebuildGuests.ts"
import { rebuildSimulation, runRebuildWorld } from "./rebuildWorld.ts"
import type { RebuildResult } from "./rebuildWorld.ts"

/** Seeds that are always run, from 1 on, and seeds that no run before has had. */
const SEEDS = 60
const FRESH = 20
/** Within so many seeds every bug has to be caught. */
const BUG_SEEDS_MAX = 200
const TIMEOUT_MS = 400_000

/** How each bug shows itself first. */
const SYMPTOMS: Readonly<Record<string, RegExp>> = {
  "early-pointer-flip": /^sim-\w+ moved from generation \d+ to \d+ and back from \d+ to \d+ in partition \d+$/,
  "unchecked-flip": /^sim-\w+ moved from generation \d+ to \d+ and back from \d+ to \d+ in partition \d+$/,
  "standby-left": /^rebuilds do not come to rest: /
}

const campaign = (from: number, seeds: number) => {
  const totals = { ...noDeeds(), moves: 0 }
  const failures: string[] = []
  const run: typeof rebuildSimulation.run = (scenario, bug) => {
    const result = rebuildSimulation.run(scenario, bug) as RebuildResult
    for (const name of Object.keys(result.deeds) as (keyof typeof result.deeds)[]) totals[name] += result.deeds[name]
    totals.moves += result.moves
    return result
  }
  const summary = runCampaign(from, seeds, (result) => { if (failures.length < 1) failures.push(failureLines(result, undefined, rebuildSimulation).join("\n")) }, () => {}, { ...rebuildSimulation, run })
  expect(failures.join("\n\n"), `npm run sim -- --world rebuilds --from ${from} --seeds ${seeds}`).toBe("")
  expect(summary.passed).toBe(seeds)
  return totals
}

describe("the simulation with rebuilds", () => {
  it(`has one whole served generation of each projection that never goes back, and every generation right, for the seeds 1 to ${SEEDS}`, () => {
    const totals = campaign(1, SEEDS)
    for (const [what, least] of [["verified", 2], ["cutOver", 1], ["takenBack", 0.1], ["aborted", 0.1], ["dropped", 0.5], ["moves", 2]] as const) expect(totals[what] / SEEDS, what).toBeGreaterThan(least)
  }, TIMEOUT_MS)

  it(`and for ${FRESH} seeds that are new each time`, () => {
    const from = 1_000 + (Math.floor(Date.now() / 1_000) % 1_000_000_000)
    process.stdout.write(`new seeds: npm run sim -- --world rebuilds --from ${from} --seeds ${FRESH}\n`)
    campaign(from, FRESH)
  }, TIMEOUT_MS)

  it("does the same for the same seed, to the last line", () => {
    for (const seed of [1, 7]) expect(runRebuildWorld(seed)).toEqual(runRebuildWorld(seed))
  })
})

describe("a planted bug of rebuilds", () => {
  it.each(rebuildBugs)(`$name is caught within ${BUG_SEEDS_MAX} seeds, where it made a difference`, (bug) => {
    const result = catchBug(bug, 1, BUG_SEEDS_MAX, rebuildSimulation)
    const [finding = ""] = result?.violations ?? []
    expect(finding).toMatch(SYMPTOMS[bug.name] ?? /^$/)
    expect(result?.effects.length).toBeGreaterThan(0)
    if (bug.name !== "standby-left") expect(result?.effects.some((projection) => finding.startsWith(projection))).toBe(true)
  }, TIMEOUT_MS)
})
