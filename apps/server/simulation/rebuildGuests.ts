/**
 * Who acts on rebuilds in the simulated world: executors that carry them out and drop what is left, and somebody at the
 * desk who starts, stops, cuts over and takes back as it comes. All of them use the product's own code.
 */
import { makeRebuildDesk } from "@tidemark/api/rebuildDesk"
import type { RebuildDesk } from "@tidemark/api/rebuildDesk"
import { changeRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { retireStandby } from "@tidemark/commands/rebuild/retire"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { decideClaim } from "@tidemark/domain/settings/rebuild/decide"
import { isRunning } from "@tidemark/domain/settings/rebuild/evolve"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { changedProjections, simulatedProjections } from "@tidemark/projections/simulation/oracleProjections"
import type { SeededRandom } from "@tidemark/projections/simulation/random"
import type { Guest, ProcessPorts, World } from "@tidemark/projections/simulation/world"
import { JournalError, carryOut } from "@tidemark/replay/carryOut"
import { foldHere } from "@tidemark/replay/foldHere"
import { isEqual } from "@tidemark/replay/parity"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { JournalCall } from "../checkThread.ts"
import { REPLAY_ACT, answerCall, findDue, journalOf } from "../rebuildJournal.ts"

/** Projections of the simulated world, by name. */
export const NAMES: readonly string[] = simulatedProjections.map(({ twin }) => twin.name)
const TENANTS = ["acme", "birch", "c"]
const DIFFERENCES_LISTED = 3
/** A projection is rebuilt so often in one run. */
const REBUILDS_MAX = 4

/** How executors work in a run, ms and records. */
export interface ExecutorSettings {
  /** What is not served any more is kept so long. */
  readonly standbyMs: number
  /** Less than clocks differ by in some runs: two executors work on one rebuild then, and epochs have to keep them apart. */
  readonly leaseMs: number
  readonly lagMax: bigint
}

/** How often what was done. */
export interface RebuildDeeds {
  started: number
  verified: number
  cutOver: number
  takenBack: number
  aborted: number
  dropped: number
}

/** Refusals and failures that are nobody's fault; whoever meets one tries again or lets it be. */
const EXPECTED: ReadonlySet<string> = new Set([
  "StoreUnavailableError", "EventStoreUnavailableError", "LogUnavailableError", "PartitionIndexError", "JournalError", "FencedError", "GenerationMissingError", "WrongRevisionError",
  "RebuildStatusError", "RebuildRunningError", "RebuildMissingError", "TargetBehindError", "PointerConflictError", "UnknownProjectionError"
])

/** Runs the effect; what it may fail with is said, everything else is a violation. */
const careful = <R>(world: World, who: string, effect: Effect.Effect<unknown, unknown, R>): Effect.Effect<void, never, R> =>
  Effect.matchCause(effect, {
    onSuccess: () => {},
    onFailure: (cause) => {
      const error: unknown = Cause.squash(cause)
      const tag = typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""
      if (EXPECTED.has(tag)) world.say(`${who}: ${tag}`)
      else world.checker.violate(`${who} failed: ${Cause.pretty(cause)}`)
    }
  })

/** What an executor writes into the journal must be so. */
const judge = (world: World, deeds: RebuildDeeds, { projection, generation }: Rebuild, call: JournalCall): void => {
  const what = `generation ${generation} of ${projection}`
  if (call.call === "failed" && /^[A-Z_]+: /.test(call.error)) world.checker.violate(`${what} halted while it was built: ${call.error}`)
  if (call.call !== "verified") return
  const { found } = call
  deeds.verified += 1
  if (found.faults.length > 0) world.checker.violate(`${what} was compared with generation ${found.oldGeneration}: ${found.faults.join("; ")}`)
  else if (found.sameDefinition && !isEqual(found)) world.checker.violate(`${what} has the definition of generation ${found.oldGeneration} and ${found.differ} windows differ, ${found.onlyOld} are missing, ${found.onlyNew} extra`)
}

/** Carries on what it can claim, until somebody has to decide or the claim is lost. */
const work = Effect.fn("work")(function* (world: World, executor: string, settings: ExecutorSettings, deeds: RebuildDeeds, rebuild: Rebuild) {
  const { projection, generation, rebuildId } = rebuild
  const services = yield* Effect.context<EventStore>()
  const claim = changeRebuilds(projection, { actor: executor, reason: "claims the rebuild" }, (state, nowMs) => decideClaim(state, rebuildId, executor, settings.leaseMs, nowMs)).pipe(
    Effect.as(true), Effect.catchTag("RebuildStatusError", () => Effect.succeed(false))
  )
  if (!(yield* claim)) return
  world.say(`${executor} carries generation ${generation} of ${projection} on: ${rebuild.status}`)
  const keepClaim = Effect.gen(function* () {
    while (yield* Effect.catch(claim, () => Effect.succeed(false))) yield* Effect.sleep(settings.leaseMs / 4)
    return "claim lost"
  })
  const journal = journalOf((call) => answerCall(rebuild, call).pipe(
    Effect.tap(() => Effect.sync(() => judge(world, deeds, rebuild, call))), Effect.mapError((cause) => new JournalError({ cause })), Effect.provide(services)
  ))
  const carried = carryOut({ journal, lanes: world.allLanes(), tenants: Effect.succeed(TENANTS), lagMax: settings.lagMax, differencesMax: DIFFERENCES_LISTED, fold: (folding) => foldHere(folding, world.scenario.limits) }).pipe(Random.withSeed(world.random.between(0, 2 ** 31)))
  world.say(`${executor} leaves generation ${generation} of ${projection}: ${yield* Effect.raceFirst(carried, keepClaim)}`)
})

/** As the replay role of a server: looks for what is due, carries it out, and drops what was on standby for its time. */
export const executor = (world: World, settings: ExecutorSettings, deeds: RebuildDeeds): Guest => ({
  kind: "replay",
  expectedEnds: new Set(),
  run: ({ node }) => Effect.scoped(Effect.gen(function* () {
    const running = new Set<string>()
    const round = Effect.gen(function* () {
      for (const name of NAMES) {
        const dropped = yield* retireStandby(name, settings.standbyMs, REPLAY_ACT)
        if (dropped.length === 0) continue
        deeds.dropped += dropped.length
        world.say(`${node.name} has dropped generation ${dropped.join()} of ${name}`)
      }
      for (const rebuild of (yield* findDue(NAMES)).due) {
        const { rebuildId } = rebuild
        if (running.has(rebuildId)) continue
        running.add(rebuildId)
        yield* Effect.forkScoped(Effect.andThen(careful(world, node.name, work(world, node.name, settings, deeds, rebuild)), Effect.sync(() => running.delete(rebuildId))))
      }
    })
    yield* Effect.forever(Effect.andThen(careful(world, node.name, round), Effect.suspend(() => Effect.sleep(world.random.between(100, 900)))))
  }))
})

/** Records a second, as plans take it: a sample would be timed by the clock of this machine. */
const RATE = 10_000

/** Desks that offer the projections as they are served from the start, and as later versions define them. */
const desks = Effect.gen(function* () {
  const services = yield* Effect.context<ReadModelStore | EventLog | EventStore | PubSub>()
  const open = (projections: typeof simulatedProjections): RebuildDesk =>
    makeRebuildDesk({ services, definitions: projections.map(({ definition }) => definition), tenants: () => [], diskFreeBytes: () => undefined, standbyMs: 0, rate: { of: () => undefined, last: () => RATE }, throttle: () => undefined })
  return { same: open(simulatedProjections), changed: open(changedProjections) }
})

/** Differences of another definition are accepted; those of the same one are none, or the desk refuses. */
const cutOver = Effect.fn("cutOver")(function* (desk: RebuildDesk, { rebuildId, parity }: Rebuild, deeds: RebuildDeeds) {
  yield* desk.cutOver(rebuildId, parity?.sameDefinition === false ? "seen" : undefined, "person")
  deeds.cutOver += 1
})

/** One thing that somebody might do just now, to the newest rebuild or, as from a page that was left open, to any. */
const turn = Effect.fn("turn")(function* (random: SeededRandom, deeds: RebuildDeeds) {
  const { same, changed } = yield* desks
  const projection = random.pick(NAMES)
  const known: readonly Rebuild[] = yield* same.all(projection)
  const [newest] = known
  const start = Effect.andThen((random.chance(0.6) ? same : changed).start({ projection, reason: "simulated", dryRun: false }, "person"), Effect.sync(() => void (deeds.started += 1)))
  if (newest === undefined) return yield* start
  const rebuild = random.chance(0.6) ? newest : random.pick(known)
  const mayStart = !known.some(isRunning) && known.length < REBUILDS_MAX
  const steer = (step: "pause" | "resume" | "compare" | "abort") => Effect.asVoid(same.steer(step, rebuild.rebuildId, "person"))
  const abort = Effect.andThen(steer("abort"), Effect.sync(() => void (deeds.aborted += 1)))
  const takeBack = Effect.andThen(same.rollBack(projection, "person"), Effect.sync(() => void (deeds.takenBack += 1)))
  switch (rebuild.status) {
    case "aborted": case "retired":
      return mayStart ? yield* start : random.chance(0.3) ? yield* cutOver(same, rebuild, deeds) : undefined
    case "ready":
      // The way back that an earlier one has open takes away what this one was compared with.
      return random.chance(0.1) ? yield* abort : random.chance(0.12) ? yield* steer("compare") : random.chance(0.4) ? yield* takeBack : yield* cutOver(same, rebuild, deeds)
    case "active":
      return random.chance(0.3) ? yield* takeBack : random.chance(0.5) && mayStart ? yield* start : random.chance(0.3) ? yield* cutOver(same, rebuild, deeds) : undefined
    case "standby":
      return random.chance(0.4) ? yield* cutOver(same, rebuild, deeds) : random.chance(0.3) && mayStart ? yield* start : undefined
    case "paused": case "failed":
      return random.chance(0.2) ? yield* abort : yield* steer("resume")
    default:
      return random.chance(0.08) ? yield* abort : random.chance(0.08) ? yield* steer("pause") : random.chance(0.2) ? yield* takeBack : undefined
  }
})

/** Somebody who never rests. */
export const person = (world: World, deeds: RebuildDeeds): Guest => ({
  kind: "desk",
  expectedEnds: new Set(),
  run: ({ node }) => Effect.forever(Effect.andThen(Effect.suspend(() => Effect.sleep(world.random.between(50, 1_200))), Effect.suspend(() => careful(world, node.name, turn(world.random, deeds)))))
})

/** Asks again while the other generation is a little behind; a refusal for good is let be. */
const untilLevel = <A, R>(step: Effect.Effect<A, { readonly _tag: string }, R>): Effect.Effect<boolean, { readonly _tag: string }, R> =>
  Effect.gen(function* () {
    for (;;) {
      const outcome = yield* Effect.result(step)
      if (outcome._tag === "Success") return true
      const { _tag } = outcome.failure
      if (_tag === "RebuildStatusError" || _tag === "PointerConflictError") return false
      if (_tag !== "TargetBehindError") return yield* Effect.fail(outcome.failure)
      yield* Effect.sleep(100)
    }
  })

/** What it is compared with has been taken back, or even dropped, meanwhile: nothing but the end is left. */
const isLost = ({ status, error }: Rebuild): boolean => status === "failed" && error !== null && error.endsWith("is gone")

/** Has every rebuild come to its end: what was paused or failed goes on, what is ready is cut over, and what cannot be is aborted. */
const finishAll = Effect.fn("finishAll")(function* (desk: RebuildDesk) {
  for (let isSettled = false; !isSettled; yield* Effect.sleep(100)) {
    isSettled = (yield* findDue(NAMES)).due.length === 0
    for (const name of NAMES) {
      // Not the newest by its time: clocks differ.
      const running = (yield* desk.all(name)).find(isRunning)
      if (running === undefined || !["paused", "failed", "ready"].includes(running.status)) continue
      isSettled = false
      if (running.status === "ready" && (yield* untilLevel(cutOver(desk, running, noDeeds())))) continue
      yield* desk.steer(running.status === "ready" || isLost(running) ? "abort" : "resume", running.rebuildId, "person")
    }
  }
})

/** Builds one more and, where a way back is open, takes away what it was compared with before it is cut over. */
const takeAway = Effect.fn("takeAway")(function* (desk: RebuildDesk, projection: string) {
  const { rebuildId } = yield* desk.start({ projection, reason: "simulated", dryRun: false }, "person")
  for (;;) {
    const rebuild = yield* desk.one(rebuildId)
    if (rebuild.status === "failed") return
    if (rebuild.status === "ready") {
      if (!(yield* untilLevel(desk.rollBack(projection, "person"))) || (yield* untilLevel(cutOver(desk, rebuild, noDeeds())))) return
      yield* desk.steer("abort", rebuildId, "person")
      // One is dropped after the other.
      return yield* Effect.sleep(2_000)
    }
    yield* Effect.sleep(100)
  }
})

/** Ends when nothing is left to be done; in between the way back was taken and undone where there is one. */
export const settle: Effect.Effect<void, unknown, ProcessPorts> = Effect.gen(function* () {
  const { same } = yield* desks
  yield* finishAll(same)
  for (const name of NAMES) yield* takeAway(same, name)
  yield* finishAll(same)
  for (const name of NAMES) {
    if (!(yield* untilLevel(same.rollBack(name, "person")))) continue
    const served = (yield* same.all(name)).find(({ status }) => status === "standby")
    if (served !== undefined) yield* untilLevel(cutOver(same, served, noDeeds()))
  }
  yield* finishAll(same)
})

export const noDeeds = (): RebuildDeeds => ({ started: 0, verified: 0, cutOver: 0, takenBack: 0, aborted: 0, dropped: 0 })
