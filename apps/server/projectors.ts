/** The projector role: threads that fold the lanes this process owns, and what tells others of it. */
import { availableParallelism } from "node:os"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import { EventIndexing } from "@tidemark/domain/ports/EventIndexing"
import type { EventIndexer } from "@tidemark/domain/ports/EventIndexing"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { LaneAssignment } from "@tidemark/domain/ports/LaneAssignment"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import { makeOutboxDrain } from "@tidemark/projections/runtime/outboxDrain"
import { makeSearchPublisher } from "@tidemark/projections/runtime/searchPublisher"
import type { SearchPublisherStatus } from "@tidemark/projections/runtime/searchPublisher"
import { makeProjectorPool } from "@tidemark/projector/projectorPool"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { ReadyPart } from "./operations.ts"
import type { ServeOptions } from "./serveOptions.ts"
import { StartError } from "./startError.ts"

export interface Projectors {
  /** To be called after an append. */
  readonly appended: () => void
  /** Parts of this role for /readyz. */
  readonly parts: () => readonly ReadyPart[]
}

/** The process that owns this lane publishes for all: one at a time is enough, and two at once do no harm. */
const PUBLISHING_LANE = 0

/** Documents that wait so long, and were tried in vain within the other, grow the outbox, ms. A long copy that goes on is none of it. */
const SEARCH_AGE_MS_MAX = 60_000
const SEARCH_RETRY_MS_MAX = 30_000

/** How publishing fares, for /readyz. `ageMs`: how long the oldest commit has waited. */
export const searchPart = ({ halt, refused, documents, retry }: SearchPublisherStatus, ageMs: number, nowMs: number): ReadyPart => {
  const isStuck = retry !== undefined && ageMs > SEARCH_AGE_MS_MAX && nowMs - retry.atMs < SEARCH_RETRY_MS_MAX
  const stands = halt === undefined ? `${documents} put` : `HALTED ${halt.code}: ${halt.detail}`
  const waits = isStuck ? [`the oldest commit has waited for ${Math.round(ageMs / 1_000)} s: ${retry.cause}`] : []
  const degraded = [...refused].map(([view, count]) => `${count} documents of ${view} were refused`)
  return { name: "search documents", ready: halt === undefined && !isStuck, detail: [stands, ...waits, ...degraded].join(", ") }
}

/** Keeps window documents in the search engine, where there is one, while this process is the one that publishes. */
const makePublishing = Effect.fn(function* ({ telemetry }: ServeOptions, model: SettingsModel) {
  const store = yield* ReadModelStore
  const index = yield* Effect.serviceOption(WindowIndex)
  const { log } = telemetry
  const publisher = makeSearchPublisher({
    tenants: Effect.sync(() => model.tenants().map(({ tenantId }) => tenantId)),
    retrying: (cause) => log.warn({ cause }, "search documents wait"),
    halted: ({ message }) => log.error({ code: "REV_CONFLICT", detail: message }, "publishing search documents halted")
  })
  const scope = yield* Effect.scope
  let running: Fiber.Fiber<never> | undefined
  const run = (wanted: boolean) => Effect.gen(function* () {
    if (Option.isNone(index) || wanted === (running !== undefined)) return
    if (running !== undefined) yield* Fiber.interrupt(running)
    running = wanted ? yield* Effect.forkIn(publisher.run.pipe(Effect.provideService(WindowIndex, index.value), Effect.provideService(ReadModelStore, store)), scope) : undefined
  })
  telemetry.watchSearch((nowMs) => (running === undefined ? 0 : publisher.ageMs(nowMs)))
  const parts = (): readonly ReadyPart[] => {
    const nowMs = Date.now()
    return running === undefined ? [] : [searchPart(publisher.status(), publisher.ageMs(nowMs), nowMs)]
  }
  return { wake: publisher.wake, run, parts }
})

/** Keeps the event search of this process' partitions fed, where the search engine has to be. */
const makeIndexing = Effect.fn(function* ({ telemetry: { log } }: ServeOptions) {
  const indexing = yield* Effect.serviceOption(EventIndexing)
  const { identity } = yield* EventLog
  const scope = yield* Effect.scope
  let running: { readonly indexer: EventIndexer; readonly fiber: Fiber.Fiber<never> } | undefined
  const run = (lanes: readonly number[]) => Effect.gen(function* () {
    if (Option.isNone(indexing)) return
    if (running !== undefined) yield* Fiber.interrupt(running.fiber)
    running = undefined
    const partitions = Array.from({ length: identity.partitions }, (_, partition) => partition).filter((partition) => lanes.includes(partition % identity.lanes))
    if (partitions.length === 0) return
    const indexer = indexing.value.indexer({
      partitions,
      retrying: (cause) => log.warn({ cause }, "the event index waits"),
      halted: ({ code, detail }) => log.error({ code, detail }, "indexing events halted")
    })
    running = { indexer, fiber: yield* Effect.forkIn(indexer.run, scope) }
  })
  const parts = (): readonly ReadyPart[] => {
    if (running === undefined) return []
    const { halt, refused } = running.indexer.status()
    const detail = halt === undefined ? `partitions ${[...running.indexer.status().indexed.keys()].join(", ")}` : `HALTED ${halt.code}: ${halt.detail}`
    return [{ name: "event index", ready: halt === undefined, detail: refused === 0 ? detail : `${detail}, ${refused} events were refused` }]
  }
  return { run, parts }
})

/** Joins those who fold; the threads follow the lanes this process is given. */
export const startProjectors = Effect.fn(function* (options: ServeOptions, model: SettingsModel) {
  const { telemetry, startThread, end } = options
  const { log } = telemetry
  const drain = makeOutboxDrain()
  const publishing = yield* makePublishing(options, model)
  const indexing = yield* makeIndexing(options)
  const pool = yield* makeProjectorPool({
    processors: availableParallelism(),
    startThread,
    nowMs: () => Date.now(),
    onCommitted: (reports) => {
      for (const { durationMs } of reports) telemetry.flushed(durationMs)
      drain.wake()
      publishing.wake()
    },
    onReread: (reports) => {
      for (const { projection, records } of reports) telemetry.reread(projection, records)
    },
    onHalted: (halt) => log.error({ ...halt }, "a projection halted"),
    onRetrying: (failure) => log.warn({ ...failure }, "a lane goes on from its checkpoint"),
    onFenced: (lanes, detail) => log.warn({ lanes, detail }, "another process owns a lane; nothing of it was committed here"),
    onRestarted: (died, cause) => log.error({ lanes: died, cause }, "a projector thread died and was started again"),
    onGivenUp: (sentence) => void Deferred.doneUnsafe(end, Effect.fail(new StartError(sentence)))
  })
  yield* Effect.forkScoped(drain.run)
  telemetry.watchOutbox(drain.ageMs)
  let owned: readonly number[] = []
  yield* (yield* LaneAssignment).join((lanes) => Effect.gen(function* () {
    if (options.settings.shared) log.info({ lanes }, "lanes of this process")
    owned = lanes
    yield* publishing.run(lanes.includes(PUBLISHING_LANE))
    yield* indexing.run(lanes)
    yield* pool.own(lanes)
  }))
  const lanesPart = (): readonly ReadyPart[] => (options.settings.shared ? [{ name: "lanes", ready: true, detail: owned.length === 0 ? "none; other processes have them" : owned.join(", ") }] : [])
  return { appended: pool.appended, parts: () => [...lanesPart(), ...publishing.parts(), ...indexing.parts()] } satisfies Projectors
})
