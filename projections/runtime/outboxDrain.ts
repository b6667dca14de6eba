/**
 * Feeds the bus from the outbox after the commit: a hint per changed row, and a notice per projection whose checkpoint
 * moved. At least once, in order; what is lost is repaired by a query. Rules: docs/semantics.md §7.
 */
import { AFTER_KEY, checkpointTopic, checkpointVersion, hintKey, hintVersion, modelTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

const OUTBOX_PAGE = 200
/** Notices of a projection are at least this far apart, ms. */
const NOTICE_EVERY_MS = 100
/** An acknowledgement is a commit of its own, which would wait for the projectors' and they for it: at least this far apart, ms. */
const ACK_EVERY_MS = 1_000
const RETRY_MS = 1_000

export interface OutboxDrain {
  /** Something was committed. Cheap; many calls before the next round count as one. */
  readonly wake: () => void
  /** Drains until interrupted; begins with what an earlier run left. */
  readonly run: Effect.Effect<never, never, ReadModelStore | PubSub>
  /** How long the oldest commit has waited for its hints to be published, ms; 0 when all are. */
  readonly ageMs: (nowMs: number) => number
}

/** Name of the outbox cursor that feeds the bus. */
export const BUS_CONSUMER = "bus"

/** Model topics whose last publication is remembered; of the one used longest ago nothing is said any more. */
const TOPICS_MAX = 10_000

/** The version each topic has got to, for its next publication to name. */
class PublishedTo {
  private readonly versions = new Map<string, string>()

  after(topic: string): readonly Notification[] {
    const version = this.versions.get(topic)
    return version === undefined ? [] : [{ key: AFTER_KEY, version }]
  }

  note(topic: string, version: string): void {
    this.versions.delete(topic)
    this.versions.set(topic, version)
    if (this.versions.size <= TOPICS_MAX) return
    for (const oldest of this.versions.keys()) return void this.versions.delete(oldest)
  }
}

/** How far this process has published, and how far the store knows of it. A later run begins where the store knows. */
interface Progress {
  publishedTo: bigint
  acknowledgedTo: bigint
  acknowledgedMs: number
}

const isUnacknowledged = ({ publishedTo, acknowledgedTo }: Progress): boolean => publishedTo > acknowledgedTo

/** Moves the bus's cursor behind what was published, when that is due. */
const acknowledge = Effect.fn("acknowledge")(function* (progress: Progress) {
  const nowMs = yield* Clock.currentTimeMillis
  if (!isUnacknowledged(progress) || nowMs < progress.acknowledgedMs + ACK_EVERY_MS) return
  yield* (yield* ReadModelStore).ackOutbox(BUS_CONSUMER, progress.publishedTo)
  progress.acknowledgedTo = progress.publishedTo
  progress.acknowledgedMs = nowMs
})

/** Publishes all entries. */
const drainHints = Effect.fn("drainHints")(function* (progress: Progress, publishedTo: PublishedTo) {
  const store = yield* ReadModelStore
  const bus = yield* PubSub
  const { cursor } = yield* store.registerOutbox(BUS_CONSUMER)
  progress.acknowledgedTo = cursor
  if (cursor > progress.publishedTo) progress.publishedTo = cursor
  for (;;) {
    const entries = yield* store.readOutbox(BUS_CONSUMER, progress.publishedTo, OUTBOX_PAGE)
    const last = entries.at(-1)
    if (last === undefined) return
    const topics = new Map<string, Notification[]>()
    for (const { lane, hints, sequence } of entries) {
      const version = hintVersion(sequence)
      for (const hint of hints) {
        const topic = modelTopic(hint.tenantId, lane.projection)
        const notification: Notification = { key: hintKey(hint), version }
        const others = topics.get(topic)
        if (others === undefined) topics.set(topic, [notification])
        else others.push(notification)
      }
    }
    for (const [topic, notifications] of topics) {
      yield* bus.publish(topic, [...publishedTo.after(topic), ...notifications])
      const last = notifications.at(-1)
      if (last !== undefined) publishedTo.note(topic, last.version)
    }
    progress.publishedTo = last.sequence
  }
})

/** Checkpoint version of each active generation, by projection. */
const readPositions = Effect.scoped(
  Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const positions = new Map<string, string>()
    for (const { projection, generation } of yield* snapshot.pointers) {
      const checkpoints = yield* snapshot.checkpoints(projection, generation)
      positions.set(projection, checkpointVersion(checkpoints.flatMap(({ partitions }) => partitions)))
    }
    return positions
  })
)

const publishMoves = Effect.fn("publishMoves")(function* (positions: ReadonlyMap<string, string>, known: Map<string, string>) {
  const bus = yield* PubSub
  for (const [projection, version] of positions) {
    if (known.get(projection) === version) continue
    yield* bus.publish(checkpointTopic(projection), [{ key: projection, version }])
    known.set(projection, version)
  }
})

/** One drain per read-model store. */
export const makeOutboxDrain = (): OutboxDrain => {
  /** Of the run that listens; made by it, so that whoever waits is woken by that run's own scheduler. */
  let bell: Queue.Queue<true> | undefined
  const known = new Map<string, string>()
  const publishedTo = new PublishedTo()
  /** When the notices were published last, and whether something was committed since. */
  let noticedMs = -Infinity
  let owed = true
  /** When the first wake came that no round has answered yet; the clock is read by the round, not by `wake`. */
  let waitingSinceMs: number | undefined
  const dueInMs = Effect.map(Clock.currentTimeMillis, (nowMs) => noticedMs + NOTICE_EVERY_MS - nowMs)
  const progress: Progress = { publishedTo: 0n, acknowledgedTo: 0n, acknowledgedMs: -Infinity }
  const round = Effect.gen(function* () {
    waitingSinceMs ??= yield* Clock.currentTimeMillis
    const isDue = owed && (yield* dueInMs) <= 0
    if (isDue) {
      owed = false
      noticedMs = yield* Clock.currentTimeMillis
    }
    // Read before the hints: a notice says that the hints of all it counts are published.
    const positions = isDue ? yield* readPositions : new Map<string, string>()
    yield* drainHints(progress, publishedTo)
    waitingSinceMs = undefined
    yield* acknowledge(progress)
    yield* publishMoves(positions, known)
  })
  const rest = Effect.fn("rest")(function* (rings: Queue.Queue<true>) {
    const ring = Effect.map(Queue.take(rings), () => {
      owed = true
    })
    const acknowledgeInMs = isUnacknowledged(progress) ? progress.acknowledgedMs + ACK_EVERY_MS - (yield* Clock.currentTimeMillis) : Infinity
    const restMs = Math.max(0, Math.min(owed ? yield* dueInMs : Infinity, acknowledgeInMs))
    if (restMs < Infinity) yield* Effect.raceFirst(ring, Effect.sleep(restMs))
    else yield* ring
  })
  const retry = Effect.andThen(Effect.sync(() => {
    owed = true
  }), Effect.sleep(RETRY_MS))
  const run = Effect.gen(function* () {
    progress.publishedTo = 0n
    const rings = yield* Queue.sliding<true>(1)
    bell = rings
    const attempt = Effect.catchTags(round, { StoreUnavailableError: () => retry, PubSubUnavailableError: () => retry })
    return yield* Effect.forever(Effect.andThen(attempt, rest(rings)))
  })
  return {
    wake: () => {
      if (bell !== undefined) Queue.offerUnsafe(bell, true)
    },
    run,
    ageMs: (nowMs) => (waitingSinceMs === undefined ? 0 : Math.max(0, nowMs - waitingSinceMs))
  }
}
