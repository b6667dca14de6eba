/**
 * The replay role: carries rebuilds out, so many at a time, each in threads of its own, from wherever its journal says it
 * stands; has them give way to what is live; drops what has been on standby for its time; tells the bus what changed. A restart goes on by itself.
 *
 * Where processes share the engines, an executor claims a rebuild in its journal for a while and says so again in time:
 * the event store's expected revision lets one of two claims through. Rules: docs/semantics.md §8.
 */
import { randomUUID } from "node:crypto"
import { changeRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { retireStandby } from "@tidemark/commands/rebuild/retire"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { EventStoreUnavailableError } from "@tidemark/domain/ports/EventStore"
import { pausedIn } from "@tidemark/domain/ports/projectionPause"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { decideClaim } from "@tidemark/domain/settings/rebuild/decide"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { REBUILD_TOPIC } from "@tidemark/domain/settings/rebuild/topic"
import { rebuildStream } from "@tidemark/domain/settings/streams"
import { projections } from "@tidemark/projections/registry"
import { buildProgress } from "@tidemark/replay/buildGeneration"
import { allow, allowed, makePaceMemory, timeSpent } from "@tidemark/replay/pace"
import type { PaceMemory } from "@tidemark/replay/pace"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { FromCheck, JournalAnswer, TenantsAnswer } from "./checkThread.ts"
import type { LiveVitals } from "./liveVitals.ts"
import { LEASE_MS, keepClaim } from "./rebuildClaim.ts"
import type { Claimed } from "./rebuildClaim.ts"
import { REPLAY_ACT, WORKING, answerCall, findDue, isElsewhere, lookAgainMs } from "./rebuildJournal.ts"
import { makeRebuildRate } from "./rebuildRate.ts"
import type { RebuildRate } from "./rebuildRate.ts"
import type { ServeOptions } from "./serveOptions.ts"
import { makeThrottle } from "./throttle.ts"
import type { Throttle } from "./throttle.ts"

const RETRY_MS = 5_000
const PAGE_EVENTS = 1_000
const WAIT_MAX_MS = 30_000
/** Checkpoints are read, and progress told to the bus, this often: the thread that folds has no time for it. */
const MEASURE_EVERY_MS = 500

/** Its threads flush what they hold before they end, ms. */
const STOP_MS_MAX = 60_000

/** The bus may lose a hint; nothing waits for one. */
const tell = Effect.fn("tell")(function* (rebuildId: string) {
  const version = String(yield* Clock.currentTimeMillis)
  yield* Effect.ignore((yield* PubSub).publish(REBUILD_TOPIC, [{ key: rebuildId, version }]))
})

/** What one rebuild that is carried out here is given, and what is known of it. */
interface Carried {
  readonly lanes: readonly number[]
  readonly pace: PaceMemory
  /** As the journal said last. */
  rebuild: Rebuild
}

/** What a rebuild that has caught up waits for: a paused projection, whose lanes nobody folds, takes no other generation in. */
const waitsFor = Effect.fn("waitsFor")(function* ({ status, projection }: Rebuild) {
  if (status !== "catching_up") return undefined
  const halts = yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.halts))
  return pausedIn(halts).has(projection) ? `waits: ${projection} is paused` : undefined
})

/** Measures the rate from the checkpoints while the threads fold, and has them give way. */
const measure = Effect.fn("measure")(function* (carried: Carried, { rate, throttles }: Measured, vitals: LiveVitals) {
  const { projection, generation, rebuildId } = carried.rebuild
  const throttle = makeThrottle()
  let said = ""
  const look = Effect.gen(function* () {
    const { processed, total } = yield* buildProgress({ projection, generation }, carried.lanes)
    const nowMs = yield* Clock.currentTimeMillis
    rate.note(rebuildId, { processed, atMs: nowMs, spent: timeSpent(carried.pace), isSlowed: allowed(carried.pace) !== undefined })
    const ratePerSecond = rate.of(rebuildId)?.perSecond
    const now = throttle({ capPerSecond: carried.rebuild.eventsPerSecondMax, ratePerSecond, vitals: yield* vitals.read, nowMs })
    allow(carried.pace, now.allowedPerSecond)
    vitals.telemetry.rebuilding(projection, { ratio: total === 0n ? 0 : Number(processed) / Number(total), eventsPerSecond: ratePerSecond, allowedPerSecond: now.allowedPerSecond })
    const waits = yield* waitsFor(carried.rebuild)
    throttles.set(rebuildId, waits === undefined ? now : { ...now, reason: waits })
    const text = `${processed} ${waits ?? now.reason}`
    if (text !== said) yield* tell(rebuildId)
    said = text
  })
  // Engines that do not answer make it no quicker than it was.
  return yield* Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(MEASURE_EVERY_MS)))
})

