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
  /** Waits until something was told and `everyMs` have passed since the last hand-over. */
  readonly next: Effect.Effect<void>
}

/**
 * Listens to the topics until its scope closes; live when it returns. `collect` is called with everything that is told,
 * between two hand-overs as often as it comes.
 */
export const listen = Effect.fn("listen")(function* (topics: readonly string[], everyMs: number, collect: (told: Told) => void) {
  const bus = yield* PubSub
  let [waiting, fresh, handedOverAtMs] = [yield* Deferred.make<void>(), false, -Infinity]
  for (const topic of topics) {
    const subscription = yield* bus.subscribe(topic, NOTIFICATIONS_MAX)
    const hear = Effect.flatMap(subscription.take, (taken) => {
      collect({ topic, ...taken })
      fresh = true
      return Deferred.succeed(waiting, undefined)
    })
    yield* Effect.forkScoped(Effect.forever(hear))
  }
  const next = Effect.gen(function* () {
    if (!fresh) yield* Deferred.await(waiting)
    const restMs = handedOverAtMs + everyMs - (yield* Clock.currentTimeMillis)
    if (restMs > 0) yield* Effect.sleep(restMs)
    waiting = yield* Deferred.make<void>()
    fresh = false
    handedOverAtMs = yield* Clock.currentTimeMillis
  })
  return { next } satisfies News
})
