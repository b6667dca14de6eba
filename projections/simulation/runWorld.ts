/** One run of the simulation: storm, recovery, rest. */
import { damageLog, unleash } from "./nemesis.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import { World } from "./world.ts"
import type { WorldResult } from "./world.ts"

/** The same seed and bug give the same result, to the last line of the trace. */
export const runWorld = (seed: number, bug?: PlantedBug): WorldResult => {
  const world = new World(seed, bug)
  const restore = bug?.plant?.(() => world.time.nowMs)
  try {
    unleash(world)
    world.weatherTheStorm()
    const last = world.recover()
    if (last !== undefined) damageLog(world, last)
    const { checker, trace, stats } = world
    return { seed, violations: checker.violations, traceHash: trace.hash(), tail: trace.tail(), stats }
  } finally {
    restore?.()
  }
}
