/** What subscriptions of the bus said since somebody last asked: collected as it comes, kept small, handed over at once. */
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** Notifications a topic keeps between two takes. */
const NOTIFICATIONS_MAX = 10_000

export interface Told {
  readonly topic: string
  readonly notifications: readonly Notification[]
  /** Some were lost: look at everything. */
  readonly overflowed: boolean
}

export interface News {
  /** Waits until something was told and is due. */
  readonly next: Effect.Effect<void>
}

/**
 * Listens to the topics until its scope closes; live when it returns. `collect` is called with everything that is told,
 * between two hand-overs as often as it comes, and answers after how many ms since the last hand-over it is due: what
 * is less urgent waits, and is handed over with what is more.
 */
export const listen = Effect.fn("listen")(function* (topics: readonly string[], collect: (told: Told) => number) {
  const bus = yield* PubSub
  let [waiting, dueAfterMs, handedOverAtMs] = [yield* Deferred.make<void>(), Infinity, -Infinity]
  for (const topic of topics) {
    const subscription = yield* bus.subscribe(topic, NOTIFICATIONS_MAX)
    const hear = Effect.flatMap(subscription.take, (taken) => {
      dueAfterMs = Math.min(dueAfterMs, collect({ topic, ...taken }))
      return Deferred.succeed(waiting, undefined)
    })
    yield* Effect.forkScoped(Effect.forever(hear))
  }
  /** Infinity while nothing was told. */
  const restMs = Effect.map(Clock.currentTimeMillis, (nowMs) => (dueAfterMs === Infinity ? Infinity : handedOverAtMs + dueAfterMs - nowMs))
  const next = Effect.gen(function* () {
    for (let ms = yield* restMs; ms > 0; ms = yield* restMs) {
      const told = Deferred.await(waiting)
      yield* ms === Infinity ? told : Effect.raceFirst(Effect.sleep(ms), told)
      waiting = yield* Deferred.make<void>()
    }
    dueAfterMs = Infinity
    handedOverAtMs = yield* Clock.currentTimeMillis
  })
  return { next } satisfies News
})
