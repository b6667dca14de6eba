/**
 * Limits on how often something may happen, as token buckets: `perSecond` tokens flow in, at most `capacity` are held.
 * A limiter protects the platform and holds no truth: where it cannot ask the others it limits by what it knows itself.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

export interface RateLimit {
  /** Keeps the buckets of different limits apart: lower-case letters and hyphens. */
  readonly name: string
  readonly capacity: number
  readonly perSecond: number
}

export interface RateState {
  readonly limit: number
  readonly remaining: number
  /** Seconds until the bucket is full again, at least 1. */
  readonly resetSeconds: number
  /** Seconds until as much as was asked for is there, at least 1; absent when it was taken. */
  readonly retryAfterSeconds: number | undefined
}

export interface RateLimiterShape {
  /** Takes `count` tokens of the bucket `id` if they are there. A count above the capacity takes a full bucket. Never fails, never waits long. */
  readonly take: (limit: RateLimit, id: string, count: number) => Effect.Effect<RateState>
}

export class RateLimiter extends Context.Service<RateLimiter, RateLimiterShape>()("tidemark/RateLimiter") {}
