/**
 * A series that follows the data. A subscriber listens first and queries then, so nothing falls between; what comes over
 * the bus carries no value: the read model is asked. Nothing is asked while nothing is told.
 *
 * Three things are told: windows that changed; checkpoints that moved, by which a window turns final although no row
 * changed; and a pointer that names another generation. Only those windows are read again. What is sent is the difference from what was sent before, so the order
 * (pointerVersion, revision, watermark) never goes back. The whole range is read at the start, when another generation
 * is served, and when hints were lost: the bus says so, or one names another before it that never came.
 */
import { checkpointTopic, modelTopic, pointerTopic } from "@tidemark/domain/ports/hintTopic"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import { LimitError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { Follower } from "./follower.ts"
import { BUCKETS_MAX } from "./limits.ts"
import { listen } from "./news.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { OpenModel, Provenance } from "./openModel.ts"
import { alignedRange, resolutionCode } from "./resolution.ts"
import { planSeries, readGroups } from "./series.ts"
import type { ReadGroups, SeriesGroup, SeriesInput, SeriesPlan } from "./series.ts"
import { joinRuns, turnedFinal } from "./windowRuns.ts"
import type { Run } from "./windowRuns.ts"
import type { PositionPart } from "./windowState.ts"

/** Least time between two messages of one subscription: at most 10 a second. */
const MESSAGE_EVERY_MS = 100
/** Least time between two looks where no window of the series changed: other tenants' events move checkpoints too. */
const LOOK_EVERY_MS = 1_000
/** No definition's shortest windows are longer. */
const WINDOW_MS_MAX = 3_600_000

export interface SeriesChangesInput extends SeriesInput {
  /** The position the subscriber holds an answer of: only what changed since is sent. */
  readonly since?: readonly PositionPart[]
}

/**
 * RESYNC: `groups` is the whole series, replace it. UPSERT: `groups` holds the changed points only. `position`: all that
 * was folded up to there has been told, so a subscriber may continue from it; points may be of a little later.
 */
export interface SeriesChange extends Provenance {
  readonly kind: "RESYNC" | "UPSERT"
  readonly groups: readonly SeriesGroup[]
}

/** True when the position lies in the log's partitions and not beyond what was folded. */
const isWithin = (since: readonly PositionPart[], model: OpenModel): boolean => {
  const offsets = new Map(model.position.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  return since.length === offsets.size && since.every(({ partition, nextOffset }) => nextOffset <= (offsets.get(partition) ?? -1n))
}

const resync = (model: OpenModel, follower: Follower, { groups }: ReadGroups): SeriesChange => {
  follower.startOver()
  follower.unsent(groups)
  follower.readAll(model.position)
  return { ...provenanceOf(model), kind: "RESYNC", groups }
}

/** The first message to a subscriber that has an answer: what changed since. */
const continued = (model: OpenModel, follower: Follower, read: ReadGroups): SeriesChange => {
  follower.unsent(read.groups)
  follower.readAll(model.position)
  const groups = read.groups.flatMap((group) => {
    const starts = read.changed.get(group.key[0]?.value ?? "")
    const points = group.points.filter(({ startMs }) => starts?.has(startMs) === true)
    return points.length === 0 ? [] : [{ ...group, points }]
  })
  return { ...provenanceOf(model), kind: "UPSERT", groups }
}

/** What differs in these windows from what was sent before. */
const changedIn = Effect.fn("changedIn")(function* (model: OpenModel, plan: SeriesPlan, follower: Follower, runs: readonly Run[]) {
  const groups = new Map<string, SeriesGroup>()
  for (const run of runs) {
    const { groups: found } = yield* readGroups(model, plan, { ...run, kept: follower.groups })
    for (const group of follower.unsent(found)) {
      const value = group.key[0]?.value ?? ""
      groups.set(value, { ...group, points: [...(groups.get(value)?.points ?? []), ...group.points] })
    }
  }
  if (follower.pointCount > BUCKETS_MAX) return yield* Effect.fail(new LimitError({ limit: "buckets", max: BUCKETS_MAX, wanted: follower.pointCount }))
  return [...groups.values()]
})

/** One look at the model; none when there is nothing to say. */
const look = Effect.fn("lookAtSeries")(function* (input: SeriesChangesInput, tenantId: string, follower: Follower) {
  const { last, since } = follower
  // Before the snapshot: what is told from here on may not be in it.
  const told = follower.takeTold()
  const model = yield* openModel(input.projection, tenantId)
  const plan = yield* planSeries(model, input)
  const known = last !== undefined && last.pointerVersion === model.pointerVersion && last.generation === model.generation
  const behind = last !== undefined && (model.pointerVersion < last.pointerVersion || (known && !isWithin(last.position, model)))
  if (behind && since === undefined) {
    follower.owe(told)
    return Option.none<SeriesChange>()
  }
  follower.last = provenanceOf(model)
  follower.since = undefined
  follower.range = plan
  if (!known || behind || told.lost) return Option.some(resync(model, follower, yield* readGroups(model, plan, plan)))
  if (since !== undefined) {
    const read = yield* readGroups(model, plan, { ...plan, since })
    // Which groups the subscriber holds is not known where some are left out.
    return Option.some(read.truncated ? resync(model, follower, read) : continued(model, follower, read))
  }
  const { sizeMs } = plan.resolution
  const hinted = told.starts.filter((startMs) => startMs >= plan.fromMs && startMs < plan.toMs).map((fromMs) => ({ fromMs, toMs: fromMs + sizeMs }))
  const runs = joinRuns([...hinted, turnedFinal(last.watermarkMs, model.watermarkMs, { sizeMs, within: plan })])
  const groups = yield* changedIn(model, plan, follower, runs)
  const position = follower.readTold(model.position, told.covered)
  if (groups.length === 0 && last.watermarkMs === model.watermarkMs) return Option.none<SeriesChange>()
  return Option.some<SeriesChange>({ ...provenanceOf(model), position, kind: "UPSERT", groups })
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
  const { sizeMs, code: resolution } = RESOLUTIONS[resolutionCode(input.resolution)]
  const [hintsTopic, noticesTopic, movesTopic] = [modelTopic(tenantId, input.projection), checkpointTopic(input.projection), pointerTopic(input.projection)]
  const follower = new Follower({ resolution, within: yield* alignedRange(input.fromMs, input.toMs, Math.max(sizeMs, WINDOW_MS_MAX)), hintsTopic, noticesTopic })
  const topics = [hintsTopic, noticesTopic, movesTopic]
  const news = yield* listen(topics, (told) => (follower.hear(told) || told.topic === movesTopic ? MESSAGE_EVERY_MS : LOOK_EVERY_MS))
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
 * The groups of a break-down stay until the next RESYNC, which ranks them anew: others join only while there are fewer
 * than `first`. So no more is held for a subscriber than one answer's points; with more it fails, as the query would.
 * Where groups are left out no position can be continued, and the first message is a RESYNC. A window that turned final since then without a change of its rows is not among the first message's points: its state
 * follows from the message's watermark.
 */
export const seriesChanged = (input: SeriesChangesInput, tenantId: string): Stream.Stream<SeriesChange, QueryError, ReadModelStore | PubSub> =>
  Stream.unwrap(followSeries(input, tenantId) satisfies Effect.Effect<unknown, QueryError, ReadModelStore | PubSub | Scope.Scope>)
