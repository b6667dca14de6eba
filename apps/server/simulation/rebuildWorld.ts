/**
 * One run of the simulated world with rebuilds: generations are built, compared, served, taken back, aborted and dropped
 * while everything crashes, sleeps and is refused. After every change of the store each projection has one whole served
 * generation that never goes back, and every generation's rows are what the log says. Rules: docs/semantics.md §8.
 */
import type { Simulation } from "@tidemark/projections/simulation/campaign"
import { unleash } from "@tidemark/projections/simulation/nemesis"
import type { PlantedBug } from "@tidemark/projections/simulation/plantedBugs"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { scenarioOf, withGuests } from "@tidemark/projections/simulation/scenario"
import type { Scenario } from "@tidemark/projections/simulation/scenario"
import { World } from "@tidemark/projections/simulation/world"
import type { Guest } from "@tidemark/projections/simulation/world"
import type { WorldResult } from "@tidemark/projections/simulation/worldResult"
import { executor, noDeeds, person, settle } from "./rebuildGuests.ts"
import type { ExecutorSettings, RebuildDeeds } from "./rebuildGuests.ts"
import { restFaults, storedRebuilds } from "./rebuildRules.ts"

const SETTLE_MS_MAX = 120_000

export interface RebuildResult extends WorldResult {
  readonly deeds: RebuildDeeds
  /** Moves of pointers, the first ones aside. */
  readonly moves: number
}

const settingsOf = (seed: number): ExecutorSettings => {
  const random = new SeededRandom(seed ^ 0x1b873593)
  return { standbyMs: random.pick([1_000, 6_000, 86_400_000]), leaseMs: random.pick([1_500, 20_000]), lagMax: BigInt(random.pick([0, 4, 30])) }
}

/** The storm is over, one projector folds: one executor and somebody who decides bring every rebuild to its end. */
const comeToRest = (world: World, carrier: Guest): void => {
  let isSettled = false
  const replay = world.start(carrier.kind, carrier.run, () => {})
  const desk = world.start("desk", () => settle, (failure) => {
    if (failure === undefined) isSettled = true
    else world.checker.violate(`rebuilds cannot be brought to rest: ${failure.text}`)
  })
  if (!world.time.runUntil(world.time.nowMs + SETTLE_MS_MAX, () => world.isBroken() || isSettled)) {
    const standing = storedRebuilds(world).map(({ projection, generation, status, error }) => `${projection}/${generation} ${status}${error === null ? "" : ` (${error})`}`)
    world.checker.violate(`rebuilds do not come to rest: ${standing.join(", ")}`)
  }
  world.wait(1_000)
  for (const process of [desk, replay]) if (!process.hasEnded) world.kill(process)
  if (!world.isBroken()) for (const fault of restFaults(world)) world.checker.violate(fault)
}

/** The same scenario and bug give the same result. */
export const runRebuildScenario = (scenario: Scenario, bug?: PlantedBug): RebuildResult => {
  const world = new World(scenario, bug)
  const deeds = noDeeds()
  const carrier = executor(world, settingsOf(scenario.seed), deeds)
  for (const guest of [carrier, carrier, person(world, deeds)]) world.guests.push({ guest, process: undefined })
  const restore = bug?.plant?.(() => world.time.nowMs, world.tookEffect)
  try {
    unleash(world)
    world.weatherTheStorm()
    const last = world.recover()
    if (last !== undefined) comeToRest(world, carrier)
    if (last !== undefined && !world.isBroken()) world.stop(last)
    const { checker, trace, stats, struck, effects } = world
    return { scenario: { ...scenario, deeds: struck }, violations: checker.violations, traceHash: trace.hash(), tail: trace.tail(), stats, effects, deeds, moves: checker.served.moves.length }
  } finally {
    restore?.()
  }
}

/** The scenario of a seed, with deeds against executors and desk. */
export const rebuildScenarioOf = (seed: number): Scenario => withGuests(scenarioOf(seed))

/** The world with rebuilds, for campaigns. */
export const rebuildSimulation: Simulation = { flag: " --world rebuilds", scenarioOf: rebuildScenarioOf, run: runRebuildScenario }

/** Runs the scenario of a seed. */
export const runRebuildWorld = (seed: number, bug?: PlantedBug): RebuildResult => runRebuildScenario(rebuildScenarioOf(seed), bug)
