import { describe, expect, it } from "vitest"
import { TokenLeases } from "./tokenLeases.ts"

/** A bucket that all processes share, without inflow: it gives ahead by the rule of the script. */
const makeBucket = (capacity: number) => {
  let tokens = capacity
  let calls = 0
  const process = () => {
    const leases = new TokenLeases()
    /** Whether a token was had. */
    return (nowMs: number): boolean => {
      leases.want("b", 1, nowMs)
      if (leases.spend("b", 1, nowMs) !== undefined) return true
      calls += 1
      if (tokens < 1) return false
      tokens -= 1
      const wanted = leases.ahead("b", capacity, nowMs)
      const ahead = tokens - wanted < capacity / 2 ? 0 : wanted
      tokens -= ahead
      leases.hold("b", wanted, ahead, tokens, nowMs)
      return true
    }
  }
  return { process, calls: () => calls, left: () => tokens }
}

describe("tokens taken ahead", () => {
  it("spare most calls of a process that spends many", () => {
    const bucket = makeBucket(100_000)
    const take = bucket.process()
    let had = 0
    for (let nowMs = 0; nowMs < 10_000; nowMs++) if (take(nowMs)) had += 1
    expect(had).toBe(10_000)
    expect(bucket.calls()).toBeLessThan(300)
  })

  it("are never more than the bucket had, whoever takes", () => {
    const bucket = makeBucket(1_000)
    const processes = Array.from({ length: 5 }, bucket.process)
    let had = 0
    for (let nowMs = 0; nowMs < 2_000; nowMs++) for (const take of processes) if (take(nowMs)) had += 1
    expect(had).toBeLessThanOrEqual(1_000)
    // What was taken ahead and not spent is lost above half of the bucket only.
    expect(had).toBeGreaterThan(700)
    expect(bucket.left()).toBe(0)
  })

  it("are asked for one by one in the lower half of the bucket, to the last", () => {
    const bucket = makeBucket(1_000)
    const take = bucket.process()
    let had = 0
    for (let nowMs = 0; bucket.left() > 500; nowMs++) if (take(nowMs)) had += 1
    const before = bucket.calls()
    let lower = 0
    for (let nowMs = 10_000; lower < 500; nowMs++) if (take(nowMs)) lower += 1
    expect(bucket.calls() - before).toBe(500)
    expect(take(20_000)).toBe(false)
    expect(had + lower).toBeLessThanOrEqual(1_000)
  })

  it("are not taken by one who spends little, nor of a bucket of few, and are not kept for long", () => {
    const leases = new TokenLeases()
    for (let nowMs = 0; nowMs < 5_000; nowMs += 25) {
      leases.want("b", 1, nowMs)
      expect(leases.spend("b", 1, nowMs)).toBeUndefined()
      expect(leases.ahead("b", 1_000, nowMs)).toBe(0)
    }
    for (let n = 0; n < 100; n++) leases.want("few", 1, 6_000)
    expect(leases.ahead("few", 199, 6_000)).toBe(0)
    for (let n = 0; n < 100; n++) leases.want("b", 1, 6_000)
    expect(leases.ahead("b", 1_000, 6_000)).toBe(50)
    leases.hold("b", 50, 50, 800, 6_000)
    expect(leases.spend("b", 1, 6_099)).toBe(849)
    expect(leases.spend("b", 1, 6_100)).toBeUndefined()
  })

  it("are wanted by one call at a time, and again after one that failed", () => {
    const leases = new TokenLeases()
    for (let n = 0; n < 20; n++) leases.want("b", 1, 0)
    expect([leases.ahead("b", 1_000, 0), leases.ahead("b", 1_000, 0)]).toEqual([20, 0])
    leases.hold("b", 0, 0, 900, 0)
    expect(leases.ahead("b", 1_000, 0)).toBe(0)
    leases.hold("b", 20, 0, 0, 0)
    expect(leases.ahead("b", 1_000, 0)).toBe(20)
  })
})
