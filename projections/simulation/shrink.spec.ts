import { describe, expect, it } from "vitest"
import { MEMORY_LIMITS } from "../runtime/memoryLimits.ts"
import { failureLines, findBug } from "./campaign.ts"
import { runScenario, runWorld } from "./runWorld.ts"
import { NO_FAULTS, parseScenario, scenarioOf } from "./scenario.ts"
import { shrink, sizeOf } from "./shrink.ts"

/** An acknowledgement that comes too early shows in a run of some fifty records, which take about 200 runs to find. */
const RUNS_MAX = 300

const firstBroken = (name: string) => {
  const bug = findBug(name)
  for (let seed = 1; seed <= 200; seed++) {
    const result = runWorld(seed, bug)
    if (result.violations.length > 0) return { bug, result }
  }
  throw new Error(`${name} was not caught`)
}

describe("shrinking a run that breaks a rule", () => {
  it.each(["no-epoch-fence", "early-ack", "double-roll-up"])("leaves of a run with %s what it takes to break one, and not more", (name) => {
    const { bug, result } = firstBroken(name)
    const isBroken = (scenario: typeof result.scenario): boolean => runScenario(scenario, bug).violations.length > 0
    const { scenario, runs } = shrink(result.scenario, isBroken, RUNS_MAX)
    expect(runs).toBeLessThanOrEqual(RUNS_MAX)
    expect(sizeOf(scenario)).toBeLessThan(sizeOf(result.scenario) / 2)
    expect(isBroken(scenario)).toBe(true)
    expect(runScenario(scenario).violations).toEqual([])
  })

  it("prints the seed, the trace hash, the small scenario and how to repeat it, and the repetition is the same run", () => {
    const { bug, result } = firstBroken("no-epoch-fence")
    const text = failureLines(result, bug).join("\n")
    expect(text).toContain(`seed ${result.scenario.seed} trace-sha1 ${result.traceHash}`)
    expect(text).toContain(`npm run sim -- --from ${result.scenario.seed} --seeds 1 --bug no-epoch-fence`)
    const [, printed = ""] = /--scenario '([^']+)' --bug no-epoch-fence/.exec(text) ?? []
    const repeated = runScenario(parseScenario(printed), bug)
    expect(text).toContain(`trace-sha1 ${repeated.traceHash}`)
    expect(repeated.violations.length).toBeGreaterThan(0)
  })

  it("leaves a run alone in which nothing can be left out, and stops when it has run often enough", () => {
    const smallest = { ...scenarioOf(1), records: 1, partitions: 1, lanes: 1, projectors: 1, ingests: 1, projections: 1, odds: NO_FAULTS, deeds: [], damage: "none" as const, skewMsMax: 0, limits: MEMORY_LIMITS }
    expect(shrink(smallest, () => true, 100)).toEqual({ scenario: smallest, runs: 0 })
    const seen: number[] = []
    expect(shrink(scenarioOf(1), (scenario) => seen.push(scenario.deeds.length) < 0, 7).runs).toBe(7)
    expect(shrink(scenarioOf(1), () => false, 1_000).scenario).toEqual(scenarioOf(1))
  })
})

describe("a scenario", () => {
  it("is read back as it was written, and refused when it is none", () => {
    for (const seed of [1, 2, 3]) expect(parseScenario(JSON.stringify(scenarioOf(seed)))).toEqual(scenarioOf(seed))
    for (const [name, value] of [["records", 0], ["lanes", 9], ["skewMsMax", -1], ["damage", "fire"], ["odds", {}], ["deeds", [{ atMs: 1, name: "flood", draw: 1 }]]] as const)
      expect(() => parseScenario(JSON.stringify({ ...scenarioOf(1), [name]: value }))).toThrow(RangeError)
  })
})
