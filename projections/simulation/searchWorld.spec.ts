import { describe, expect, it } from "vitest"
import { catchBug, failureLines, runCampaign } from "./campaign.ts"
import { searchBugs } from "./searchBugs.ts"
import { searchSimulation } from "./searchWorld.ts"

/** Seeds that are always run, from 1 on. */
const SEEDS = 16
/** Within so many seeds every bug has to be caught. */
const BUG_SEEDS_MAX = 200
const TIMEOUT_MS = 400_000

/** How each bug shows itself first. */
const SYMPTOMS: Readonly<Record<string, RegExp>> = {
  "search-hard-delete": /^document (\S+) of sim-\w+\/1\/\d+ went back from revision \d+ to \d+$/,
  "conflict-dropped": /^the cursor passed document (\S+) of sim-\w+\/1\/\d+, which is not there at revision \d+$/
}

describe("the simulation with a window index", () => {
  it(`takes no document back, passes none over, and ends equal to the rows, for the seeds 1 to ${SEEDS}`, () => {
    const failures: string[] = []
    const summary = runCampaign(1, SEEDS, (result) => { if (failures.length < 1) failures.push(failureLines(result, undefined, searchSimulation).join("\n")) }, () => {}, searchSimulation)
    expect(failures.join("\n\n"), `npm run sim -- --world search --seeds ${SEEDS}`).toBe("")
    expect(summary.passed).toBe(SEEDS)
  }, TIMEOUT_MS)

  it("does the same for the same seed, to the last line", () => {
    for (const seed of [2, 5]) expect(searchSimulation.run(searchSimulation.scenarioOf(seed))).toEqual(searchSimulation.run(searchSimulation.scenarioOf(seed)))
  })
})

describe("a planted bug of the window index", () => {
  it.each(searchBugs)(`$name is caught within ${BUG_SEEDS_MAX} seeds, at a document that it touched`, (bug) => {
    const result = catchBug(bug, 1, BUG_SEEDS_MAX, searchSimulation)
    const [, document = ""] = (SYMPTOMS[bug.name] ?? /^$/).exec(result?.violations[0] ?? "") ?? []
    expect(document, result?.violations[0]).not.toBe("")
    expect(result?.effects).toContain(document)
  }, TIMEOUT_MS)
})
