/** Result cache, rate limits and vitals on a real Redis, which is killed, frozen and emptied under them. */
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import { rateLimiterContract } from "@tidemark/domain/ports/RateLimiter.contract"
import { ResultCache } from "@tidemark/domain/ports/ResultCache"
import { resultCacheContract } from "@tidemark/domain/ports/ResultCache.contract"
import { VitalsBoard } from "@tidemark/domain/ports/VitalsBoard"
import { vitalsBoardContract } from "@tidemark/domain/ports/VitalsBoard.contract"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Redis } from "ioredis"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { rateLimiterRedis } from "./RateLimiterRedis.ts"
import { RedisProcess } from "./redisProcess.ts"
import { resultCacheRedis } from "./ResultCacheRedis.ts"
import { vitalsBoardRedis } from "./VitalsBoardRedis.ts"

let server: RedisProcess
let namespaces = 0
beforeAll(async () => {
  server = await RedisProcess.start()
})
afterAll(() => server.kill())

const settings = () => ({ url: server.url, namespace: `spec${++namespaces}` })

resultCacheContract("Redis", () => ({ open: () => resultCacheRedis(settings()), dispose: async () => {} }))
rateLimiterContract("Redis", () => ({ open: () => rateLimiterRedis(settings()), dispose: async () => {} }))
vitalsBoardContract("Redis", () => {
  const shared = settings()
  return { open: (keptMs) => vitalsBoardRedis(shared, keptMs), dispose: async () => {} }
})

const key = { tenantId: "t", projection: "p", pointerVersion: 1, generation: 1, position: [], question: "{}" }
const limit = { name: "l", capacity: 2, perSecond: 0.001 }

/** Runs until Redis holds what is put: the connection is back. */
const untilKept = Effect.gen(function* () {
  const cache = yield* ResultCache
  while ((yield* cache.get(key)) === undefined) yield* Effect.andThen(cache.put(key, new Uint8Array([2])), Effect.sleep(20))
})

