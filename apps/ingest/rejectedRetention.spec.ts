import { makeFakeRejectedLog } from "@tidemark/commands/accept-events/fakes"
import { RejectedLog, RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { rejectedRetention } from "./rejectedRetention.ts"

const NOW = 1_700_000_000_000
const HOUR_MS = 3_600_000

describe("rejected events that were kept long enough", () => {
  it("are dropped at the start and then every hour, also after an hour in which that failed", async () => {
    const told: number[] = []
    const prune = (nowMs: number) => Effect.suspend(() => {
      told.push((nowMs - NOW) / HOUR_MS)
      return told.length === 2 ? Effect.fail(new RejectedLogError({ cause: new Error("away") })) : Effect.succeed(1)
    })
    await Effect.runPromise(Effect.gen(function* () {
      yield* TestClock.setTime(NOW)
      const fiber = yield* Effect.forkChild(rejectedRetention)
      for (let minutes = 0; minutes < 190; minutes++) yield* TestClock.adjust(60_000)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provideService(RejectedLog, { ...makeFakeRejectedLog().shape, prune }), Effect.provide(TestClock.layer())))
    expect(told).toEqual([0, 1, 2, 3])
  })
})
