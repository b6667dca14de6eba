/** Token buckets per key or address, in memory. Pure: the caller brings the time. Rules: docs/security.md §4. */

import type { RateLimit, RateState } from "./RateLimiter.ts"

interface Bucket {
  tokens: number
  atMs: number
}

/** Buckets that are kept; beyond it the full ones go, and then the oldest. */
const BUCKETS_MAX = 10_000

/** `perSecond` tokens a second, at most `capacity` at once. */
export class TokenBuckets {
  private readonly capacity: number
  private readonly perSecond: number
  private readonly buckets = new Map<string, Bucket>()

  constructor(capacity: number, perSecond: number) {
    this.capacity = capacity
    this.perSecond = perSecond
  }

  private tokensAt(bucket: Bucket, nowMs: number): number {
    return Math.min(this.capacity, bucket.tokens + (Math.max(0, nowMs - bucket.atMs) / 1_000) * this.perSecond)
  }

  private makeRoom(nowMs: number): void {
    for (const [id, bucket] of this.buckets) if (this.tokensAt(bucket, nowMs) >= this.capacity) this.buckets.delete(id)
    for (const id of this.buckets.keys()) {
      if (this.buckets.size < BUCKETS_MAX) return
      this.buckets.delete(id)
    }
  }

  /** Takes `count` tokens if they are there. A count above the capacity takes a full bucket. */
  take(id: string, count: number, nowMs: number): RateState {
    const known = this.buckets.get(id)
    if (known === undefined && this.buckets.size >= BUCKETS_MAX) this.makeRoom(nowMs)
    const bucket = known ?? { tokens: this.capacity, atMs: nowMs }
    const wanted = Math.min(count, this.capacity)
    const available = this.tokensAt(bucket, nowMs)
    const taken = available >= wanted
    bucket.tokens = taken ? available - wanted : available
    bucket.atMs = Math.max(nowMs, bucket.atMs)
    this.buckets.set(id, bucket)
    const seconds = (tokens: number) => Math.max(1, Math.ceil(tokens / this.perSecond))
    return {
      limit: this.capacity,
      remaining: Math.floor(bucket.tokens),
      resetSeconds: seconds(this.capacity - bucket.tokens),
      retryAfterSeconds: taken ? undefined : seconds(wanted - available)
    }
  }
}

/** Buckets of any number of limits, by name. Limits of one name are the same limit. */
export const makeLocalLimiter = (): ((limit: RateLimit, id: string, count: number, nowMs: number) => RateState) => {
  const limits = new Map<string, TokenBuckets>()
  return ({ name, capacity, perSecond }, id, count, nowMs) => {
    const known = limits.get(name) ?? new TokenBuckets(capacity, perSecond)
    limits.set(name, known)
    return known.take(id, count, nowMs)
  }
}
