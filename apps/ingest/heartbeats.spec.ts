import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { makeFakeLog } from "@tidemark/commands/accept-events/fakes"
import { decodeRecord, encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { heartbeats } from "./heartbeats.ts"

const NOW = 1_700_000_000_000

const makeEvent = (receivedAtMs: number) =>
  encodeEvent({ id: "1", type: "a", tenantId: "t", source: "s", timeMs: receivedAtMs, receivedAtMs, partitionKey: "t:1", schemaVersion: 0, userId: undefined, anonymousId: undefined, sessionId: undefined, backfill: undefined }, undefined)

/** Seconds after NOW of the heartbeats of each partition. */
const beats = (log: ReturnType<typeof makeFakeLog>) =>
  log.stored.map((records) => records.flatMap((bytes) => {
    const decoded = decodeRecord(bytes)
    return decoded.kind === "system" && decoded.record.system === "heartbeat" ? [(decoded.record.timeMs - NOW) / 1_000] : []
  }))

const within = (log: ReturnType<typeof makeFakeLog>, use: Effect.Effect<void>) =>
  Effect.runPromise(Effect.gen(function* () {
    yield* TestClock.setTime(NOW)
    const fiber = yield* Effect.forkChild(heartbeats)
    yield* use
    yield* Fiber.interrupt(fiber)
  }).pipe(Effect.provideService(EventLog, log.shape), Effect.provide(TestClock.layer())))

const elapse = (seconds: number) => Effect.forEach(Array.from({ length: seconds }), () => TestClock.adjust(1_000), { discard: true })
const every = (seconds: number, from: number, to: number) => Array.from({ length: Math.floor((to - from) / seconds) + 1 }, (_, i) => from + i * seconds)

describe("heartbeats", () => {
  it("come to every partition every 60 s while nothing happens", async () => {
    const log = makeFakeLog(3)
    await within(log, elapse(181))
    expect(beats(log)).toEqual([[0, 60, 120, 180], [0, 60, 120, 180], [0, 60, 120, 180]])
  })

  it("come every 5 s from an event of any partition until 2 minutes after the last one, whoever appended it", async () => {
    const log = makeFakeLog(2)
    await within(log, Effect.gen(function* () {
      yield* elapse(11)
      log.store({ partition: 1, key: "", value: makeEvent(NOW + 11_000) })
      yield* elapse(250)
    }))
    const expected = [0, ...every(5, 15, 130), 190, 250]
    expect(beats(log)).toEqual([expected, expected])
  })

  it("see at their start an event of the last 2 minutes and forget an older one", async () => {
    for (const [ageMs, expected] of [[110_000, [0, 5, 10]], [121_000, [0]]] as const) {
      const log = makeFakeLog(1)
      log.store({ partition: 0, key: "", value: makeEvent(NOW - ageMs) })
      await within(log, elapse(14))
      expect(beats(log)[0], String(ageMs)).toEqual(expected)
    }
  })

  it("go on once the log takes them again", async () => {
    const log = makeFakeLog(2)
    log.control.behaviours.push("reject", "reject")
    await within(log, elapse(71))
    expect(beats(log)).toEqual([[10, 70], [10, 70]])
  })
})
