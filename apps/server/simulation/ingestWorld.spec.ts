import { catchBug, failureLines, findBug, runCampaign } from "@tidemark/projections/simulation/campaign"
import { scenarioOf } from "@tidemark/projections/simulation/scenario"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { ingestBugs } from "./ingestBugs.ts"
import { ingestSimulation, runIngestScenario } from "./ingestWorld.ts"
import type { IngestResult, WrapIngest } from "./ingestWorld.ts"

/** Seeds that are always run, from 1 on, and seeds that no run before has had. */
const SEEDS = 160
const FRESH = 40
/** Within so many seeds every bug has to be caught. */
const BUG_SEEDS_MAX = 200
const TIMEOUT_MS = 400_000

/** How each bug shows itself first, and nothing else does. */
const SYMPTOMS: Readonly<Record<string, RegExp>> = {
  "imports-forgotten": /^(?:acme|birch) r\d+ of \w+ was accepted (?:twice by one process, the second time at (\d+):\d+|at (\d+):\d+ by a process that found it at \d+:\d+)$/,
  "dedupe-evicts": /^(?:acme|birch) r\d+ was accepted twice by one process, the second time at (\d+):\d+$/
}

const campaign = (from: number, seeds: number) => {
  const totals = { importsAccepted: 0, importsKnown: 0, segments: 0, records: 0, inPart: 0 }
  const failures: string[] = []
  const run: typeof ingestSimulation.run = (scenario, bug) => {
    const result = ingestSimulation.run(scenario, bug) as IngestResult
    for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += { ...result.deeds, ...result.stats }[name]
    return result
  }
  const summary = runCampaign(from, seeds, (result) => { if (failures.length < 1) failures.push(failureLines(result, undefined, ingestSimulation).join("\n")) }, () => {}, { ...ingestSimulation, run })
  expect(failures.join("\n\n"), `npm run sim -- --world ingest --from ${from} --seeds ${seeds}`).toBe("")
  expect(summary.passed).toBe(seeds)
  return totals
}

describe("the simulation with the command that accepts events", () => {
  it(`keeps what it acknowledged, stores nothing it refused and loses count of none, for the seeds 1 to ${SEEDS}`, () => {
    const totals = campaign(1, SEEDS)
    for (const [what, least] of [["records", 60], ["inPart", 0.25], ["importsAccepted", 5], ["importsKnown", 2], ["segments", 2]] as const) expect(totals[what] / SEEDS, what).toBeGreaterThan(least)
  }, TIMEOUT_MS)

  it(`and for ${FRESH} seeds that are new each time`, () => {
    const from = 1_000 + (Math.floor(Date.now() / 1_000) % 1_000_000_000)
    process.stdout.write(`new seeds: npm run sim -- --world ingest --from ${from} --seeds ${FRESH}\n`)
    campaign(from, FRESH)
  }, TIMEOUT_MS)

  it("does the same for the same seed, to the last line", () => {
    for (const seed of [3, 11]) expect(runIngestScenario(scenarioOf(seed))).toEqual(runIngestScenario(scenarioOf(seed)))
  })

  it("is caught when it says of an append of unknown outcome that nothing is stored", () => {
    const refusing: WrapIngest = (ingest) => (request) => Effect.map(ingest(request), (answer) => ({
      ...answer, results: answer.results.map((result) => (result.code === "outcome-unknown" ? { ...result, code: "log-not-writable" } : result))
    }))
    const result = catchBug({ name: "refusing" }, 1, BUG_SEEDS_MAX, { ...ingestSimulation, run: (scenario) => runIngestScenario(scenario, undefined, refusing) })
    expect(result?.violations.join("\n")).toMatch(/refused and in the log: (acme|birch) r\d+/)
  }, TIMEOUT_MS)

  it("is caught when it acknowledges before the event is stored", () => {
    const rule = /acknowledged and not in the log: (acme|birch) r\d+/
    let violations: readonly string[] = []
    for (let seed = 1; seed <= BUG_SEEDS_MAX && !violations.some((one) => rule.test(one)); seed++) violations = runIngestScenario(scenarioOf(seed), findBug("early-ack")).violations
    expect(violations.join("\n")).toMatch(rule)
  }, TIMEOUT_MS)
})

describe("a planted bug of the command that accepts events", () => {
  it.each(ingestBugs)(`$name is caught within ${BUG_SEEDS_MAX} seeds, in a partition in which it made a difference`, (bug) => {
    const result = catchBug(bug, 1, BUG_SEEDS_MAX, ingestSimulation)
    const [finding = ""] = result?.violations ?? []
    const [, ...partitions] = (SYMPTOMS[bug.name] ?? /^$/).exec(finding) ?? []
    expect(partitions.some((partition) => result?.effects.includes(`partition ${partition}`)), finding).toBe(true)
  }, TIMEOUT_MS)
})
