/** Change hints within one process. */
import { makeNotificationBuffer } from "@tidemark/domain/ports/notificationBuffer"
import type { NotificationBuffer } from "@tidemark/domain/ports/notificationBuffer"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape } from "@tidemark/domain/ports/PubSub"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const makePubSub = (): PubSubShape => {
  const topics = new Map<string, Set<NotificationBuffer>>()
  const add = (topic: string, buffer: NotificationBuffer) => topics.set(topic, (topics.get(topic) ?? new Set()).add(buffer))
  const remove = (topic: string, buffer: NotificationBuffer) => {
    const buffers = topics.get(topic)
    buffers?.delete(buffer)
    if (buffers?.size === 0) topics.delete(topic)
    buffer.end()
  }
  return {
    publish: (topic, notifications) =>
      Effect.sync(() => {
        for (const buffer of topics.get(topic) ?? []) buffer.receive(notifications)
      }),
    subscribe: (topic, bufferMax) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const buffer = makeNotificationBuffer(bufferMax)
          add(topic, buffer)
          return buffer
        }),
        (buffer) => Effect.sync(() => remove(topic, buffer))
      ).pipe(Effect.map(({ subscription }) => subscription))
  }
}

/** Pub/sub between the parts of this process. A `take` that waits when its subscription ends is interrupted. */
export const pubSubInProcess: Layer.Layer<PubSub> = Layer.effect(PubSub, Effect.sync(makePubSub))
