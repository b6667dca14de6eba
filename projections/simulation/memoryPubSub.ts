/** Pub/sub in memory. A slow subscription keeps its newest notifications and learns that it lost some. */
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification, PubSubShape, Subscription } from "@tidemark/domain/ports/PubSub"
import { Effect, Layer } from "effect"

interface Receiver extends Subscription {
  readonly receive: (notifications: readonly Notification[]) => void
  readonly end: () => void
}

const makeReceiver = (bufferMax: number): Receiver => {
  let kept: readonly Notification[] = []
  let overflowed = false
  let ended = false
  const waiting = new Set<() => void>()
  const wake = () => {
    const woken = Array.from(waiting)
    waiting.clear()
    for (const resume of woken) resume()
  }
  const news = Effect.callback<void>((resume) => {
    const ready = () => resume(Effect.void)
    waiting.add(ready)
    return Effect.sync(() => void waiting.delete(ready))
  })
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

const makePubSub = (): PubSubShape => {
  const receivers = new Set<{ readonly topic: string; readonly receiver: Receiver }>()
  return {
    publish: (topic, notifications) => Effect.sync(() => {
      for (const entry of receivers) if (entry.topic === topic) entry.receiver.receive(notifications)
    }),
    subscribe: (topic, bufferMax) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const entry = { topic, receiver: makeReceiver(bufferMax) }
          receivers.add(entry)
          return entry
        }),
        (entry) => Effect.sync(() => {
          receivers.delete(entry)
          entry.receiver.end()
        })
      ).pipe(Effect.map(({ receiver }) => receiver))
  }
}

/** One bus for whoever shares the layer. */
export const memoryPubSub: Layer.Layer<PubSub> = Layer.effect(PubSub, Effect.sync(makePubSub))
