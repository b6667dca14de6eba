/**
 * One run of the simulated world with a window index: publishers that are killed, sleep and are doubled, and an index
 * whose requests are lost on either way and whose items have to be sent again.
 */
import type { WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { makeSearchPublisher } from "../runtime/searchPublisher.ts"
import type { Simulation } from "./campaign.ts"
import { createMemoryWindowDisk, makeMemoryWindows } from "./memoryWindowIndex.ts"
import { unleash } from "./nemesis.ts"
import type { PlantedBug } from "./plantedBugs.ts"
import type { SeededRandom } from "./random.ts"
import { scenarioOf, withGuests } from "./scenario.ts"
import type { Scenario } from "./scenario.ts"
import { SearchCheck } from "./searchCheck.ts"
import { World } from "./world.ts"
import type { Guest } from "./world.ts"
import type { WorldResult } from "./worldResult.ts"
import { calm, processWindows } from "./worldEngines.ts"
import type { EngineWeather } from "./worldEngines.ts"

/** Two looks of a publisher at what is complete, and a back-off at its longest. */
const SETTLE_MS_MAX = 120_000
const TENANTS = ["acme", "birch", "c"]

const seeded = (random: SeededRandom) => ({ nextIntUnsafe: () => random.between(0, 2 ** 31), nextDoubleUnsafe: () => random.next() })

/** An index is a slow engine: a write may be under way while its window changes more than once. */
const SLOW: EngineWeather = { ...calm(), slow: 0.5, slowMsMax: 4_000 }
/** Reads are not as slow, or a publisher would be killed before it writes anything. */
const READS: EngineWeather = { ...calm(), slow: 0.2, slowMsMax: 60 }

const publisher = (world: World, index: WindowIndexShape, weather: EngineWeather, writes = weather): Guest => ({
  kind: "search",
  expectedEnds: new Set(),
  run: ({ node }) => Effect.suspend(() => {
    const halted = ({ detail }: { readonly detail: string }): void => world.checker.violate(`${node.name} halted with REV_CONFLICT: ${detail}`)
    const { run } = makeSearchPublisher({ tenants: Effect.succeed(TENANTS), halted, retrying: (cause) => world.say(`${node.name} retries: ${cause}`) })
    return run.pipe(Effect.provide(processWindows(index, world.random, weather, writes)), Effect.provideService(Random.Random, seeded(world.random)))
  })
})

/** The same scenario and bug give the same result. */
export const runSearchScenario = (scenario: Scenario, bug?: PlantedBug): WorldResult => {
  const world = new World(scenario, bug)
  const { random, weather, checker } = world
  const disk = createMemoryWindowDisk()
  const check = new SearchCheck(world.modelDisk, disk)
  const judge = (found: readonly string[]): void => {
    for (const one of found) checker.violate(one)
  }
  disk.isDown = () => weather.isStoreDown || random.chance(weather.busFault / 2)
  disk.isReplyLost = () => random.chance(weather.busFault / 2)
  disk.itemFault = () => (random.chance(weather.appendFault) ? "again" : undefined)
  const plain = makeMemoryWindows(disk)
  const planted = bug?.wrapWindows?.(plain, disk, world.tookEffect) ?? plain
  const index = { ...planted, put: (...put: Parameters<WindowIndexShape["put"]>) => Effect.ensuring(planted.put(...put), Effect.sync(() => judge(check.look()))) }
  world.lookers.push(check.look)
  for (let slot = 0; slot < 2; slot++) world.guests.push({ guest: publisher(world, index, READS, SLOW), process: undefined })
  const restore = bug?.plant?.(() => world.time.nowMs, world.tookEffect)
  try {
    unleash(world)
    world.weatherTheStorm()
    const last = world.recover()
    if (last !== undefined) {
      const guest = publisher(world, index, calm())
      const process = world.start(guest.kind, guest.run, (failure) => checker.violate(`search ended: ${failure?.text ?? "by itself"}`))
      world.time.runUntil(world.time.nowMs + SETTLE_MS_MAX, () => world.isBroken() || check.differences().length === 0)
      judge(check.differences().slice(0, 3))
      world.kill(process)
      if (!world.isBroken()) world.stop(last)
    }
    const { trace, stats, struck, effects } = world
    return { scenario: { ...scenario, deeds: struck }, violations: checker.violations, traceHash: trace.hash(), tail: trace.tail(), stats, effects }
  } finally {
    restore?.()
  }
}

/** The world with a window index, for campaigns. */
export const searchSimulation: Simulation = { flag: " --world search", scenarioOf: (seed) => withGuests(scenarioOf(seed)), run: runSearchScenario }
