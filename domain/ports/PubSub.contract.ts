/** What every pub/sub must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { PubSub } from "./PubSub.ts"
import type { Notification, PubSubShape, Subscription } from "./PubSub.ts"

export interface PubSubHarness {
  readonly open: () => Layer.Layer<PubSub, unknown>
  readonly dispose: () => Promise<void>
}

const hints = (from: number, count: number): readonly Notification[] => Array.from({ length: count }, (_, i) => ({ key: `k${from + i}`, version: String(from + i) }))

/** Takes until `count` notifications have come, in however many parts. */
const collect = (subscription: Subscription, count: number) =>
  Effect.gen(function* () {
    const notifications: Notification[] = []
    let overflowed = false
    while (notifications.length < count) {
      const taken = yield* subscription.take
      notifications.push(...taken.notifications)
      overflowed ||= taken.overflowed
    }
    return { notifications, overflowed }
  })

/** Declares the suite for one adapter. */
export const pubSubContract = (name: string, makeHarness: () => PubSubHarness): void => {
  const session = (use: (bus: PubSubShape) => Effect.Effect<void, unknown, Scope.Scope>) => async () => {
    const harness = makeHarness()
    try {
      await Effect.runPromise(Effect.gen(function* () { yield* use(yield* PubSub) }).pipe(Effect.scoped, Effect.provide(harness.open())))
    } finally {
      await harness.dispose()
    }
  }

  describe(`PubSub on ${name}`, () => {
    it("serves a reader that takes again at once", session((bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 10)
      const taking = yield* Effect.forkChild(collect(subscription, 2), { startImmediately: true })
      yield* bus.publish("a", hints(0, 1))
      yield* bus.publish("a", hints(1, 1))
      expect((yield* Fiber.join(taking)).notifications).toEqual(hints(0, 2))
    })))

    it("is live when subscribe returns and delivers in the order published", session((bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 100)
      yield* bus.publish("a", hints(0, 3))
      yield* bus.publish("a", hints(3, 2))
      expect(yield* collect(subscription, 5)).toEqual({ notifications: hints(0, 5), overflowed: false })
    })))

    it("wakes a waiting reader", session((bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 100)
      const [taken] = yield* Effect.all([subscription.take, bus.publish("a", hints(0, 1))], { concurrency: 2 })
      expect(taken).toEqual({ notifications: hints(0, 1), overflowed: false })
    })))

    it("gives every subscription of a topic everything, and nothing of another topic or from before it", session((bus) => Effect.gen(function* () {
      yield* bus.publish("a", hints(90, 1))
      const [first, second, other] = yield* Effect.all([bus.subscribe("a", 100), bus.subscribe("a", 100), bus.subscribe("b", 100)])
      yield* bus.publish("a", hints(0, 2))
      yield* bus.publish("b", hints(50, 1))
      expect((yield* collect(first, 2)).notifications).toEqual(hints(0, 2))
      expect((yield* collect(second, 2)).notifications).toEqual(hints(0, 2))
      expect((yield* collect(other, 1)).notifications).toEqual(hints(50, 1))
    })))

    it("keeps at most bufferMax notifications, the newest, of a slow reader and says once that it dropped some", session((bus) => Effect.gen(function* () {
      const [slow, witness] = yield* Effect.all([bus.subscribe("a", 3), bus.subscribe("a", 100)])
      for (let i = 0; i < 10; i++) yield* bus.publish("a", hints(i, 1))
      expect((yield* collect(witness, 10)).overflowed).toBe(false)
      expect(yield* slow.take).toEqual({ notifications: hints(7, 3), overflowed: true })
      yield* bus.publish("a", hints(10, 3))
      expect(yield* collect(slow, 3)).toEqual({ notifications: hints(10, 3), overflowed: false })
    })))

    it("drops what exceeds the buffer within one publish too", session((bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 3)
      yield* bus.publish("a", hints(0, 10))
      expect(yield* subscription.take).toEqual({ notifications: hints(7, 3), overflowed: true })
    })))

    it("ends with the scope: a waiting take is interrupted, others go on", session((bus) => Effect.gen(function* () {
      const scope = yield* Scope.make()
      const ending = yield* bus.subscribe("a", 100).pipe(Scope.provide(scope))
      const staying = yield* bus.subscribe("a", 100)
      const waiting = yield* Effect.forkChild(ending.take, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* bus.publish("a", hints(0, 1))
      for (const exit of [yield* Fiber.await(waiting), yield* Effect.exit(ending.take)]) expect(Exit.hasInterrupts(exit)).toBe(true)
      expect((yield* collect(staying, 1)).notifications).toEqual(hints(0, 1))
    })))
  })
}
