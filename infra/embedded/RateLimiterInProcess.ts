/** Token buckets of this process alone. */
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import type { RateLimiterShape } from "@tidemark/domain/ports/RateLimiter"
import { makeLocalLimiter } from "@tidemark/domain/ports/tokenBuckets"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const makeLimiter: Effect.Effect<RateLimiterShape> = Effect.sync(() => {
  const takeAt = makeLocalLimiter()
  return { take: (limit, id, count) => Effect.map(Clock.currentTimeMillis, (nowMs) => takeAt(limit, id, count, nowMs)) }
})

/** Limits by what happens in this process. */
export const rateLimiterInProcess: Layer.Layer<RateLimiter> = Layer.effect(RateLimiter, makeLimiter)
