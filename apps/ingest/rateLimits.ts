/** Token buckets per key or address, in this process. Rules: docs/security.md §4. */

interface Bucket {
  tokens: number
  atMs: number
}

export interface RateState {
  readonly limit: number
  readonly remaining: number
  /** Seconds until the bucket is full again, at least 1. */
  readonly resetSeconds: number
  /** Seconds until as much as was asked for is there, at least 1; absent when it was taken. */
  readonly retryAfterSeconds: number | undefined
}

/** Buckets that are kept; beyond it the full ones go, and then the oldest. */
const BUCKETS_MAX = 10_000

/** `perSecond` tokens a second, at most `capacity` at once. */
export class RateLimiter {
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

/** `RateLimit-*` as clients know them. */
export const rateHeaders = ({ limit, remaining, resetSeconds }: RateState): Readonly<Record<string, string>> => ({
  "ratelimit-limit": String(limit),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(resetSeconds)
})