/** Runs the thread until it ends, or ends it. Answers why it broke off, undefined when it came to its end. */
const carry = Effect.fn("carry")(function* ({ startCheck, settings }: ServeOptions, carried: Carried, tenants: () => readonly string[]) {
  const services = yield* Effect.context<EventStore>()
  const run = Effect.runPromiseWith(services)
  const take = (message: FromCheck, answer: (answer: JournalAnswer | TenantsAnswer) => void): void => {
    if (message.kind === "tenants") answer({ tenants: tenants() })
    if (message.kind !== "journal") return
    const { number, call } = message
    const answered = (now: Rebuild): void => {
      carried.rebuild = now
      answer({ number, rebuild: now })
    }
    run(answerCall(carried.rebuild, call)).then(answered, (cause: unknown) => answer({ number, cause: String(cause) }))
  }
  return yield* Effect.callback<string | undefined>((resume) => {
    const end = startCheck({ kind: "rebuild", lanes: carried.lanes, threads: settings.rebuildThreads, pace: carried.pace }, {
      message: take,
      exit: (cause) => resume(Effect.succeed(cause))
    })
    return Effect.promise(() => end(STOP_MS_MAX))
  })
})

interface Measured {
  readonly rate: RebuildRate
  readonly throttles: Map<string, Throttle>
}

/** What is known of the rebuilds that this process carries out. */
export interface Rebuilds {
  readonly rate: Pick<RebuildRate, "of" | "last">
  /** What one is allowed now; undefined for one that is not carried out here. */
  readonly throttle: (rebuildId: string) => Throttle | undefined
}

/** Rings whenever a rebuild stream grew, by whatever process' hand, and tells the bus. */
const followStreams = Effect.fn("followStreams")(function* (ring: () => void) {
  const store = yield* EventStore
  const streams = new Set(projections.map(({ name }) => rebuildStream(name)))
  let position = 0n
  const read = Effect.fn(function* (waitMaxMs: number) {
    const events = yield* store.readAll(position, PAGE_EVENTS, waitMaxMs)
    position = events.at(-1)?.position ?? position
    return events
  })
  while ((yield* read(0)).length > 0) continue
  const step = Effect.gen(function* () {
    const ids = (yield* read(WAIT_MAX_MS)).filter(({ stream }) => streams.has(stream)).map(({ data }) => (data as { readonly rebuildId: string }).rebuildId)
    if (ids.length > 0) ring()
    yield* Effect.forEach(new Set(ids), tell)
  })
  return yield* Effect.forever(Effect.catchTag(step, "EventStoreUnavailableError", () => Effect.sleep(RETRY_MS)))
})

/** How many more may run: those that others have claimed count as well, as far as the journals say. */
const freeSlots = (max: number, executor: string, own: number, rebuilds: readonly Rebuild[], nowMs: number): number =>
  max - own - rebuilds.filter((one) => isElsewhere(one, executor, nowMs) && WORKING.includes(one.status)).length