describe("a Redis that fails", () => {
  it("is waited for when the first connection breaks at the start, and named at once when nobody listens", async () => {
    let connections = 0
    const gate = createServer((socket) => {
      connections += 1
      socket.on("error", () => {})
      if (connections === 1) return void socket.destroy()
      const through = connect(Number(new URL(server.url).port), "127.0.0.1")
      through.on("error", () => socket.destroy())
      socket.pipe(through).pipe(socket)
    }).listen(0, "127.0.0.1")
    await once(gate, "listening")
    const { port } = gate.address() as AddressInfo
    const shared = { ...settings(), url: `redis://127.0.0.1:${port}` }
    const took = Effect.gen(function* () { return yield* (yield* RateLimiter).take(limit, "a", 1) })
    expect(await Effect.runPromise(took.pipe(Effect.provide(rateLimiterRedis(shared))))).toMatchObject({ retryAfterSeconds: undefined })
    expect(connections).toBeGreaterThan(1)
    gate.close()
    await once(gate, "close")
    const beganMs = performance.now()
    await expect(Effect.runPromise(took.pipe(Effect.provide(rateLimiterRedis(shared))))).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } })
    expect(performance.now() - beganMs).toBeLessThan(3_000)
  })

  it("is a miss and a local limit while it is away or frozen, at once, and serves again when it is back", async () => {
    const shared = settings()
    await Effect.runPromise(Effect.gen(function* () {
      const cache = yield* ResultCache
      const limiter = yield* RateLimiter
      const take = Effect.map(limiter.take(limit, "a", 1), ({ retryAfterSeconds }) => retryAfterSeconds === undefined)
      yield* cache.put(key, new Uint8Array([1]))
      expect(yield* take).toBe(true)
      for (const [away, back] of [[() => server.kill(), () => server.up()], [async () => server.freeze(), async () => server.thaw()]] as const) {
        yield* Effect.promise(away)
        const beganMs = performance.now()
        expect(yield* cache.get(key)).toBeUndefined()
        yield* cache.put(key, new Uint8Array([9]))
        yield* take
        expect(performance.now() - beganMs).toBeLessThan(1_000)
        yield* Effect.promise(back)
        yield* untilKept
      }
    }).pipe(Effect.provide(Layer.mergeAll(resultCacheRedis(shared), rateLimiterRedis(shared)))))
  }, 30_000)

  it("still limits within the process while it is away", async () => {
    const shared = settings()
    const taken = await Effect.runPromise(Effect.gen(function* () {
      const limiter = yield* RateLimiter
      yield* Effect.promise(() => server.kill())
      const answers = yield* Effect.all(Array.from({ length: 5 }, () => limiter.take(limit, "a", 1)))
      yield* Effect.promise(() => server.up())
      return answers.filter(({ retryAfterSeconds }) => retryAfterSeconds === undefined).length
    }).pipe(Effect.provide(rateLimiterRedis(shared))))
    expect(taken).toBe(2)
  }, 30_000)

  it("tells of nobody while it is away, nor what it does not understand, and of everybody once it is back", async () => {
    const shared = settings()
    const vitals = (process: string) => ({ process, isRebuilding: false, latencies: [] })
    await Effect.runPromise(Effect.gen(function* () {
      const board = yield* VitalsBoard
      yield* board.exchange(vitals("a"))
      yield* Effect.promise(() => server.kill())
      const beganMs = performance.now()
      expect(yield* board.exchange(vitals("b"))).toEqual([])
      expect(performance.now() - beganMs).toBeLessThan(1_000)
      yield* Effect.promise(() => server.up())
      const admin = new Redis(server.url)
      yield* Effect.promise(() => admin.hset(`${shared.namespace}:vitals`, "c", `${Date.now()} {"process":1}`))
      admin.disconnect()
      yield* board.exchange(vitals("a"))
      while ((yield* board.exchange(vitals("b"))).length === 0) yield* Effect.andThen(board.exchange(vitals("a")), Effect.sleep(20))
      expect(yield* board.exchange(vitals("b"))).toEqual([vitals("a")])
    }).pipe(Effect.provide(vitalsBoardRedis(shared))))
  }, 30_000)

  it("that is emptied is a miss and a full bucket", async () => {
    const shared = settings()
    await Effect.runPromise(Effect.gen(function* () {
      const cache = yield* ResultCache
      const limiter = yield* RateLimiter
      yield* cache.put(key, new Uint8Array([1]))
      yield* limiter.take(limit, "a", 2)
      expect((yield* limiter.take(limit, "a", 1)).retryAfterSeconds).toBeGreaterThan(0)
      const admin = new Redis(server.url)
      yield* Effect.promise(() => admin.flushall())
      admin.disconnect()
      expect(yield* cache.get(key)).toBeUndefined()
      expect((yield* limiter.take(limit, "a", 2)).retryAfterSeconds).toBeUndefined()
    }).pipe(Effect.provide(Layer.mergeAll(resultCacheRedis(shared), rateLimiterRedis(shared)))))
  })

  it("gives out no more than there is to processes that take tokens ahead, and to the last one", async () => {
    const shared = settings()
    const many = { name: "ahead", capacity: 1_000, perSecond: 0.001 }
    const takeAll = Effect.gen(function* () {
      const limiter = yield* RateLimiter
      let had = 0
      while ((yield* limiter.take(many, "a", 1)).retryAfterSeconds === undefined) had += 1
      return had
    })
    const process = takeAll.pipe(Effect.provide(Layer.fresh(rateLimiterRedis(shared))))
    const [first, second] = await Effect.runPromise(Effect.all([process, process], { concurrency: 2 }))
    expect(first + second).toBeGreaterThan(700)
    expect(first + second).toBeLessThanOrEqual(1_000)
    const admin = new Redis(server.url)
    const left = await admin.hget(`${shared.namespace}:rate:ahead:a`, "tokens")
    admin.disconnect()
    expect(Number(left)).toBeLessThan(1)
  })

  it("is asked by one call for all who want tokens of a busy bucket at once", async () => {
    const shared = settings()
    const busy = { name: "busy", capacity: 100_000, perSecond: 0.001 }
    const admin = new Redis(server.url)
    const calls = async (): Promise<number> => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info("commandstats"))?.[1] ?? 0)
    await Effect.runPromise(Effect.gen(function* () {
      const limiter = yield* RateLimiter
      const many = Effect.all(Array.from({ length: 500 }, () => limiter.take(busy, "a", 1)), { concurrency: "unbounded" })
      yield* many
      const before = yield* Effect.promise(calls)
      for (let round = 0; round < 10; round++) expect((yield* many).every(({ retryAfterSeconds }) => retryAfterSeconds === undefined)).toBe(true)
      expect((yield* Effect.promise(calls)) - before).toBeLessThan(2_500)
    }).pipe(Effect.provide(rateLimiterRedis(shared))))
    expect(Number(await admin.hget(`${shared.namespace}:rate:busy:a`, "tokens"))).toBeLessThanOrEqual(94_500)
    admin.disconnect()
  })

  it("shares its buckets between processes and forgets a bucket that is full again", async () => {
    const shared = settings()
    const take = (id: string, perSecond: number, count: number) => Effect.runPromise(Effect.flatMap(RateLimiter, (limiter) => limiter.take({ ...limit, perSecond }, id, count)).pipe(Effect.provide(rateLimiterRedis(shared))))
    await take("a", 0.001, 2)
    expect((await take("a", 0.001, 1)).retryAfterSeconds).toBeGreaterThan(0)
    await take("b", 1_000, 2)
    const admin = new Redis(server.url)
    const lastsMs = await admin.pttl(`${shared.namespace}:rate:l:b`)
    admin.disconnect()
    expect(lastsMs).toBeGreaterThan(0)
    expect(lastsMs).toBeLessThan(2_000)
  })
})
