/**
 * Answers that follow the data. A subscriber listens first and queries then, so nothing falls between; a hint carries no
 * value: the read model is asked. What hints lose, the next full look repairs.
 */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification, Subscription } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { windowStart } from "@tidemark/domain/time/window"
import { Clock, Effect, Option, Stream } from "effect"
import type { Scope } from "effect"
import type { QueryError } from "./errors.ts"
import type { EventFilter } from "./events.ts"
import { modelTopic, readHintKey } from "@tidemark/domain/ports/hintTopic"
import { loggedEvent } from "./loggedEvent.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { OpenModel, Provenance } from "./openModel.ts"
import { logEnds } from "./projections.ts"
import { planSeries, readGroups } from "./series.ts"
import type { SeriesGroup, SeriesInput, SeriesPlan } from "./series.ts"
import { compileFilter } from "./tailFilter.ts"
import type { PositionPart } from "./windowState.ts"

/** Least time between two messages of one subscription: at most 10 a second. */
const MESSAGE_EVERY_MS = 100
/** A full look at the series happens at least this often, so that lost hints and silent watermarks show. */
const FULL_LOOK_EVERY_MS = 5_000
const HINTS_MAX = 10_000

export interface SeriesChangesInput extends SeriesInput {
  /** The position the subscriber holds an answer of: only what changed since is sent. */
  readonly since?: readonly PositionPart[]
}

/** RESYNC: `groups` is the whole series, replace it. CHANGED: `groups` holds the changed points only. */
export interface SeriesChange extends Provenance {
  readonly kind: "RESYNC" | "CHANGED"
  readonly groups: readonly SeriesGroup[]
}

interface Follower {
  /** What the last message, or the subscriber's own query, came from; undefined before it. */
  last: Provenance | undefined
  /** Position of the last look at the whole series. */
  fullPosition: readonly PositionPart[]
  fullAtMs: number
}

