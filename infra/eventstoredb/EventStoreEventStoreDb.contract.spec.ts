/** The event store over gRPC against the double: the contract, and what a network and a server that goes away do to it. */
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape } from "@tidemark/domain/ports/EventStore"
import { eventStoreContract } from "@tidemark/domain/ports/EventStore.contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { DoubleProcess } from "./doubleProcess.ts"
import { eventStoreDb } from "./EventStoreEventStoreDb.ts"

let double: DoubleProcess
let namespaces = 0
beforeAll(async () => {
  double = await DoubleProcess.start()
})
afterAll(() => double.dispose())

eventStoreContract("EventStoreDB's protocol", () => {
  const namespace = `contract${++namespaces}`
  return { open: () => eventStoreDb({ url: double.url, namespace }), dispose: async () => {} }
})

const withStore = <A>(use: (store: EventStoreShape) => Effect.Effect<A, unknown>, url = double.url, namespace = `spec${++namespaces}`): Promise<A> =>
  Effect.runPromise(Effect.gen(function* () { return yield* use(yield* EventStore) }).pipe(Effect.provide(eventStoreDb({ url, namespace }))))

const event = (n: number) => ({ id: `018f0000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`, type: "thing.changed", data: { n } })
const idsOf = (events: readonly { readonly id: string }[]) => events.map(({ id }) => id)

/** Asks again until the server answers. */
const untilAnswered = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.flatMap(Effect.result(effect), (result) => (result._tag === "Success" ? Effect.succeed(result.success) : Effect.andThen(Effect.sleep(20), untilAnswered(effect))))

/** Passes everything on to the double, except answers while they are held back: by hand, or from a request with this text on. */
const makeProxy = async () => {
  const sockets = new Set<Socket>()
  let holding = false
  let trigger: string | undefined
  const server = createServer((near) => {
    const far = connect(double.port, "127.0.0.1")
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on("data", (bytes: Buffer) => {
      if (trigger !== undefined && bytes.includes(trigger)) holding = true
      far.write(bytes)
    })
    far.on("data", (bytes) => {
      if (!holding) near.write(bytes)
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `esdb://127.0.0.1:${(server.address() as AddressInfo).port}?tls=false`,
    holdAnswers: () => {
      holding = true
    },
    holdAnswersAfter: (text: string) => {
      trigger = text
    },
    passOn: () => {
      holding = false
      trigger = undefined
    },
    cut,
    close: () => {
      cut()
      server.close()
    }
  }
}

describe("EventStoreDB's protocol over a network", () => {
  it("shows positions beyond 2^53 exactly and passes over system events and other installations", async () => {
    const namespace = `spec${++namespaces}`
    const mine = await withStore((store) => Effect.forEach([1, 2, 3, 4, 5], (n) => store.append("a", [event(n)], BigInt(n - 2))), double.url, namespace)
    await withStore((store) => store.append("a", [event(9)], -1n))
    for (const { position } of mine) expect(position).toBeGreaterThan(2n ** 53n)
    const all = await withStore((store) => store.readAll(0n, 100, 0), double.url, namespace)
    expect(all.map(({ id, stream, position }) => ({ id, stream, position }))).toEqual(mine.map(({ position }, index) => ({ id: event(index + 1).id, stream: "a", position })))
  })

  it("fails while the server is away and goes on by itself, with what was stored, when it is back", async () => {
    await withStore((store) => Effect.gen(function* () {
      const { position } = yield* store.append("a", [event(1)], -1n)
      const waiting = yield* Effect.forkChild(untilAnswered(Effect.filterOrFail(store.readAll(position, 10, 10_000), (found) => found.length > 0, () => "nothing yet")), { startImmediately: true })
      yield* Effect.promise(() => double.kill())
      expect(yield* Effect.flip(store.append("a", [event(2)], 0n))).toMatchObject({ _tag: "EventStoreUnavailableError" })
      expect(yield* Effect.flip(store.readStream("a", 0n, 10))).toMatchObject({ _tag: "EventStoreUnavailableError" })
      yield* Effect.promise(() => double.up())
      expect(yield* untilAnswered(store.append("a", [event(2)], 0n))).toMatchObject({ revision: 1n })
      expect(idsOf(yield* Fiber.join(waiting))).toEqual([event(2).id])
      expect(idsOf(yield* store.readStream("a", 0n, 10))).toEqual([event(1).id, event(2).id])
    }))
  })

  it("stores an append once whose answer was lost, when it is sent again", async () => {
    const proxy = await makeProxy()
    const namespace = `spec${++namespaces}`
    const untilStored = (store: EventStoreShape, n: number) => Effect.gen(function* () {
      while ((yield* store.readStream("a", BigInt(n - 1), 1)).length === 0) yield* Effect.yieldNow
    })
    try {
      await withStore((store) => Effect.gen(function* () {
        yield* store.append("a", [event(1)], -1n)
        for (const [n, expected] of [[2, 0n], [3, "any"]] as const) {
          proxy.holdAnswersAfter(event(n).id)
          const appending = yield* Effect.forkChild(Effect.flip(store.append("a", [event(n)], expected)), { startImmediately: true })
          yield* Effect.promise(() => withStore((direct) => untilStored(direct, n), double.url, namespace))
          proxy.cut()
          expect(yield* Fiber.join(appending)).toMatchObject({ _tag: "EventStoreUnavailableError" })
          proxy.passOn()
          expect(yield* untilAnswered(store.append("a", [event(n)], expected))).toMatchObject({ revision: BigInt(n - 1) })
        }
        expect(idsOf(yield* store.readStream("a", 0n, 10))).toEqual([1, 2, 3].map((n) => event(n).id))
      }), proxy.url, namespace)
    } finally {
      proxy.close()
    }
  })

  it("ends a call that is never answered", async () => {
    const proxy = await makeProxy()
    try {
      await withStore((store) => Effect.gen(function* () {
        yield* store.append("a", [event(1)], -1n)
        proxy.holdAnswers()
        const failures = yield* Effect.all([Effect.flip(store.readStream("a", 0n, 10)), Effect.flip(store.readAll(0n, 10, 0)), Effect.flip(store.append("a", [event(2)], 0n))], { concurrency: 3 })
        for (const failure of failures) expect(failure).toMatchObject({ _tag: "EventStoreUnavailableError" })
        proxy.cut()
        proxy.passOn()
        expect(yield* untilAnswered(store.append("a", [event(2)], 0n))).toMatchObject({ revision: 1n })
      }), proxy.url)
    } finally {
      proxy.close()
    }
  }, 30_000)

  it("says at start where it looked for a server that is not there, without user and password", async () => {
    const failure = await Effect.runPromise(Effect.flip(EventStore.pipe(Effect.provide(eventStoreDb({ url: "esdb://me:canary@127.0.0.1:1?tls=false", namespace: "n" })))))
    expect(failure).toMatchObject({ _tag: "EventStoreUnreachableError", url: "esdb://127.0.0.1:1?tls=false" })
  })
})
