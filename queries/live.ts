/**
 * A series that follows the data. A subscriber listens first and queries then, so nothing falls between; what comes over
 * the bus carries no value: the read model is asked. Nothing is asked while nothing is told.
 *
 * Two things are told: windows that changed, and checkpoints that moved, by which a window turns final although no row
 * changed. What is sent is the difference from what was sent before, so the order (pointerVersion, revision, watermark)
 * never goes back. Should a hint be lost, the first news 5 s after the last full look repairs it: heartbeats move
 * checkpoints also when no event comes.
 */
import { checkpointTopic, modelTopic, readHintKey } from "@tidemark/domain/ports/hintTopic"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { windowStart } from "@tidemark/domain/time/window"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import type { QueryError } from "./errors.ts"
import { listen } from "./news.ts"
import type { Told } from "./news.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { OpenModel, Provenance } from "./openModel.ts"
import { planSeries, readGroups } from "./series.ts"
import type { SeriesGroup, SeriesInput, SeriesPlan, SeriesPoint } from "./series.ts"
import type { PositionPart } from "./windowState.ts"

/** Least time between two messages of one subscription: at most 10 a second. */
const MESSAGE_EVERY_MS = 100
/** News this long after the last full look lead to another one. */
const FULL_LOOK_AFTER_MS = 5_000

export interface SeriesChangesInput extends SeriesInput {
  /** The position the subscriber holds an answer of: only what changed since is sent. */
  readonly since?: readonly PositionPart[]
}

/** RESYNC: `groups` is the whole series, replace it. UPSERT: `groups` holds the changed points only. */
export interface SeriesChange extends Provenance {
  readonly kind: "RESYNC" | "UPSERT"
  readonly groups: readonly SeriesGroup[]
}

/** Windows told to have changed, [fromMs, toMs). */
interface Range {
  readonly fromMs: number
  readonly toMs: number
}

const NOTHING: Range = { fromMs: Infinity, toMs: -Infinity }

const hull = (a: Range, b: Range): Range => ({ fromMs: Math.min(a.fromMs, b.fromMs), toMs: Math.max(a.toMs, b.toMs) })

interface Follower {
  /** What the last message, or the subscriber's own answer, came from; undefined before it. */
  last: Provenance | undefined
  /** Whether the next message answers `since`, and is due even without news. */
  since: readonly PositionPart[] | undefined
  /** Group and window → revision and state as last sent. */
  readonly sent: Map<string, string>
  readonly groups: Set<string>
  fullAtMs: number
  hinted: Range
  /** Hints were lost. */
  overflowed: boolean
}

