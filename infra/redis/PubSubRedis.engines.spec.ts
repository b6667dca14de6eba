/** The bus on a real Redis, which is killed, frozen, paused and emptied under it. */
import { pubSubContract } from "@tidemark/domain/ports/PubSub.contract"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape, Subscription } from "@tidemark/domain/ports/PubSub"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { Redis } from "ioredis"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { pubSubRedis } from "./PubSubRedis.ts"
import { RedisProcess } from "./redisProcess.ts"

let server: RedisProcess
beforeAll(async () => {
  server = await RedisProcess.start()
})
afterAll(() => server.kill())

pubSubContract("Redis", () => ({ open: () => pubSubRedis({ url: server.url, namespace: "contract" }), dispose: async () => {} }))

const note = (n: number) => ({ key: `k${n}`, version: String(n) })

const withBus = <A>(namespace: string, use: (bus: PubSubShape) => Effect.Effect<A, unknown, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.gen(function* () { return yield* use(yield* PubSub) }).pipe(Effect.scoped, Effect.provide(pubSubRedis({ url: server.url, namespace }))))

const admin = async (use: (client: Redis) => Promise<unknown>): Promise<void> => {
  const client = new Redis(server.url)
  try {
    await use(client)
  } finally {
    client.disconnect()
  }
}

/** Publishes until Redis takes it. */
const publishUntilTaken = (bus: PubSubShape, n: number) =>
  Effect.gen(function* () {
    while ((yield* Effect.result(bus.publish("t", [note(n)])))._tag === "Failure") yield* Effect.sleep(20)
  })

/** Takes until this notification has come. */
const takeUntil = (subscription: Subscription, key: string) =>
  Effect.gen(function* () {
    while (!(yield* subscription.take).notifications.some((notification) => notification.key === key));
  })

/** After any fault: what is published arrives again, without a new subscription. */
const hears = (bus: PubSubShape, subscription: Subscription, n: number) =>
  Effect.gen(function* () {
    const taking = yield* Effect.forkChild(takeUntil(subscription, `k${n}`))
    for (;;) {
      yield* publishUntilTaken(bus, n)
      const heard = yield* Effect.raceFirst(Effect.as(Fiber.join(taking), true), Effect.as(Effect.sleep(100), false))
      if (heard) return
    }
  })

describe("PubSub on a Redis that fails", () => {
  it("tells every subscription to resync when the server is killed, polls while it is away, and goes on when it is back", async () => {
    await withBus("killed", (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("t", 100)
      yield* Effect.promise(() => server.kill())
      expect(yield* subscription.take).toEqual({ notifications: [], overflowed: true })
      expect(yield* Effect.flip(bus.publish("t", [note(1)]))).toMatchObject({ _tag: "PubSubUnavailableError" })
      const during = yield* bus.subscribe("t", 100)
      expect(yield* during.take).toEqual({ notifications: [], overflowed: true })
      expect((yield* subscription.take).overflowed).toBe(true)
      yield* Effect.promise(() => server.up())
      yield* hears(bus, subscription, 2)
      yield* hears(bus, during, 3)
    }))
  }, 30_000)

  it("ends a publish within two seconds while the server is frozen, and goes on when it moves again", async () => {
    await withBus("frozen", (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("t", 100)
      server.freeze()
      const beganMs = performance.now()
      expect(yield* Effect.flip(bus.publish("t", [note(1)]))).toMatchObject({ _tag: "PubSubUnavailableError" })
      expect(performance.now() - beganMs).toBeLessThan(2_000)
      // The connection is given up, although the server never closed it.
      expect((yield* subscription.take).overflowed).toBe(true)
      server.thaw()
      yield* hears(bus, subscription, 2)
    }))
  }, 30_000)

  it("goes on after CLIENT PAUSE and after its connections were cut by the server, with word to resync", async () => {
    await withBus("paused", (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("t", 100)
      yield* Effect.promise(() => admin((client) => client.client("PAUSE", 1_500)))
      expect(yield* Effect.flip(bus.publish("t", [note(1)]))).toMatchObject({ _tag: "PubSubUnavailableError" })
      yield* hears(bus, subscription, 2)
      yield* Effect.promise(() => admin((client) => client.call("CLIENT", "KILL", "TYPE", "pubsub")))
      expect((yield* subscription.take).overflowed).toBe(true)
      yield* hears(bus, subscription, 3)
    }))
  }, 30_000)

  it("does not mind that the server is emptied, and passes over what is no hint with word to resync", async () => {
    await withBus("emptied", (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("t", 100)
      yield* Effect.promise(() => admin((client) => client.flushall()))
      yield* bus.publish("t", [note(1)])
      expect(yield* subscription.take).toEqual({ notifications: [note(1)], overflowed: false })
      for (const foreign of ["{", "{}", "[1]", "[[1,2]]"]) {
        yield* Effect.promise(() => admin((client) => client.publish("emptied:hints:t", foreign)))
        expect(yield* subscription.take).toEqual({ notifications: [], overflowed: true })
      }
    }))
  })

  it("keeps installations on one server apart by their namespace", async () => {
    await withBus("one", (one) => Effect.promise(() => withBus("two", (two) => Effect.gen(function* () {
      const subscription = yield* two.subscribe("t", 100)
      yield* one.publish("t", [note(1)])
      yield* two.publish("t", [note(2)])
      expect(yield* subscription.take).toEqual({ notifications: [note(2)], overflowed: false })
    }))))
  })

  it("says at start where it looked for a server that is not there, without user and password", async () => {
    const layer = pubSubRedis({ url: "redis://me:canary@127.0.0.1:1/0", namespace: "none" })
    const failure = await Effect.runPromise(Effect.flip(Effect.gen(function* () { return yield* PubSub }).pipe(Effect.provide(layer))))
    expect(failure).toMatchObject({ _tag: "RedisUnreachableError", url: "redis://127.0.0.1:1/0" })
  })
})
