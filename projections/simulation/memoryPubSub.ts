/** Pub/sub in memory. A slow subscription keeps its newest notifications and learns that it lost some. */
import { PubSub, PubSubUnavailableError } from "@tidemark/domain/ports/PubSub"
import type { Notification, PubSubShape, Subscription } from "@tidemark/domain/ports/PubSub"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

interface Receiver extends Subscription {
  readonly receive: (notifications: readonly Notification[]) => void
  readonly end: () => void
}

const makeReceiver = (bufferMax: number): Receiver => {
  let kept: readonly Notification[] = []
  let overflowed = false
  let ended = false
  const waiting = new Set<() => void>()
  /** Wakes who waits now: who takes again at once waits anew. */
  const wake = () => {
    const woken = Array.from(waiting)
    waiting.clear()
    for (const resume of woken) resume()
  }
  const news = Effect.callback<void>((resume) => {
    const ready = () => resume(Effect.void)
    waiting.add(ready)
    return Effect.sync(() => void waiting.delete(ready))
  }).pipe(Effect.andThen(Effect.yieldNow))
  const take = Effect.gen(function* () {
    while (kept.length === 0) {
      if (ended) return yield* Effect.interrupt
      yield* news
    }
    const taken = { notifications: kept, overflowed }
    kept = []
    overflowed = false
    return taken
  })
  return {
    take,
    receive: (notifications) => {
      const all = [...kept, ...notifications]
      kept = all.slice(Math.max(0, all.length - bufferMax))
      overflowed ||= all.length > bufferMax
      wake()
    },
    end: () => {
      ended = true
      kept = []
      wake()
    }
  }
}

/** What the simulation decides. `isDown` true: `publish` and `subscribe` end in `PubSubUnavailableError`; `isLost` true: nobody gets the notifications. */
export interface PubSubFaults {
  isDown: () => boolean
  isLost: (topic: string, notifications: readonly Notification[]) => boolean
}

const unavailable = new PubSubUnavailableError({ cause: new Error("simulated") })

const makePubSub = (faults: PubSubFaults): PubSubShape => {
  const receivers = new Set<{ readonly topic: string; readonly receiver: Receiver }>()
  return {
    publish: (topic, notifications) => Effect.suspend(() => {
      if (faults.isDown()) return Effect.fail(unavailable)
      if (faults.isLost(topic, notifications)) return Effect.void
      for (const entry of Array.from(receivers)) if (entry.topic === topic) entry.receiver.receive(notifications)
      return Effect.void
    }),
    subscribe: (topic, bufferMax) =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          if (faults.isDown()) return Effect.fail(unavailable)
          const entry = { topic, receiver: makeReceiver(bufferMax) }
          receivers.add(entry)
          return Effect.succeed(entry)
        }),
        (entry) => Effect.sync(() => {
          receivers.delete(entry)
          entry.receiver.end()
        })
      ).pipe(Effect.map(({ receiver }) => receiver))
  }
}

/** One bus for whoever shares the layer; nothing of it is stored. */
export const memoryPubSub = (faults: PubSubFaults = { isDown: () => false, isLost: () => false }): Layer.Layer<PubSub> =>
  Layer.effect(PubSub, Effect.sync(() => makePubSub(faults)))
