import { makeFakeLog } from "@tidemark/commands/accept-events/fakes"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { clockSkewMs, watchLogClock } from "./logClock.ts"

const NOW_MS = 1_700_000_000_000

describe("the clocks of ingest and of the log", () => {
  it("differ by what an append proves, and by nothing while the log's time lies within it", () => {
    expect([1_000, 1_200, 1_400].map((appendedAtMs) => clockSkewMs(1_000, appendedAtMs, 1_400))).toEqual([0, 0, 0])
    expect(clockSkewMs(1_000, 1_401, 1_400)).toBe(-1)
    expect(clockSkewMs(1_000, 999, 1_400)).toBe(1)
  })

  const after = async (logClockMs: number | undefined, appendTakesMs = 0) => {
    const fake = makeFakeLog(1)
    fake.control.nowMs = logClockMs
    fake.control.gate = TestClock.adjust(appendTakesMs)
    const skews: number[] = []
    const { log, part } = watchLogClock(fake.shape, (skewMs) => void skews.push(skewMs))
    expect(part()).toEqual({ name: "clock", ready: true, detail: "not compared with the log's yet" })
    await Effect.runPromise(TestClock.setTime(NOW_MS).pipe(Effect.andThen(log.append([{ partition: 0, key: "k", value: new Uint8Array(1) }])), Effect.provide(TestClock.layer())))
    expect(fake.stored[0]).toHaveLength(1)
    return { skews, part: part() }
  }

  it("make ingest unready once they are more than 2 s apart, in words that say which way", async () => {
    expect(await after(NOW_MS - 2_000)).toEqual({ skews: [2_000], part: { name: "clock", ready: true, detail: "within 2 s of the log's" } })
    expect(await after(NOW_MS - 2_001)).toMatchObject({ skews: [2_001], part: { ready: false, detail: expect.stringContaining("2.0 s ahead of the log's") as string } })
    expect(await after(NOW_MS + 7_300)).toMatchObject({ skews: [-7_300], part: { ready: false, detail: expect.stringContaining("7.3 s behind the log's") as string } })
  })

  it("are not called apart by an append that takes long, nor by a log that does not say its time", async () => {
    expect(await after(NOW_MS + 9_000, 10_000)).toMatchObject({ skews: [0], part: { ready: true } })
    expect(await after(undefined)).toMatchObject({ skews: [], part: { ready: true } })
  })
})
