/**
 * The replay role: carries rebuilds out, one at a time, each in a thread of its own, from wherever its journal says it
 * stands; drops what has been on standby for its time; tells the bus what changed. A restart goes on by itself.
 *
 * Where processes share the engines, an executor claims a rebuild in its journal for a while and says so again in time:
 * the event store's expected revision lets one of two claims through. Rules: docs/semantics.md §8.
 */
import { randomUUID } from "node:crypto"
import { changeRebuilds, loadRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { storeDifferences } from "@tidemark/commands/rebuild/differences"
import { retireStandby } from "@tidemark/commands/rebuild/retire"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { RebuildMissingError, decideClaim, decideFail, decideMove, decideVerified } from "@tidemark/domain/settings/rebuild/decide"
import type { ParitySummary } from "@tidemark/domain/settings/rebuild/events"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { REBUILD_TOPIC } from "@tidemark/domain/settings/rebuild/topic"
import { rebuildStream } from "@tidemark/domain/settings/streams"
import { projections } from "@tidemark/projections/registry"
import { buildProgress } from "@tidemark/replay/buildGeneration"
import { makePaceMemory } from "@tidemark/replay/pace"
import type { Parity } from "@tidemark/replay/parity"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { FromCheck, JournalAnswer, JournalCall } from "./checkThread.ts"
import { makeRebuildRate } from "./rebuildRate.ts"
import type { RebuildRate } from "./rebuildRate.ts"
import type { ServeOptions } from "./serveOptions.ts"

const ACT = { actor: "replay", reason: "carries the rebuild out" }
const STANDBY_MS = 24 * 3_600_000
/** Without news it is looked again this often: for what is due by time, and what another executor has left. */
const LOOK_EVERY_MS = 20_000
const RETRY_MS = 5_000
const LEASE_MS = 60_000
const PAGE_EVENTS = 1_000
const WAIT_MAX_MS = 30_000
/** Checkpoints are read, and progress told to the bus, this often: the thread that folds has no time for it. */
const MEASURE_EVERY_MS = 500

/** Its threads flush what they hold before they end, ms. */
const STOP_MS_MAX = 60_000

const WORKING: readonly string[] = ["planned", "preparing", "building", "catching_up", "verifying"]

const summaryOf = (comparisonId: string, { sameDefinition, compared, equal, differ, onlyOld, onlyNew, faults, measures, addedMeasures, removedMeasures, position }: Parity): ParitySummary => ({
  comparisonId, sameDefinition, compared, equal, differ, onlyOld, onlyNew, faults, measures, addedMeasures, removedMeasures, position: position.map(({ partition, nextOffset }) => ({ partition, nextOffset: nextOffset.toString() }))
})

/** Does it need somebody to act: a phase to be carried out, or the generation of an aborted one to be dropped. */
const isDue = Effect.fn("isDue")(function* ({ status, projection, generation }: Rebuild) {
  if (WORKING.includes(status)) return true
  if (status !== "aborted") return false
  const store = yield* ReadModelStore
  const record = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.generation(projection, generation)))
  return record !== undefined && record.isDropped !== true
})

const findDue = Effect.fn("findDue")(function* () {
  const due: Rebuild[] = []
  for (const { name } of projections) for (const rebuild of yield* loadRebuilds(name)) if (yield* isDue(rebuild)) due.push(rebuild)
  return due.sort((a, b) => a.startedAtMs - b.startedAtMs)
})

/** What the thread wants written; one that was refused because somebody has paused or aborted it changes nothing. */
const write = ({ projection, rebuildId }: Rebuild, call: Exclude<JournalCall, { readonly call: "load" | "listed" }>) =>
  changeRebuilds(projection, ACT, (state, nowMs) => {
    switch (call.call) {
      case "moved":
        return decideMove(state, rebuildId, call.to, nowMs)
      case "verified":
        return decideVerified(state, rebuildId, summaryOf(call.comparisonId, call.found), nowMs)
      case "failed":
        return decideFail(state, rebuildId, call.error, nowMs)
    }
  }).pipe(Effect.catchTag("RebuildStatusError", () => Effect.void))

const answerCall = Effect.fn("answerCall")(function* (rebuild: Rebuild, call: JournalCall) {
  if (call.call === "listed") yield* storeDifferences(call, call.event, call.after, ACT)
  else if (call.call !== "load") yield* write(rebuild, call)
  const now = (yield* loadRebuilds(rebuild.projection)).find(({ rebuildId }) => rebuildId === rebuild.rebuildId)
  return now ?? (yield* new RebuildMissingError({ rebuildId: rebuild.rebuildId }))
})

/** The bus may lose a hint; nothing waits for one. */
const tell = Effect.fn("tell")(function* (rebuildId: string) {
  const version = String(yield* Clock.currentTimeMillis)
  yield* Effect.ignore((yield* PubSub).publish(REBUILD_TOPIC, [{ key: rebuildId, version }]))
})

