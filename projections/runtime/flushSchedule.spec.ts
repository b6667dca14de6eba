import { describe, expect, it } from "vitest"
import { FlushSchedule } from "./flushSchedule.ts"

const MIB = 1 << 20

/** Times of the first `count` flushes of a lane that folds `bytes` every 10 ms and is always behind. */
const flushTimes = (schedule: FlushSchedule, count: number, bytes: number): number[] => {
  const times: number[] = []
  for (let nowMs = 10; times.length < count; nowMs += 10) {
    schedule.folded(bytes)
    if (!schedule.isDue(nowMs, false, 1)) continue
    schedule.flushed(nowMs, false, 0)
    times.push(nowMs)
  }
  return times
}

describe("the flush schedule", () => {
  it("flushes a drained lane 50 ms after the last flush", () => {
    const schedule = new FlushSchedule(1_000, 0)
    schedule.folded(1)
    expect([schedule.isDue(1_049, true, 1), schedule.isDue(1_050, true, 1)]).toEqual([false, true])
    schedule.flushed(1_060, true, 10)
    expect([schedule.isDue(1_109, true, 1), schedule.isDue(1_110, true, 1)]).toEqual([false, true])
  })

  it("lets a lane that keeps up rest three times as long as its flush took, up to 250 ms", () => {
    const schedule = new FlushSchedule(1_000, 0)
    schedule.flushed(2_000, true, 40)
    expect([schedule.restMs(2_000), schedule.restMs(2_119), schedule.restMs(2_500)]).toEqual([120, 1, 0])
    expect([schedule.isDue(2_119, true, 1), schedule.isDue(2_120, true, 1)]).toEqual([false, true])
    schedule.flushed(3_000, true, 1_000)
    expect(schedule.restMs(3_000)).toBe(250)
    schedule.flushed(4_000, true, 2)
    expect(schedule.restMs(4_000)).toBe(50)
  })

  it("waits twice as long with each flush of a lane that falls behind, up to 4 s, until it has drained", () => {
    const schedule = new FlushSchedule(0, 50_000)
    expect(flushTimes(schedule, 6, 1)).toEqual([500, 1_500, 3_500, 7_500, 11_500, 15_500])
    expect(schedule.isDue(15_510, true, 1)).toBe(false)
    expect([schedule.isDue(15_999, false, 1), schedule.isDue(16_000, false, 1)]).toEqual([false, true])
  })

  it("flushes a replay by work done: every 64 MiB, at any speed, and after 10 s at the latest", () => {
    expect(flushTimes(new FlushSchedule(0, 50_001), 3, MIB)).toEqual([640, 1_280, 1_920])
    expect(flushTimes(new FlushSchedule(0, 50_001), 3, MIB / 4)).toEqual([2_560, 5_120, 7_680])
    expect(flushTimes(new FlushSchedule(0, 50_001), 3, 1)).toEqual([10_000, 20_000, 30_000])
  })

  it("ends a replay once it has drained: the next backlog flushes after 500 ms", () => {
    const schedule = new FlushSchedule(0, 1_000_000)
    expect(schedule.isDue(600, false, 1)).toBe(false)
    expect(schedule.isDue(600, true, 1)).toBe(true)
    schedule.flushed(600, true, 0)
    expect([schedule.isDue(1_099, false, 1), schedule.isDue(1_100, false, 1)]).toEqual([false, true])
  })

  it("never holds more than 64 MiB of log or 50,000 base rows uncommitted", () => {
    const schedule = new FlushSchedule(0, 1_000_000)
    expect([schedule.isDue(1, false, 49_999), schedule.isDue(1, false, 50_000)]).toEqual([false, true])
    schedule.folded(64 * MIB - 1)
    expect(schedule.isDue(1, false, 1)).toBe(false)
    schedule.folded(1)
    expect(schedule.isDue(1, false, 1)).toBe(true)
    schedule.flushed(2, false, 1)
    expect(schedule.isDue(3, false, 1)).toBe(false)
  })
})
