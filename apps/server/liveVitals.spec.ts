import { memoryVitalsBoard } from "@tidemark/projections/simulation/memoryVitalsBoard"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { appendOrders, folded, makeMemory, orders, whileServed } from "@tidemark/replay/rebuildSpec"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import type { Telemetry } from "./context.ts"
import { watchVitals } from "./liveVitals.ts"
import { makeThrottle } from "./throttle.ts"

/** Telemetry that keeps what it is told. */
const telemetryOf = (told: unknown[]): Telemetry => ({
  queried: (operation: string, seconds: number) => void told.push([operation, seconds]),
  ingested: (counts: unknown, ackSeconds: number) => void told.push([counts, ackSeconds])
}) as unknown as Telemetry

describe("what a rebuild must not make suffer", () => {
  it("is what the telemetry is told, rebuilds' own questions left out, and the lag of what is served; nothing is kept from the telemetry", async () => {
    const told: unknown[] = []
    const vitals = watchVitals(telemetryOf(told), "a")
    for (let ms = 1; ms <= 20; ms++) {
      vitals.telemetry.queried("series", ms / 1_000)
      vitals.telemetry.ingested([], ms / 500)
    }
    vitals.disturb(true)
    for (let ms = 1; ms <= 20; ms++) {
      vitals.telemetry.queried("series", ms / 100)
      vitals.telemetry.queried("differences", 9)
      vitals.telemetry.queried("rebuild", 9)
    }
    expect(told).toHaveLength(2 * 20 + 3 * 20)
    await makeMemory().run(Effect.gen(function* () {
      yield* appendOrders(0, 100)
      yield* ensureGenerations([orders()])
      yield* whileServed(folded(1))
      const seen = yield* vitals.read
      expect(seen.liveLagMs).toBe(0)
      expect(seen.latencies.map(({ name, recentMs, usualMs }) => [name, recentMs === undefined ? undefined : Math.round(recentMs), Math.round(usualMs ?? NaN)])).toEqual([["queries", 190, 19], ["ingest", undefined, 38]])
      yield* appendOrders(100, 10)
      yield* vitals.read
      yield* Effect.sleep(20)
      expect((yield* vitals.read).liveLagMs).toBeGreaterThanOrEqual(15)
    }))
  })

  it("is what another process' callers wait for as well: it is told, and a rebuild gives way to it", async () => {
    const [replay, api] = [watchVitals(telemetryOf([]), "replay"), watchVitals(telemetryOf([]), "api")]
    const answers = (ms: number) => { for (let answer = 0; answer < 20; answer++) api.telemetry.queried("series", ms / 1_000) }
    const exchanges = Effect.gen(function* () {
      for (const { exchange } of [replay, api, replay]) yield* exchange
    }).pipe(Effect.provide(memoryVitalsBoard(new Map())))
    const throttle = makeThrottle()
    const look = Effect.map(replay.read, (vitals) => throttle({ capPerSecond: null, ratePerSecond: 100_000, vitals, nowMs: 0 }))
    answers(20)
    await makeMemory().run(Effect.gen(function* () {
      replay.disturb(true)
      yield* exchanges
      answers(80)
      expect(yield* look).toEqual({ allowedPerSecond: undefined, reason: undefined })
      yield* exchanges
      expect(yield* look).toEqual({ allowedPerSecond: 60_000, reason: "gives way: queries p95 80 ms in another process, 20 ms without a rebuild" })
      replay.disturb(false)
      yield* exchanges
      // What was slow beside the rebuild is nothing usual.
      expect((yield* replay.read).latencies.find(({ process, name }) => process === "api" && name === "queries")).toMatchObject({ usualMs: 20 })
    }))
  })
})
