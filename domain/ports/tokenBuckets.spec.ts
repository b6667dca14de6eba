import { describe, expect, it } from "vitest"
import { TokenBuckets } from "./tokenBuckets.ts"

describe("TokenBuckets", () => {
  it("gives a full bucket at once, then as much as flows in", () => {
    const limiter = new TokenBuckets(10, 2)
    expect(limiter.take("a", 10, 0)).toMatchObject({ remaining: 0, retryAfterSeconds: undefined })
    expect(limiter.take("a", 3, 1_000)).toMatchObject({ remaining: 2, retryAfterSeconds: 1 })
    expect(limiter.take("a", 3, 1_499)).toMatchObject({ retryAfterSeconds: 1 })
    expect(limiter.take("a", 3, 1_500)).toMatchObject({ remaining: 0, retryAfterSeconds: undefined })
    expect(limiter.take("a", 10, 1_500)).toMatchObject({ retryAfterSeconds: 5 })
    expect(limiter.take("b", 1, 1_500).retryAfterSeconds).toBeUndefined()
  })

  it("lets what is larger than the bucket pass when the bucket is full", () => {
    const limiter = new TokenBuckets(10, 10)
    expect(limiter.take("a", 25, 0).retryAfterSeconds).toBeUndefined()
    expect(limiter.take("a", 1, 0).retryAfterSeconds).toBe(1)
  })

  it("gains nothing when the clock goes back", () => {
    const limiter = new TokenBuckets(1, 1)
    limiter.take("a", 1, 10_000)
    expect(limiter.take("a", 1, 0).retryAfterSeconds).toBe(1)
    expect(limiter.take("a", 1, 10_500).retryAfterSeconds).toBe(1)
    expect(limiter.take("a", 1, 11_000).retryAfterSeconds).toBeUndefined()
  })

  it("keeps no more than its buckets, whoever knocks", () => {
    const limiter = new TokenBuckets(1, 0.001)
    for (let i = 0; i < 10_000; i++) limiter.take(String(i), 1, i)
    expect(limiter.take("9999", 1, 10_000).retryAfterSeconds).toBeGreaterThan(0)
    limiter.take("new", 1, 10_000)
    expect(limiter.take("9999", 1, 10_000).retryAfterSeconds).toBeGreaterThan(0)
    expect(limiter.take("0", 1, 10_000).retryAfterSeconds).toBeUndefined()
  })
})
