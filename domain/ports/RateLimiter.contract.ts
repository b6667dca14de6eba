/** What every rate limiter must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { RateLimiter } from "./RateLimiter.ts"
import type { RateLimit, RateLimiterShape } from "./RateLimiter.ts"

export interface RateLimiterHarness {
  /** The same buckets each time it is opened. */
  readonly open: () => Layer.Layer<RateLimiter, unknown>
  readonly dispose: () => Promise<void>
}

/** So slow that nothing flows in while a specification runs. */
const slow = (name: string, capacity: number): RateLimit => ({ name, capacity, perSecond: 0.001 })

/** Declares the suite for one adapter. */
export const rateLimiterContract = (name: string, makeHarness: () => RateLimiterHarness): void => {
  const session = (use: (limiter: RateLimiterShape) => Effect.Effect<void>) => async () => {
    const harness = makeHarness()
    try {
      await Effect.runPromise(Effect.gen(function* () { yield* use(yield* RateLimiter) }).pipe(Effect.provide(harness.open())))
    } finally {
      await harness.dispose()
    }
  }

  describe(`RateLimiter on ${name}`, () => {
    it("gives a full bucket at once and then refuses, and says when to come again", session((limiter) => Effect.gen(function* () {
      expect(yield* limiter.take(slow("full", 10), "a", 4)).toMatchObject({ limit: 10, remaining: 6, retryAfterSeconds: undefined })
      expect(yield* limiter.take(slow("full", 10), "a", 6)).toMatchObject({ remaining: 0, retryAfterSeconds: undefined })
      const refused = yield* limiter.take(slow("full", 10), "a", 2)
      expect(refused.remaining).toBe(0)
      expect(refused.retryAfterSeconds).toBeGreaterThan(1_900)
      expect(refused.retryAfterSeconds).toBeLessThanOrEqual(2_000)
      expect(refused.resetSeconds).toBeGreaterThan(9_900)
    })))

    it("takes nothing when it refuses", session((limiter) => Effect.gen(function* () {
      yield* limiter.take(slow("refuse", 10), "a", 7)
      expect((yield* limiter.take(slow("refuse", 10), "a", 4)).retryAfterSeconds).toBeGreaterThan(0)
      expect((yield* limiter.take(slow("refuse", 10), "a", 3)).retryAfterSeconds).toBeUndefined()
    })))

    it("keeps ids and limits apart", session((limiter) => Effect.gen(function* () {
      yield* limiter.take(slow("apart", 1), "a", 1)
      expect((yield* limiter.take(slow("apart", 1), "b", 1)).retryAfterSeconds).toBeUndefined()
      expect((yield* limiter.take(slow("other", 1), "a", 1)).retryAfterSeconds).toBeUndefined()
      expect((yield* limiter.take(slow("apart", 1), "a", 1)).retryAfterSeconds).toBeGreaterThan(0)
    })))

    it("lets what is larger than the bucket pass when the bucket is full", session((limiter) => Effect.gen(function* () {
      expect((yield* limiter.take(slow("large", 10), "a", 25)).retryAfterSeconds).toBeUndefined()
      expect((yield* limiter.take(slow("large", 10), "a", 1)).retryAfterSeconds).toBeGreaterThan(0)
    })))

    it("lets tokens flow in with time", session((limiter) => Effect.gen(function* () {
      const limit: RateLimit = { name: "flow", capacity: 2, perSecond: 20 }
      const beganMs = performance.now()
      let taken = 0
      while (taken < 6) {
        if ((yield* limiter.take(limit, "a", 1)).retryAfterSeconds === undefined) taken += 1
        else yield* Effect.sleep(5)
      }
      const tookMs = performance.now() - beganMs
      expect(tookMs).toBeGreaterThan(180)
    })))

    it("gives out no more than there is, however many ask at once", session((limiter) => Effect.gen(function* () {
      const answers = yield* Effect.all(Array.from({ length: 100 }, () => limiter.take(slow("many", 30), "a", 1)), { concurrency: "unbounded" })
      expect(answers.filter(({ retryAfterSeconds }) => retryAfterSeconds === undefined)).toHaveLength(30)
    })))
  })
}
