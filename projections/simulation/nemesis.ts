/** What goes wrong in a run, and when: each seed draws its own kinds and rates of faults, now and then none. */
import { Deferred, Effect } from "effect"
import { simulatedProjections } from "./oracleProjections.ts"
import type { Process, World } from "./world.ts"

interface Deed {
  readonly name: string
  readonly act: (world: World) => void
}

const restartProjector = (world: World, slot: number, lanes: readonly number[]): void => {
  const process = world.projectors[slot]
  if (process !== undefined && !process.hasEnded) world.kill(process)
  world.projectors[slot] = undefined
  world.time.after(world.random.between(1, 600), () => {
    if (world.projectors[slot] === undefined) world.startProjector(slot, lanes)
  })
}

const someLanes = (world: World): readonly number[] => {
  const lanes = world.allLanes().filter(() => world.random.chance(0.75))
  return lanes.length === 0 ? world.allLanes() : lanes
}

const killProjector = (world: World): void => restartProjector(world, world.random.between(0, world.projectors.length - 1), someLanes(world))

/** The owner sleeps while another takes its lanes, then goes on as if nothing had happened. */
const makeZombie = (world: World): void => {
  const awake = [...world.projectors.entries()].filter(([, process]) => process !== undefined && !process.hasEnded && process.node.state === "running")
  if (awake.length === 0) return
  const [slot, process] = world.random.pick(awake)
  if (process === undefined) return
  world.stats.pauses += 1
  world.say(`pause ${process.node.name}`)
  process.node.state = "paused"
  world.time.after(world.random.between(100, 4_000), () => {
    if (process.node.state !== "paused") return
    world.say(`wake ${process.node.name}`)
    process.node.state = "running"
  })
  restartProjector(world, (slot + 1) % world.projectors.length, world.allLanes())
}

const killIngestAt = (world: World, slot: number): void => {
  const process = world.ingests[slot]
  if (process === undefined || process.hasEnded) return
  world.kill(process)
  world.time.after(world.random.between(1, 500), () => world.startIngest(slot))
}

const killIngest = (world: World): void => killIngestAt(world, world.random.between(0, world.ingests.length - 1))

const forAWhile = (begin: (world: World) => void, end: (world: World) => void) => (world: World): void => {
  begin(world)
  world.time.after(world.random.between(50, 2_000), () => end(world))
}

/** A projector is told to stop, as at every deployment; the next one may know one projection more. */
const deploy = (world: World): void => {
  const process = world.random.pick(world.projectors)
  world.knownProjections = Math.min(world.knownProjections + 1, simulatedProjections.length)
  if (process === undefined || process.hasEnded) return
  world.say(`stop ${process.node.name}`)
  Effect.runSync(Deferred.succeed(process.stop, undefined))
}

/**
 * The machine loses power, and the partition index with it. A process that runs keeps the index it has open, so the loss
 * comes with the end of all of them.
 */
const losePower = (world: World): void => {
  for (const slot of world.projectors.keys()) restartProjector(world, slot, someLanes(world))
  for (const slot of world.ingests.keys()) killIngestAt(world, slot)
  world.indexDisk.segments.clear()
  world.indexDisk.imports.clear()
}

const DEEDS: readonly Deed[] = [
  { name: "kill projector", act: killProjector },
  { name: "zombie", act: makeZombie },
  { name: "kill ingest", act: killIngest },
  { name: "store down", act: forAWhile((world) => { world.weather.isStoreDown = true }, (world) => { world.weather.isStoreDown = false }) },
  { name: "log down", act: forAWhile((world) => { world.weather.isLogDown = true }, (world) => { world.weather.isLogDown = false }) },
  { name: "deployment", act: deploy },
  { name: "power cut, index lost", act: losePower }
]

/** Starts all processes and lets the deeds of this seed happen until the faults end. */
export const unleash = (world: World): void => {
  const { random, weather, time } = world
  weather.slow = random.pick([0, 0.05, 0.2])
  weather.slowMsMax = random.pick([5, 30, 120])
  weather.commitFault = random.pick([0, 0.05, 0.15])
  weather.appendFault = random.pick([0, 0.05, 0.2])
  weather.busFault = random.pick([0, 0.1, 0.4])
  weather.indexFault = random.pick([0, 0, 0.1])
  const [kill, zombie, ...others] = DEEDS
  const chosen = [kill, zombie, zombie, ...others.filter(() => random.chance(0.4))].filter((deed) => deed !== undefined)
  const rarestMs = random.pick([300, 600, 1_200])
  for (let slot = 0, slots = random.between(2, 3); slot < slots; slot++) {
    world.projectors.push(undefined)
    world.startProjector(slot, someLanes(world))
  }
  for (let slot = 0, slots = random.between(1, 2); slot < slots; slot++) world.startIngest(slot)
  const strike = (): void => {
    if (world.clients.isDone) return
    const deed = random.pick(chosen)
    world.say(deed.name)
    deed.act(world)
    time.after(random.chance(0.25) ? random.between(1_200, 3_000) : random.between(30, rarestMs), strike)
  }
  time.after(random.between(300, 1_500), strike)
}

/** Records are lost that were not folded yet: below where the reader stands, or while nobody reads. */
const loseHead = (world: World, last: Process, partition: number): void => {
  const { random, logDisk, checker } = world
  world.expectedHalts = new Set(["LOG_GAP"])
  const isRunning = random.chance(0.5)
  if (isRunning) last.node.state = "paused"
  else world.stop(last)
  world.append(partition, random.between(2, 5))
  const disk = logDisk.partitions[partition]
  if (disk === undefined || world.isBroken()) return
  const lost = disk.records.length - random.between(0, 1)
  world.say(`partition ${partition} loses ${lost} records`)
  disk.records.splice(0, lost)
  disk.start += BigInt(lost)
  if (isRunning) last.node.state = "running"
  else world.startAlone()
  world.wait(3_000)
  world.append(partition, 2)
  world.wait(3_000)
  checker.atRest(true)
}

/** The record before the checkpoint is another one than was folded. */
const replaceTail = (world: World, last: Process, partition: number): void => {
  const disk = world.logDisk.partitions[partition]
  world.stop(last)
  if (disk === undefined || world.isBroken()) return
  world.expectedHalts = new Set(["LOG_DIVERGED"])
  world.say(`partition ${partition} has another tail`)
  disk.records[disk.records.length - 1] = Uint8Array.of(0x7b)
  world.startAlone()
  world.wait(3_000)
  world.checker.atRest(true)
}

/** In some seeds the log is damaged at the end: every lane that reads the partition halts with the right code and changes nothing. */
export const damageLog = (world: World, last: Process): void => {
  const { random, identity } = world
  const partition = random.between(0, identity.partitions - 1)
  const damage = random.pick([loseHead, loseHead, replaceTail, undefined])
  if (damage === undefined) return world.stop(last)
  damage(world, last, partition)
  const owed = simulatedProjections.map(({ twin }) => `${twin.name}/${partition % identity.lanes}`)
  for (const lane of owed) if (!world.halted.includes(lane)) world.checker.violate(`${lane} did not halt although the log is damaged`)
}
