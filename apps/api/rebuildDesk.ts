/**
 * Rebuilds, and the pause of what is served, as the API reads and changes them. Every call reads the stores as they are now: a change must not decide on
 * the snapshot that the questions of its request share. Rules: docs/semantics.md §8.
 */
import { randomUUID } from "node:crypto"
import { loadRebuilds } from "@tidemark/commands/rebuild/aggregate"
import { loadDifferences } from "@tidemark/commands/rebuild/differences"
import { ProjectionMissingError, pauseProjection, resumeProjection } from "@tidemark/commands/projections/pauseProjection"
import { cutOver, rollBack } from "@tidemark/commands/rebuild/cutOver"
import { standbyHalt, standbyOf } from "@tidemark/commands/rebuild/standbyHalt"
import { startRebuild } from "@tidemark/commands/rebuild/startRebuild"
import { abortRebuild, capRebuild, compareAgain, pauseRebuild, resumeRebuild } from "@tidemark/commands/rebuild/steerRebuild"
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationSize } from "@tidemark/domain/ports/generationSize"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import { RebuildMissingError, RebuildRunningError, decidePlan } from "@tidemark/domain/settings/rebuild/decide"
import { isRunning, rateOfLast } from "@tidemark/domain/settings/rebuild/evolve"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { listCursor, readListCursor } from "@tidemark/queries/cursor"
import { UnknownProjectionError } from "@tidemark/queries/errors"
import { generations } from "@tidemark/queries/generations"
import { projections } from "@tidemark/queries/projections"
import { buildProgress } from "@tidemark/replay/buildGeneration"
import type { BuildProgress } from "@tidemark/replay/buildGeneration"
import { differingWindow } from "@tidemark/replay/differingWindow"
import type { DifferingWindowInput } from "@tidemark/replay/differingWindow"
import { planRebuild } from "@tidemark/replay/planRebuild"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

type DeskPorts = ReadModelStore | EventLog | EventStore | PubSub

export interface RebuildDeskOptions {
  readonly services: Context.Context<DeskPorts>
  /** The shipped definitions: a rebuild builds these. */
  readonly definitions: readonly ProjectionDefinition[]
  /** Tenants that may have rows. */
  readonly tenants: () => readonly string[]
  /** Free on the disk of the data directory, bytes; undefined where the engines are elsewhere. */
  readonly diskFreeBytes: () => number | undefined
  /** Of a rebuild that runs in this process; and records a second of the last one. */
  readonly rate: { readonly of: (rebuildId: string) => RateFigures | undefined; readonly last: () => number | undefined }
  /** How long a generation that was replaced stands by, ms. */
  readonly standbyMs: number
  /** What a rebuild that is carried out in this process is allowed, records a second, and why no more. */
  readonly throttle: (rebuildId: string) => Throttle | undefined
}

/** How quickly a rebuild folds: records a second, averages over 10 s. */
export interface RateFigures {
  readonly perSecond: number | undefined
  /** The lowest and the highest average of the last 10 s. */
  readonly slowest: number | undefined
  readonly quickest: number | undefined
  /** The last average while nothing slowed it. */
  readonly unslowed: number | undefined
  /** Shares of the time of its threads, together 1. */
  readonly time: Readonly<Record<"read" | "fold" | "write" | "throttle", number>> | undefined
}

export interface Throttle {
  /** undefined: all it can. */
  readonly allowedPerSecond: number | undefined
  readonly reason: string | undefined
}

export interface StartInput {
  readonly projection: string
  readonly reason: string
  readonly dryRun: boolean
  /** A cap from the beginning, events a second. */
  readonly eventsPerSecondMax?: number
}

export type Step = "pause" | "resume" | "compare" | "abort"

/** Words for the audit trail; the actor is the prefix of the key. */
const actOf = (actor: string, reason: string) => ({ actor, reason })

const STEPS = { pause: pauseRebuild, resume: resumeRebuild, compare: compareAgain, abort: abortRebuild } as const

const all = Effect.fn("allRebuilds")(function* (names: readonly string[]) {
  const found: Rebuild[] = []
  for (const name of names) found.push(...(yield* loadRebuilds(name)))
  return found.sort((a, b) => b.startedAtMs - a.startedAtMs)
})

const one = Effect.fn("oneRebuild")(function* (names: readonly string[], rebuildId: string) {
  const found = (yield* all(names)).find((rebuild) => rebuild.rebuildId === rebuildId)
  return found ?? (yield* new RebuildMissingError({ rebuildId }))
})