/** True when the position lies in the log's partitions and not beyond what was folded. */
const isWithin = (since: readonly PositionPart[], model: OpenModel): boolean => {
  const offsets = new Map(model.position.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  return since.length === offsets.size && since.every(({ partition, nextOffset }) => nextOffset <= (offsets.get(partition) ?? -1n))
}

/** The windows the hints name, as one range of the plan; undefined when a hint names none. */
const hintedRange = (plan: SeriesPlan, notifications: readonly Notification[]): { readonly fromMs: number; readonly toMs: number } | undefined => {
  let [fromMs, toMs] = [Infinity, -Infinity]
  for (const { key } of notifications) {
    const hint = readHintKey(key)
    if (hint === undefined) return undefined
    const startMs = windowStart(hint.windowStartMs, plan.resolution.sizeMs)
    fromMs = Math.min(fromMs, startMs)
    toMs = Math.max(toMs, startMs + plan.resolution.sizeMs)
  }
  return { fromMs: Math.max(fromMs, plan.fromMs), toMs: Math.min(toMs, plan.toMs) }
}

interface News {
  readonly notifications: readonly Notification[]
  /** Hints were lost. */
  readonly overflowed: boolean
}

/** One look at the model; none when there is nothing to say. */
const look = Effect.fn("lookAtSeries")(function* (input: SeriesChangesInput, tenantId: string, follower: Follower, news: News) {
  const model = yield* openModel(input.projection, tenantId)
  const plan = yield* planSeries(model, input)
  const nowMs = yield* Clock.currentTimeMillis
  const { last } = follower
  const moved = last === undefined || last.pointerVersion !== model.pointerVersion || last.generation !== model.generation || !isWithin(last.position, model)
  const resync = moved || news.overflowed
  const hinted = resync || nowMs - follower.fullAtMs >= FULL_LOOK_EVERY_MS ? undefined : hintedRange(plan, news.notifications)
  if (hinted !== undefined && hinted.fromMs >= hinted.toMs) return Option.none<SeriesChange>()
  const groups = resync
    ? yield* readGroups(model, plan, plan)
    : yield* readGroups(model, plan, { ...(hinted ?? { fromMs: plan.fromMs, toMs: plan.toMs }), since: follower.fullPosition })
  if (hinted === undefined) {
    follower.fullPosition = model.position
    follower.fullAtMs = nowMs
  }
  if (!resync && groups.length === 0 && last.watermarkMs === model.watermarkMs) return Option.none<SeriesChange>()
  follower.last = provenanceOf(model)
  return Option.some<SeriesChange>({ ...provenanceOf(model), kind: resync ? "RESYNC" : "CHANGED", groups })
})

const NO_NEWS: News = { notifications: [], overflowed: false }

const followSeries = Effect.fn("followSeries")(function* (input: SeriesChangesInput, tenantId: string) {
  const bus = yield* PubSub
  const hints: Subscription = yield* bus.subscribe(modelTopic(tenantId, input.projection), HINTS_MAX)
  const follower: Follower = { last: undefined, fullPosition: [], fullAtMs: 0 }
  const { since } = input
  if (since !== undefined) {
    const model = yield* Effect.scoped(openModel(input.projection, tenantId))
    if (isWithin(since, model)) {
      follower.last = { ...provenanceOf(model), position: since, watermarkMs: null }
      follower.fullPosition = since
    }
  }
  let started = false
  const next = Effect.gen(function* () {
    for (;;) {
      let news = NO_NEWS
      if (started) {
        const taken = yield* Effect.timeoutOption(hints.take, FULL_LOOK_EVERY_MS)
        news = Option.getOrElse(taken, () => NO_NEWS)
        if (Option.isSome(taken)) {
          yield* Effect.sleep(MESSAGE_EVERY_MS)
          const more = yield* Effect.timeoutOption(hints.take, 0)
          if (Option.isSome(more)) {
            news = { notifications: [...news.notifications, ...more.value.notifications], overflowed: news.overflowed || more.value.overflowed }
          }
        }
      }
      started = true
      const change = yield* Effect.scoped(look(input, tenantId, follower, news))
      if (Option.isSome(change)) return change.value
    }
  })
  return Stream.fromEffectRepeat(next)
})

/** Follows a series: first what changed since `since` (or everything), then every change, at most 10 messages a second. */
export const seriesChanged = (input: SeriesChangesInput, tenantId: string): Stream.Stream<SeriesChange, QueryError, ReadModelStore | PubSub> =>
  Stream.unwrap(followSeries(input, tenantId) satisfies Effect.Effect<unknown, QueryError, ReadModelStore | PubSub | Scope.Scope>)

const TAIL_BYTES_MAX = 1 << 20
const TAIL_WAIT_MS = 1_000
/** Events one read passes on; the rest of it is left out, so that a slow reader stays at the end of the log. */
const TAIL_EVENTS_MAX = 200

/** Events of the tenant as they become readable, from now on. A sample when more than some hundred a second match. */
export const eventTail = (filter: EventFilter | undefined, tenantId: string): Stream.Stream<LoggedEvent, QueryError, EventLog> =>
  Stream.unwrap(Effect.gen(function* () {
    const matches = compileFilter(filter ?? {})
    const log = yield* EventLog
    const next = new Map(yield* logEnds)
    const read = Effect.gen(function* () {
      const from = [...next].map(([partition, nextOffset]): PartitionPosition => ({ partition, nextOffset }))
      const matched: LoggedEvent[] = []
      for (const { partition, firstOffset, bytes, ends } of yield* log.read(from, { bytesMax: TAIL_BYTES_MAX, waitMaxMs: TAIL_WAIT_MS })) {
        next.set(partition, firstOffset + BigInt(ends.length))
        for (let at = 0; at < ends.length && matched.length < TAIL_EVENTS_MAX; at++) {
          const record = bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at])
          const logged = loggedEvent(partition, firstOffset + BigInt(at), record)
          if (logged !== undefined && logged.event.tenantId === tenantId && matches(logged.event, record)) matched.push(logged)
        }
      }
      return matched
    })
    return Stream.flatMap(Stream.fromEffectRepeat(read), (matched) => Stream.fromIterable(matched))
  }))
