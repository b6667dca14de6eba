import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { allow, allowed, makePaceMemory, paceOf } from "./pace.ts"

/** Two threads' paces on one memory that read 20 times 50 records each; answers ms. */
const readTogether = (memory: SharedArrayBuffer) => Effect.gen(function* () {
  const startMs = performance.now()
  const read = Effect.forEach(Array.from({ length: 20 }), () => paceOf(memory).wait(50), { discard: true })
  yield* Effect.all([read, read], { concurrency: "unbounded" })
  return performance.now() - startMs
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