/** Measures the rate from the checkpoints while the thread folds. */
const measure = Effect.fn("measure")(function* ({ projection, generation, rebuildId }: Rebuild, lanes: readonly number[], rate: RebuildRate) {
  let last = -1n
  for (;;) {
    const { processed } = yield* buildProgress({ projection, generation }, lanes)
    rate.note(rebuildId, processed, yield* Clock.currentTimeMillis)
    if (processed !== last) yield* tell(rebuildId)
    last = processed
    yield* Effect.sleep(MEASURE_EVERY_MS)
  }
})

/** Runs the thread until it ends, or ends it. Answers why it broke off, undefined when it came to its end. */
const carry = Effect.fn("carry")(function* ({ startCheck, settings }: ServeOptions, rebuild: Rebuild, lanes: readonly number[], tenants: readonly string[]) {
  const services = yield* Effect.context<EventStore>()
  const run = Effect.runPromiseWith(services)
  const take = (message: FromCheck, answer: (answer: JournalAnswer) => void): void => {
    if (message.kind !== "journal") return
    const { number, call } = message
    run(answerCall(rebuild, call)).then((now) => answer({ number, rebuild: now }), (cause: unknown) => answer({ number, cause: String(cause) }))
  }
  return yield* Effect.callback<string | undefined>((resume) => {
    const end = startCheck({ kind: "rebuild", lanes, tenants, threads: settings.rebuildThreads, pace: makePaceMemory() }, {
      message: take,
      exit: (cause) => resume(Effect.succeed(cause))
    })
    return Effect.promise(() => end(STOP_MS_MAX))
  })
})

/** Keeps the claim while the work runs; ends when it is lost. */
const keepClaim = Effect.fn("keepClaim")(function* (claim: Effect.Effect<boolean, unknown>) {
  while (yield* Effect.catch(claim, () => Effect.succeed(false))) yield* Effect.sleep(LEASE_MS / 4)
  return "another executor has taken it"
})

export interface Rebuilds {
  readonly rate: Pick<RebuildRate, "of" | "last">
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

/** Until the scope closes; a thread that works then is ended, and what it has flushed is found again. */
export const startRebuilds = Effect.fn("startRebuilds")(function* (options: ServeOptions, model: SettingsModel) {
  const { settings, telemetry: { log } } = options
  const rate = makeRebuildRate()
  const executor = randomUUID()
  const { identity } = yield* EventLog
  const bell = yield* Queue.sliding<true>(1)
  const services = yield* Effect.context<EventStore>()
  const claim = ({ projection, rebuildId }: Rebuild): Effect.Effect<boolean, unknown> =>
    settings.shared
      ? changeRebuilds(projection, { actor: executor, reason: "claims the rebuild" }, (state, nowMs) => decideClaim(state, rebuildId, executor, LEASE_MS, nowMs)).pipe(
        Effect.as(true), Effect.catchTag("RebuildStatusError", () => Effect.succeed(false)), Effect.provide(services)
      )
      : Effect.succeed(true)
  const work = Effect.fn("work")(function* (rebuild: Rebuild) {
    if (!(yield* claim(rebuild))) return
    const { projection, generation } = rebuild
    log.info({ projection, generation, status: rebuild.status }, "a rebuild goes on")
    const lanes = Array.from({ length: identity.lanes }, (_, lane) => lane)
    const measured = Effect.andThen(Effect.ignore(measure(rebuild, lanes, rate)), Effect.never)
    const carried = Effect.raceFirst(carry(options, rebuild, lanes, model.tenants().map(({ tenantId }) => tenantId)), measured)
    const cause = yield* settings.shared ? Effect.raceFirst(carried, keepClaim(claim(rebuild))) : carried
    rate.ended()
    if (cause === undefined) return
    log.warn({ projection, generation, cause }, "a rebuild broke off and goes on from its checkpoints")
    yield* Effect.sleep(RETRY_MS)
  })
  const round = Effect.gen(function* () {
    for (const { name } of projections) {
      const dropped = yield* retireStandby(name, STANDBY_MS, ACT)
      if (dropped !== undefined) log.info({ projection: name, generation: dropped }, "a generation on standby was dropped")
    }
    for (const rebuild of yield* findDue()) yield* work(rebuild)
  })
  const careful = Effect.catch(round, (cause) => Effect.andThen(Effect.sync(() => log.warn({ cause: String(cause) }, "rebuilds wait")), Effect.sleep(RETRY_MS)))
  yield* Effect.forkScoped(followStreams(() => void Queue.offerUnsafe(bell, true)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(careful, Effect.timeoutOption(Queue.take(bell), LOOK_EVERY_MS))))
  return { rate } satisfies Rebuilds as Rebuilds
})
