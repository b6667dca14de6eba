/** One run of the simulation: storm, recovery, rest. */
import { damageLog, unleash } from "./nemesis.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { scenarioOf } from "./scenario.ts"
import type { Scenario } from "./scenario.ts"
import { World } from "./world.ts"
import type { WorldResult } from "./worldResult.ts"

/** Runs a world that was made with this bug. */
export const runStorm = (world: World, bug: PlantedBug | undefined): WorldResult => {
  const restore = bug?.plant?.(() => world.time.nowMs, world.tookEffect)
  try {
    unleash(world)
    world.weatherTheStorm()
    const last = world.recover()
    if (last !== undefined) damageLog(world, last)
    const { scenario, checker, trace, stats, struck, effects } = world
    return { scenario: { ...scenario, deeds: struck }, violations: checker.violations, traceHash: trace.hash(), tail: trace.tail(), stats, effects }
  } finally {
    restore?.()
  }
}

/** The same scenario and bug give the same result, to the last line of the trace. */
export const runScenario = (scenario: Scenario, bug?: PlantedBug): WorldResult => runStorm(new World(scenario, bug), bug)

/** Runs the scenario of a seed. */
export const runWorld = (seed: number, bug?: PlantedBug): WorldResult => runScenario(scenarioOf(seed), bug)