/** True when the position lies in the log's partitions and not beyond what was folded. */
const isWithin = (since: readonly PositionPart[], model: OpenModel): boolean => {
  const offsets = new Map(model.position.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  return since.length === offsets.size && since.every(({ partition, nextOffset }) => nextOffset <= (offsets.get(partition) ?? -1n))
}

const hintedBy = ({ notifications }: Told): Range =>
  notifications.reduce((range, { key }) => {
    const hint = readHintKey(key)
    return hint === undefined ? range : hull(range, { fromMs: hint.windowStartMs, toMs: hint.windowStartMs + 1 })
  }, NOTHING)

/** The windows whose end the watermark reached between two looks. */
const turnedFinal = (from: number | null, to: number | null, sizeMs: number): Range =>
  to === null || from === to ? NOTHING : { fromMs: from === null ? -Infinity : from - sizeMs, toMs: to }

/** Whole windows of the plan; undefined when the range has none of them. */
const clamped = (range: Range, plan: SeriesPlan): Range | undefined => {
  const { sizeMs } = plan.resolution
  const fromMs = Math.max(plan.fromMs, Number.isFinite(range.fromMs) ? windowStart(range.fromMs, sizeMs) : range.fromMs)
  const toMs = Math.min(plan.toMs, Number.isFinite(range.toMs) ? windowStart(range.toMs - 1, sizeMs) + sizeMs : range.toMs)
  return fromMs < toMs ? { fromMs, toMs } : undefined
}

const groupValue = ({ key }: SeriesGroup): string => key[0]?.value ?? ""

/** Notes what is sent; only what differs from what was sent before remains. */
const unsent = (follower: Follower, groups: readonly SeriesGroup[]): readonly SeriesGroup[] =>
  groups.flatMap((group) => {
    const value = groupValue(group)
    const isNew = ({ startMs, revision, state }: SeriesPoint): boolean => {
      const [place, now] = [`${startMs}:${value}`, `${revision}:${state}`]
      if (follower.sent.get(place) === now) return false
      follower.sent.set(place, now)
      return true
    }
    const points = group.points.filter(isNew)
    if (points.length > 0) follower.groups.add(value)
    return points.length === 0 ? [] : [{ ...group, points }]
  })

const resync = Effect.fn("resyncSeries")(function* (model: OpenModel, plan: SeriesPlan, follower: Follower) {
  follower.sent.clear()
  follower.groups.clear()
  const { groups } = yield* readGroups(model, plan, plan)
  unsent(follower, groups)
  return { ...provenanceOf(model), kind: "RESYNC", groups } satisfies SeriesChange as SeriesChange
})

/** One look at the model; none when there is nothing to say. */
const look = Effect.fn("lookAtSeries")(function* (input: SeriesChangesInput, tenantId: string, follower: Follower) {
  const { last, since, hinted, overflowed } = follower
  follower.hinted = NOTHING
  follower.overflowed = false
  const model = yield* openModel(input.projection, tenantId)
  const plan = yield* planSeries(model, input)
  const nowMs = yield* Clock.currentTimeMillis
  const known = last !== undefined && last.pointerVersion === model.pointerVersion && last.generation === model.generation
  const behind = last !== undefined && (model.pointerVersion < last.pointerVersion || (known && !isWithin(last.position, model)))
  if (behind && since === undefined) return Option.none<SeriesChange>()
  const full = since !== undefined || overflowed || nowMs - follower.fullAtMs >= FULL_LOOK_AFTER_MS
  if (full || !known) follower.fullAtMs = nowMs
  follower.last = provenanceOf(model)
  follower.since = undefined
  if (!known || behind || overflowed) return Option.some(yield* resync(model, plan, follower))
  const watermarkMoved = last.watermarkMs !== model.watermarkMs
  const range = full ? plan : clamped(hull(hinted, turnedFinal(last.watermarkMs, model.watermarkMs, plan.resolution.sizeMs)), plan)
  const isWanted = (value: string): boolean => follower.groups.has(value) || follower.groups.size < plan.groupsMax
  const reading = { fromMs: range?.fromMs ?? 0, toMs: range?.toMs ?? 0, ...(since === undefined ? {} : { since }), ...(full ? {} : { isWanted }) }
  if (since !== undefined) unsent(follower, (yield* readGroups(model, plan, plan)).groups)
  const found = range === undefined ? [] : (yield* readGroups(model, plan, reading)).groups
  const groups = since === undefined ? unsent(follower, found) : found
  if (groups.length === 0 && !watermarkMoved) return Option.none<SeriesChange>()
  return Option.some<SeriesChange>({ ...provenanceOf(model), kind: "UPSERT", groups })
})

/** The subscriber's own answer as the last thing sent, when this generation can continue it. */
const takeUp = Effect.fn("takeUpSeries")(function* (input: SeriesChangesInput, tenantId: string, follower: Follower) {
  const { since } = input
  if (since === undefined) return
  const model = yield* openModel(input.projection, tenantId)
  if (!isWithin(since, model)) return
  follower.last = { ...provenanceOf(model), position: since, watermarkMs: null }
  follower.since = since
})

const followSeries = Effect.fn("followSeries")(function* (input: SeriesChangesInput, tenantId: string) {
  const follower: Follower = { last: undefined, since: undefined, sent: new Map(), groups: new Set(), fullAtMs: -Infinity, hinted: NOTHING, overflowed: false }
  const topics = [modelTopic(tenantId, input.projection), checkpointTopic(input.projection)]
  const news = yield* listen(topics, MESSAGE_EVERY_MS, (told) => {
    follower.hinted = hull(follower.hinted, hintedBy(told))
    follower.overflowed ||= told.overflowed
  })
  yield* Effect.scoped(takeUp(input, tenantId, follower))
  let started = false
  const next = Effect.gen(function* () {
    for (;;) {
      if (started) yield* news.next
      started = true
      const change = yield* Effect.scoped(look(input, tenantId, follower))
      if (Option.isSome(change)) return change.value
    }
  })
  return Stream.fromEffectRepeat(next)
})

/**
 * Follows a series: first what changed since `since` (or everything), then every change, at most 10 messages a second.
 * A window that turned final since then without a change of its rows is not among the first message's points: its state
 * follows from the message's watermark.
 */
export const seriesChanged = (input: SeriesChangesInput, tenantId: string): Stream.Stream<SeriesChange, QueryError, ReadModelStore | PubSub> =>
  Stream.unwrap(followSeries(input, tenantId) satisfies Effect.Effect<unknown, QueryError, ReadModelStore | PubSub | Scope.Scope>)