/** Until the scope closes; threads that work then are ended, and what they have flushed is found again. */
export const startRebuilds = Effect.fn("startRebuilds")(function* (options: ServeOptions, model: SettingsModel, vitals: LiveVitals) {
  const { settings, telemetry: { log } } = options
  const measured: Measured = { rate: makeRebuildRate(), throttles: new Map() }
  const executor = randomUUID()
  const { identity } = yield* EventLog
  const bell = yield* Queue.sliding<true>(1)
  const ring = () => void Queue.offerUnsafe(bell, true)
  const services = yield* Effect.context<EventStore>()
  const scope = yield* Effect.scope
  /** Ids of those whose threads run here. */
  const running = new Set<string>()
  const claim = ({ projection, rebuildId }: Rebuild): Effect.Effect<Claimed, EventStoreUnavailableError> =>
    settings.shared
      ? changeRebuilds(projection, { actor: executor, reason: "claims the rebuild" }, (state, nowMs) => decideClaim(state, rebuildId, executor, LEASE_MS, nowMs)).pipe(
        Effect.map(({ position }): Claimed => (position === undefined ? "before" : "anew")),
        Effect.catch((error) => (error._tag === "EventStoreUnavailableError" ? Effect.fail(error) : Effect.succeed("refused" as const))), Effect.provide(services)
      )
      : Effect.succeed("anew")
  const work = Effect.fn("work")(function* (rebuild: Rebuild) {
    const claimed = yield* claim(rebuild)
    if (claimed === "refused") return
    const { projection, generation } = rebuild
    log.info({ projection, generation, status: rebuild.status }, "a rebuild goes on")
    const carried: Carried = { rebuild, lanes: Array.from({ length: identity.lanes }, (_, lane) => lane), pace: makePaceMemory() }
    const ended = Effect.raceFirst(carry(options, carried, () => model.tenants().map(({ tenantId }) => tenantId)), measure(carried, measured, vitals))
    const cause = yield* settings.shared ? Effect.raceFirst(ended, keepClaim(claimed, claim(rebuild))) : ended
    if (cause === undefined) return
    log.warn({ projection, generation, cause }, "a rebuild broke off and goes on from its checkpoints")
    yield* Effect.sleep(RETRY_MS)
  })
  const begin = Effect.fn("begin")(function* (rebuild: Rebuild) {
    const { rebuildId } = rebuild
    running.add(rebuildId)
    vitals.disturb(true)
    const end = Effect.sync(() => {
      running.delete(rebuildId)
      measured.rate.ended(rebuildId)
      measured.throttles.delete(rebuildId)
      vitals.disturb(running.size > 0)
      vitals.telemetry.rebuilding(rebuild.projection, undefined)
      ring()
    })
    yield* Effect.forkIn(Effect.ensuring(careful(work(rebuild)), end), scope)
  })
  const careful = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.catch(effect, (cause) => Effect.andThen(Effect.sync(() => log.warn({ cause: String(cause) }, "rebuilds wait")), Effect.as(Effect.sleep(RETRY_MS), 0)))
  const round = Effect.gen(function* () {
    for (const { name } of projections) {
      for (const generation of yield* retireStandby(name, settings.standbyMs, REPLAY_ACT)) log.info({ projection: name, generation }, "a generation that is not served any more was dropped")
    }
    const { all, due } = yield* findDue(projections.map(({ name }) => name))
    const nowMs = yield* Clock.currentTimeMillis
    let free = freeSlots(settings.rebuildsMax, executor, running.size, all, nowMs)
    measured.throttles.forEach((_, rebuildId) => { if (!running.has(rebuildId)) measured.throttles.delete(rebuildId) })
    for (const rebuild of due.filter((one) => !running.has(one.rebuildId) && !isElsewhere(one, executor, nowMs))) {
      // What an aborted one has left is dropped at once: that takes no reading.
      if (free > 0 || rebuild.status === "aborted") yield* begin(rebuild)
      else measured.throttles.set(rebuild.rebuildId, { allowedPerSecond: 0, reason: `waits: ${settings.rebuildsMax} at a time` })
      if (rebuild.status !== "aborted") free -= 1
    }
    return lookAgainMs(due, executor, nowMs)
  })
  yield* Effect.forkScoped(followStreams(ring))
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(careful(round), (waitMs) => Effect.timeoutOption(Queue.take(bell), waitMs))))
  return { rate: measured.rate, throttle: (rebuildId) => measured.throttles.get(rebuildId) } satisfies Rebuilds as Rebuilds
})