/** Plans it, and stores the plan unless `dryRun`: then it answers what would be planned. */
const start = Effect.fn("planOrStart")(function* ({ definitions, rate, tenants, diskFreeBytes }: RebuildDeskOptions, input: StartInput, actor: string) {
  const { projection, reason, dryRun, eventsPerSecondMax } = input
  const definition = definitions.find(({ name }) => name === projection)
  const recordsPerSecond = rate.last() ?? rateOfLast(yield* all(definitions.map(({ name }) => name)))
  const estimate = definition === undefined ? undefined : yield* planRebuild(definition, { recordsPerSecond, tenants: tenants() })
  if (definition === undefined || estimate === undefined) return yield* new UnknownProjectionError({ projection, valid: definitions.map(({ name }) => name) })
  const earlier = yield* loadRebuilds(projection)
  const diskFree = diskFreeBytes()
  const command = {
    rebuildId: randomUUID(), projection, reason, fromGeneration: estimate.fromGeneration, definition: canonicalJson(definition), definitionHash: definitionHash(definition),
    // A rebuild that was aborted before it stored its generation may still be about to drop it.
    generation: earlier.reduce((next, { generation }) => Math.max(next, generation + 1), estimate.generation),
    plan: { events: estimate.events.toString(), bytes: estimate.bytes.toString(), seconds: estimate.seconds, rows: estimate.rows.toString(), rowBytes: estimate.rowBytes.toString(), rateFrom: estimate.rateFrom, ...(diskFree === undefined ? {} : { diskFreeBytes: diskFree.toString() }) },
    ...(eventsPerSecondMax === undefined ? {} : { eventsPerSecondMax })
  }
  if (!dryRun) {
    yield* startRebuild(command, actOf(actor, reason))
    return yield* one([projection], command.rebuildId)
  }
  const nowMs = yield* Clock.currentTimeMillis
  const running = earlier.find(isRunning)
  if (running !== undefined) return yield* new RebuildRunningError({ projection, rebuildId: running.rebuildId })
  const refused = decidePlan(undefined, command, nowMs)
  if (refused instanceof Error) return yield* Effect.fail(refused)
  const planned: Rebuild = { ...command, eventsPerSecondMax: eventsPerSecondMax ?? null, status: "planned", resumeAs: "planned", parity: null, accepted: null, error: null, claim: null, pointerVersion: null, built: null, startedAtMs: nowMs, finishedAtMs: null, history: [] }
  return planned
})

const FOLDING: readonly string[] = ["building", "catching_up", "verifying", "paused", "failed"]

const progressOf = Effect.fn("progressOf")(function* ({ projection, generation, status }: Rebuild) {
  if (!FOLDING.includes(status)) return undefined
  const { identity } = yield* EventLog
  const progress: BuildProgress = yield* buildProgress({ projection, generation }, Array.from({ length: identity.lanes }, (_, lane) => lane))
  return progress.total === 0n && progress.processed === 0n ? undefined : progress
})

/** A page of what the last comparison listed of the tenant's windows. A cursor stays on the comparison it was made for. */
const differencesOf = Effect.fn("differencesOf")(function* ({ parity }: Rebuild, tenantId: string, limit: number, after: string | undefined) {
  const place = after === undefined ? undefined : yield* readListCursor(after)
  const comparisonId = place?.listId ?? parity?.comparisonId
  const start = place?.next ?? 0
  const page = comparisonId === undefined ? undefined : yield* loadDifferences({ comparisonId, tenantId }, start, limit)
  if (comparisonId === undefined || page === undefined) return undefined
  const edges = page.differences.map((node, at) => ({ cursor: listCursor({ listId: comparisonId, next: start + at + 1 }), node }))
  return { counts: page.counts, edges, hasNextPage: start + edges.length < page.counts.listed }
})

/** Changes what is served, and answers how it stands then. */
const changed = Effect.fn("changed")(function* <E, R>(name: string, tenantId: string, change: Effect.Effect<void, E, R>) {
  yield* change
  const found = (yield* projections({}, tenantId)).find(({ projection }) => projection === name)
  return found ?? (yield* new ProjectionMissingError({ projection: name }))
})

/** A measurement is good for so long, ms: it costs the more the larger the generation is. */
const SIZE_MS = 10_000

/** Sizes of generations, each measured once in a while whoever asks. */
const makeSizes = () => {
  const known = new Map<string, { readonly atMs: number; readonly size: GenerationSize | undefined }>()
  return Effect.fn("sizeOf")(function* (id: GenerationId) {
    const name = `${id.projection}/${id.generation}`
    const nowMs = yield* Clock.currentTimeMillis
    const before = known.get(name)
    if (before !== undefined && nowMs < before.atMs + SIZE_MS) return before.size
    const size = yield* (yield* ReadModelStore).generationSize(id)
    if (size === undefined) known.delete(name)
    else known.set(name, { atMs: nowMs, size })
    return size
  })
}

