import { EventStoreUnavailableError } from "@tidemark/domain/ports/EventStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { LEASE_MS, keepClaim } from "./rebuildClaim.ts"
import type { Claimed } from "./rebuildClaim.ts"

const away = Effect.fail(new EventStoreUnavailableError({ cause: "away" }))

/** Keeps a claim for `ms`, second by second; answers how and in which second it was lost, and how often it was asked for. */
const keptFor = (ms: number, answer: (second: number) => Effect.Effect<Claimed, EventStoreUnavailableError>, first: "anew" | "before" = "anew") => {
  let [second, asked] = [0, 0]
  const claim = Effect.suspend(() => {
    asked += 1
    return answer(second)
  })
  return Effect.runPromise(Effect.gen(function* () {
    const keeping = yield* Effect.forkChild(keepClaim(first, claim))
    while (second * 1_000 < ms && keeping.pollUnsafe() === undefined) {
      yield* TestClock.adjust(1_000)
      second += 1
    }
    const lost = keeping.pollUnsafe() === undefined ? undefined : { cause: yield* Fiber.join(keeping), second }
    yield* Fiber.interrupt(keeping)
    return { lost, asked }
  }).pipe(Effect.provide(TestClock.layer())))
}

describe("the claim on a rebuild", () => {
  it("is kept by asking for it in time", async () => {
    const { lost, asked } = await keptFor(300_000, (second) => Effect.succeed(second % 2 === 0 ? "anew" : "before"))
    expect(lost).toBeUndefined()
    expect(asked).toBeGreaterThanOrEqual(300_000 / LEASE_MS)
  })

  it("outlives an event store that is away for less than its time, and is asked for again every second", async () => {
    const { lost, asked } = await keptFor(300_000, (second) => (second % 40 >= 6 && second % 40 < 26 ? away : Effect.succeed("anew")))
    expect(lost).toBeUndefined()
    expect(asked).toBeGreaterThan(100)
  })

  it("is lost once its time is over, not before, when the event store fails or says nothing", async () => {
    for (const silence of [away, Effect.never]) {
      const { lost } = await keptFor(300_000, (second) => (second < 60 ? Effect.succeed("anew") : silence))
      expect(lost?.cause).toContain("ran out")
      expect(lost?.second).toBeGreaterThan(60 + 20)
      expect(lost?.second).toBeLessThanOrEqual(60 + LEASE_MS / 1_000)
    }
  })

  it("is lost at once to another executor", async () => {
    const { lost } = await keptFor(300_000, (second) => Effect.succeed(second < 60 ? "anew" : "refused"))
    expect(lost).toMatchObject({ cause: "another executor has taken it" })
    expect(lost?.second).toBeLessThan(60 + LEASE_MS / 1_000)
  })

  it("counts on half of its time only where it was left as it was", async () => {
    const { lost } = await keptFor(300_000, (second) => (second < 60 ? Effect.succeed("before") : away))
    expect(lost?.second).toBeLessThanOrEqual(60 + LEASE_MS / 2_000)
    expect((await keptFor(300_000, () => away, "before")).lost?.second).toBeLessThanOrEqual(LEASE_MS / 2_000)
  })
})
