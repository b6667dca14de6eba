/** What goes wrong in a run: the deeds of its scenario, each at its time, and the damage at its end. */
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { simulatedProjections } from "./oracleProjections.ts"
import { SeededRandom } from "./random.ts"
import type { DeedName } from "./scenario.ts"
import type { Process, World } from "./world.ts"

/** A deed, with a random stream of its own: leaving one out changes no other. */
type Act = (world: World, random: SeededRandom) => void

const restartProjector = (world: World, random: SeededRandom, slot: number, lanes: readonly number[]): void => {
  const process = world.projectors[slot]
  if (process !== undefined && !process.hasEnded) world.kill(process)
  world.projectors[slot] = undefined
  world.time.after(random.between(1, 600), () => world.restartProjector(slot, lanes))
}

const someLanes = (world: World, random: SeededRandom): readonly number[] => {
  const lanes = world.allLanes().filter(() => random.chance(0.75))
  return lanes.length === 0 ? world.allLanes() : lanes
}

/** Kills a projector that runs or sleeps, now or as soon as there is one, then goes on with `then`. While `isHeld`, it waits too. */
const killSome = (world: World, random: SeededRandom, isHeld: () => boolean, then: () => void): void => {
  const alive = [...world.projectors.keys()].filter((slot) => world.projectors[slot]?.hasEnded === false)
  if (alive.length > 0 && !isHeld()) {
    restartProjector(world, random, random.pick(alive), someLanes(world, random))
    return then()
  }
  world.time.after(random.between(10, 200), () => { if (!world.isSent) killSome(world, random, isHeld, then) })
}

const killProjector: Act = (world, random) => killSome(world, random, () => world.isCalm, () => {})

/** The second kill of two does not wait longer for commits than this, virtual ms. */
const CALM_MS_MAX = 6_000

/** A kill, no other deed until what is left has committed a few times, and a kill again: commits that lie between two kills. */
const killTwice: Act = (world, random) => {
  const commits = random.between(3, 6)
  const ends = (): void => { world.isCalm = false }
  const awaitCommits = (untilMs: number): void => {
    const isOver = world.commitsSinceKill >= commits || world.time.nowMs >= untilMs
    if (isOver) killSome(world, random, () => false, ends)
    else world.time.after(random.between(1, 50), () => { if (!world.isSent) awaitCommits(untilMs) })
  }
  world.isCalm = true
  killSome(world, random, () => false, () => awaitCommits(world.time.nowMs + CALM_MS_MAX))
}

const sleepFor = (world: World, process: Process, ms: number): void => {
  world.stats.pauses += 1
  world.say(`pause ${process.node.name}`)
  process.node.state = "paused"
  world.time.after(ms, () => {
    if (process.node.state !== "paused") return
    world.say(`wake ${process.node.name}`)
    process.node.state = "running"
  })
}

/** The owner sleeps while another takes its lanes, then goes on as if nothing had happened. */
const makeZombie: Act = (world, random) => {
  const awake = [...world.projectors.entries()].filter(([, process]) => process !== undefined && !process.hasEnded && process.node.state === "running")
  if (awake.length === 0) return
  const [slot, process] = random.pick(awake)
  if (process === undefined) return
  sleepFor(world, process, random.between(100, 4_000))
  restartProjector(world, random, (slot + 1) % world.projectors.length, world.allLanes())
}

const killIngestAt = (world: World, random: SeededRandom, slot: number): void => {
  const process = world.ingests[slot]
  if (process === undefined || process.hasEnded) return
  world.kill(process)
  world.time.after(random.between(1, 500), () => world.startIngest(slot))
}

const killIngest: Act = (world, random) => killIngestAt(world, random, random.between(0, world.ingests.length - 1))

const forAWhile = (begin: (world: World) => void, end: (world: World) => void): Act => (world, random) => {
  begin(world)
  world.time.after(random.between(50, 2_000), () => end(world))
}

/** A projector is told to stop, as at every deployment; the next one may know one projection more. */
const deploy: Act = (world, random) => {
  const process = random.pick(world.projectors)
  world.knownProjections = Math.min(world.knownProjections + 1, simulatedProjections.length)
  if (process === undefined || process.hasEnded) return
  world.say(`stop ${process.node.name}`)
  Effect.runSync(Deferred.succeed(process.stop, undefined))
}

const killGuestAt = (world: World, random: SeededRandom, slot: number, process: Process | undefined): void => {
  if (process === undefined || process.hasEnded) return
  world.kill(process)
  world.time.after(random.between(1, 600), () => world.startGuest(slot))
}