/** Calls answer with effects that need nothing more; they fail with the errors of the commands. */
export const makeRebuildDesk = (options: RebuildDeskOptions) => {
  const { services, definitions, rate, throttle } = options
  const names = definitions.map(({ name }) => name)
  const sizeOf = makeSizes()
  const on = <A, E>(effect: Effect.Effect<A, E, DeskPorts>): Effect.Effect<A, E> => Effect.provide(effect, services)
  const steer = Effect.fn("steer")(function* (step: Step, rebuildId: string, actor: string) {
    const { projection } = yield* one(names, rebuildId)
    yield* STEPS[step]({ projection, rebuildId }, actOf(actor, `${step} of the rebuild`))
    return yield* one([projection], rebuildId)
  })
  const cap = Effect.fn("cap")(function* (rebuildId: string, eventsPerSecondMax: number | null, actor: string) {
    const { projection } = yield* one(names, rebuildId)
    yield* capRebuild({ projection, rebuildId }, eventsPerSecondMax, actOf(actor, eventsPerSecondMax === null ? "no cap" : `at most ${eventsPerSecondMax} events/s`))
    return yield* one([projection], rebuildId)
  })
  const moveOver = Effect.fn("moveOver")(function* (rebuildId: string, note: string | undefined, actor: string) {
    const { projection, reason } = yield* one(names, rebuildId)
    yield* cutOver({ projection, rebuildId }, note, actOf(actor, note ?? reason))
    return yield* one([projection], rebuildId)
  })
  const moveBack = Effect.fn("moveBack")(function* (projection: string, actor: string, reason: string | undefined) {
    const { generation } = yield* rollBack(projection, actOf(actor, reason ?? "rollback"))
    const found = (yield* all([projection])).find((rebuild) => rebuild.fromGeneration === generation && rebuild.status === "standby")
    return found ?? (yield* new RebuildMissingError({ rebuildId: "" }))
  })
  return {
    /** Is the shipped definition another one than this, which is served? A rebuild that would build it is offered, never started by itself. */
    isOffered: (projection: string, servedHash: string): boolean => definitions.some((shipped) => shipped.name === projection && definitionHash(shipped) !== servedHash),
    /** The shipped definition where it is another one than this. */
    shippedBeside: (projection: string, servedHash: string): ProjectionDefinition | undefined => definitions.find((shipped) => shipped.name === projection && definitionHash(shipped) !== servedHash),
    all: (projection: string | undefined) => on(all(projection === undefined ? names : names.filter((name) => name === projection))),
    one: (rebuildId: string) => on(one(names, rebuildId)),
    start: (input: StartInput, actor: string) => on(start(options, input, actor)),
    steer: (step: Step, rebuildId: string, actor: string) => on(steer(step, rebuildId, actor)),
    cutOver: (rebuildId: string, note: string | undefined, actor: string) => on(moveOver(rebuildId, note, actor)),
    rollBack: (projection: string, actor: string, reason?: string) => on(moveBack(projection, actor, reason)),
    progress: (rebuild: Rebuild) => on(progressOf(rebuild)),
    /** Those of a projection that are stored. */
    generations: (projection: string) => on(generations(projection)),
    generationSize: (id: GenerationId) => on(sizeOf(id)),
    standbyMs: options.standbyMs,
    /** Until when the way back, or forth again, stays open, Unix ms; undefined where nothing stands by. */
    standbyUntilMs: (rebuild: Rebuild): number | undefined => (standbyOf(rebuild) === undefined || rebuild.finishedAtMs === null ? undefined : rebuild.finishedAtMs + options.standbyMs),
    /** Undefined where nothing stands by, or it goes on. */
    standbyHalt: (rebuild: Rebuild) => on(standbyHalt(rebuild)),
    /** Undefined while the tenant has no list: nothing was compared yet, or nothing of its windows differs. */
    differences: (rebuild: Rebuild, tenantId: string, limit: number, after: string | undefined) => on(differencesOf(rebuild, tenantId, limit, after)),
    differingWindow: (input: DifferingWindowInput) => on(differingWindow(input)),
    pauseProjection: (name: string, reason: string, actor: string, tenantId: string) => on(changed(name, tenantId, pauseProjection(name, actOf(actor, reason)))),
    resumeProjection: (name: string, tenantId: string) => on(changed(name, tenantId, resumeProjection(name))),
    cap: (rebuildId: string, eventsPerSecondMax: number | null, actor: string) => on(cap(rebuildId, eventsPerSecondMax, actor)),
    rate: rate.of,
    throttle
  }
}

export type RebuildDesk = ReturnType<typeof makeRebuildDesk>
