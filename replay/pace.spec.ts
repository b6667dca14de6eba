import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { allow, allowed, makePaceMemory, paceOf, timeSpent } from "./pace.ts"

/** Two threads' paces on one memory that read 20 times 50 records each; answers ms. */
const readTogether = (memory: SharedArrayBuffer) => Effect.gen(function* () {
  const startMs = performance.now()
  const read = Effect.forEach(Array.from({ length: 20 }), () => paceOf(memory).wait(50), { discard: true })
  yield* Effect.all([read, read], { concurrency: "unbounded" })
  return performance.now() - startMs
})

describe("the time of a build", () => {
  const busy = (ms: number) => Effect.sync(() => {
    const untilMs = performance.now() + ms
    while (performance.now() < untilMs) continue
  })
  const millis = (memory: SharedArrayBuffer) => Object.fromEntries(Object.entries(timeSpent(memory)).map(([name, nanos]) => [name, Number(nanos) / 1e6]))

  it("is told by what it was spent on, waiting at a cap included", async () => {
    const memory = makePaceMemory()
    const pace = paceOf(memory)
    expect(timeSpent(memory)).toEqual({ read: 0n, fold: 0n, write: 0n, throttle: 0n })
    expect(await Effect.runPromise(pace.timed("fold", Effect.as(busy(30), "folded")))).toBe("folded")
    await Effect.runPromise(pace.timed("write", busy(10)))
    allow(memory, 1_000)
    await Effect.runPromise(pace.wait(40))
    const { read, fold, write, throttle } = millis(memory)
    expect(read).toBe(0)
    expect(fold).toBeGreaterThanOrEqual(29)
    expect(write).toBeGreaterThanOrEqual(9)
    expect(throttle).toBeGreaterThanOrEqual(38)
  })

  it("of a lane is not that which the others of its thread took meanwhile, and all together are no more than what passed", async () => {
    const memory = makePaceMemory()
    const pace = paceOf(memory)
    const startMs = performance.now()
    const reading = pace.timed("read", Effect.sleep(20))
    const folding = pace.timed("fold", busy(40))
    await Effect.runPromise(Effect.all([reading, folding, reading], { concurrency: "unbounded" }))
    const passedMs = performance.now() - startMs
    const { read = NaN, fold = NaN } = millis(memory)
    expect(fold).toBeGreaterThanOrEqual(39)
    expect(read + fold).toBeLessThanOrEqual(passedMs)
  })
})

describe("the pace of a build", () => {
  it("is one for all threads that share it", async () => {
    const memory = makePaceMemory()
    allow(memory, 10_000)
    expect(allowed(memory)).toBe(10_000)
    expect(await Effect.runPromise(readTogether(memory))).toBeGreaterThanOrEqual(195)
  })

  it("slows nobody unless it is set, and nobody any more once it is taken back, those who wait included", async () => {
    const memory = makePaceMemory()
    expect(paceOf(memory).isSlowed()).toBe(false)
    expect(await Effect.runPromise(Effect.timeout(readTogether(memory), 5_000))).toBeLessThan(5_000)
    allow(memory, 1)
    expect(paceOf(memory).isSlowed()).toBe(true)
    const waiting = Effect.runPromise(Effect.timeout(paceOf(memory).wait(1_000_000), 20_000))
    allow(memory, undefined)
    await waiting
    expect(allowed(memory)).toBeUndefined()
  })

  it("may be set anew while somebody waits: what was waited for at the old rate is forgotten", async () => {
    const memory = makePaceMemory()
    allow(memory, 1)
    const waiting = Effect.runPromise(Effect.timeout(paceOf(memory).wait(1_000_000), 20_000))
    allow(memory, 1_000_000)
    await waiting
    await Effect.runPromise(Effect.timeout(paceOf(memory).wait(1), 20_000))
  })
})