/** Some guest that runs, with its slot. */
const someGuest = (world: World, random: SeededRandom): readonly [slot: number, process: Process] | undefined => {
  const running = [...world.guests.entries()].flatMap(([slot, { process }]) => (process === undefined || process.hasEnded ? [] : [[slot, process] as const]))
  return running.length === 0 ? undefined : random.pick(running)
}

const killGuest: Act = (world, random) => {
  const [slot, process] = someGuest(world, random) ?? []
  if (slot !== undefined) killGuestAt(world, random, slot, process)
}

/**
 * The machine loses power, and the partition index with it. A process that runs keeps the index it has open, so the loss
 * comes with the end of all of them.
 */
const losePower: Act = (world, random) => {
  for (const slot of world.projectors.keys()) restartProjector(world, random, slot, someLanes(world, random))
  for (const slot of world.ingests.keys()) killIngestAt(world, random, slot)
  for (const [slot, { process }] of world.guests.entries()) killGuestAt(world, random, slot, process)
  world.indexDisk.segments.clear()
  world.indexDisk.imports.clear()
}

const putGuestToSleep: Act = (world, random) => {
  const [, process] = someGuest(world, random) ?? []
  if (process?.node.state === "running") sleepFor(world, process, random.between(100, 4_000))
}

const ACTS: Readonly<Record<DeedName, Act>> = {
  "kill projector": killProjector,
  "kill, calm, kill": killTwice,
  zombie: makeZombie,
  "kill ingest": killIngest,
  "store down": forAWhile((world) => { world.weather.isStoreDown = true }, (world) => { world.weather.isStoreDown = false }),
  "log down": forAWhile((world) => { world.weather.isLogDown = true }, (world) => { world.weather.isLogDown = false }),
  deployment: deploy,
  "power cut, index lost": losePower,
  "kill guest": killGuest,
  "sleeping guest": putGuestToSleep
}

/** Starts all processes and lets the deeds of the scenario happen until everything is sent. */
export const unleash = (world: World): void => {
  const { random, weather, time, scenario } = world
  Object.assign(weather, scenario.odds)
  for (let slot = 0; slot < scenario.projectors; slot++) {
    world.projectors.push(undefined)
    world.startProjector(slot, someLanes(world, random))
  }
  for (let slot = 0; slot < scenario.ingests; slot++) world.startIngest(slot)
  for (const slot of world.guests.keys()) world.startGuest(slot)
  for (const deed of scenario.deeds) {
    time.after(deed.atMs, () => {
      if (world.isSent || world.isCalm) return
      world.say(deed.name)
      world.struck.push(deed)
      ACTS[deed.name](world, new SeededRandom(deed.draw))
    })
  }
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

/** Another log, or the same one with another number of partitions, has come in the place of the one that was folded. */
const replaceLogWith = (world: World, last: Process, changed: Partial<LogIdentity>): void => {
  const { random, identity, checker } = world
  world.expectedHalts = new Set(["LOG_IDENTITY"])
  const isRunning = random.chance(0.5)
  if (!isRunning) world.stop(last)
  if (world.isBroken()) return
  const other = { ...identity, ...changed }
  world.say(`log ${other.logId} of ${other.partitions} partitions comes in place of the one that was folded`)
  world.replaceLog(other, random.chance(0.5))
  if (!isRunning) world.startAlone()
  world.wait(3_000)
  checker.atRest(true)
}

/** In some seeds the log is damaged at the end: every lane that reads what was damaged halts with the right code and changes nothing. */
export const damageLog = (world: World, last: Process): void => {
  const { random, identity, scenario } = world
  const partition = random.between(0, identity.partitions - 1)
  if (scenario.damage === "none") return world.stop(last)
  if (scenario.damage === "lost head") loseHead(world, last, partition)
  else if (scenario.damage === "other tail") replaceTail(world, last, partition)
  else if (scenario.damage === "other log") replaceLogWith(world, last, { logId: `${identity.logId}-other` })
  else replaceLogWith(world, last, { partitions: random.pick([identity.partitions - 1, identity.partitions + 1].filter((partitions) => partitions >= identity.lanes)) })
  const isWhole = scenario.damage === "other log" || scenario.damage === "other partitions"
  const hit = isWhole ? world.allLanes() : [partition % identity.lanes]
  const owed = simulatedProjections.flatMap(({ twin }) => hit.map((lane) => `${twin.name}/${lane}`))
  for (const lane of owed) if (!world.halted.includes(lane)) world.checker.violate(`${lane} did not halt although the log is damaged`)
}
