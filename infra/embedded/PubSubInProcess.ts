/**
 * Change hints within one process. Each subscription keeps its newest `bufferMax` notifications; older ones are
 * dropped and the next `take` says so.
 */
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification, PubSubShape, Subscription } from "@tidemark/domain/ports/PubSub"
import { Effect, Layer } from "effect"

interface Receiver {
  readonly receive: (notifications: readonly Notification[]) => void
  readonly end: () => void
  readonly subscription: Subscription
}

const makeReceiver = (bufferMax: number): Receiver => {
  let kept: Notification[] = []
  let overflowed = false
  let ended = false
  const waiting = new Set<() => void>()
  const hasNews = () => kept.length > 0 || overflowed
  const wake = () => {
    // A reader that is resumed may run at once and wait again: it is not part of this round.
    const woken = [...waiting]
    waiting.clear()
    for (const resume of woken) resume()
  }
  const drain = () => {
    const drained = { notifications: kept, overflowed }
    kept = []
    overflowed = false
    return drained
  }
  // Looks again before it waits: news may have come since the caller looked.
  const change = Effect.callback<void>((resume) => {
    const ready = () => resume(Effect.void)
    if (hasNews() || ended) return ready()
    waiting.add(ready)
    return Effect.sync(() => void waiting.delete(ready))
  })
  const take = Effect.gen(function* () {
    while (!hasNews()) {
      if (ended) return yield* Effect.interrupt
      yield* change
    }
    return drain()
  })
  const receive = (notifications: readonly Notification[]) => {
    if (notifications.length === 0) return
    kept = kept.concat(notifications)
    const excess = kept.length - bufferMax
    if (excess > 0) {
      kept.splice(0, excess)
      overflowed = true
    }
    wake()
  }
  const end = () => {
    ended = true
    drain()
    wake()
  }
  return { receive, end, subscription: { take } }
}

const makePubSub = (): PubSubShape => {
  const topics = new Map<string, Set<Receiver>>()
  const add = (topic: string, receiver: Receiver) => topics.set(topic, (topics.get(topic) ?? new Set()).add(receiver))
  const remove = (topic: string, receiver: Receiver) => {
    const receivers = topics.get(topic)
    receivers?.delete(receiver)
    if (receivers?.size === 0) topics.delete(topic)
    receiver.end()
  }
  return {
    publish: (topic, notifications) =>
      Effect.sync(() => {
        for (const receiver of topics.get(topic) ?? []) receiver.receive(notifications)
      }),
    subscribe: (topic, bufferMax) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const receiver = makeReceiver(bufferMax)
          add(topic, receiver)
          return receiver
        }),
        (receiver) => Effect.sync(() => remove(topic, receiver))
      ).pipe(Effect.map(({ subscription }) => subscription))
  }
}

/** Pub/sub between the parts of this process. A `take` that waits when its subscription ends is interrupted. */
export const pubSubInProcess: Layer.Layer<PubSub> = Layer.effect(PubSub, Effect.sync(makePubSub))
