/** One run of the simulation: storm, recovery, rest. */
import { damageLog, unleash } from "./nemesis.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { scenarioOf } from "./scenario.ts"
import type { Scenario } from "./scenario.ts"
import { World } from "./world.ts"
import type { WorldResult } from "./world.ts"
import type { MakeIngest } from "./worldRequests.ts"

/** The same scenario, bug and ingest give the same result, to the last line of the trace. */
export const runScenario = (scenario: Scenario, bug?: PlantedBug, makeIngest?: MakeIngest): WorldResult => {
  const world = new World(scenario, bug, makeIngest)
  const restore = bug?.plant?.(() => world.time.nowMs, world.tookEffect)
  try {
    unleash(world)
    world.weatherTheStorm()
    const last = world.recover()
    if (last !== undefined) damageLog(world, last)
    const { checker, trace, stats, struck, effects } = world
    return { scenario: { ...scenario, deeds: struck }, violations: checker.violations, traceHash: trace.hash(), tail: trace.tail(), stats, effects }
  } finally {
    restore?.()
  }
}

/** Runs the scenario of a seed. */
export const runWorld = (seed: number, bug?: PlantedBug): WorldResult => runScenario(scenarioOf(seed), bug)
