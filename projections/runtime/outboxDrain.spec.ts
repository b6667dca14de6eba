import { AFTER_KEY, modelTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape } from "@tidemark/domain/ports/PubSub"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import { BUS_CONSUMER, makeOutboxDrain } from "./outboxDrain.ts"

const lane = { projection: "clicks", generation: 1, lane: 0 }

const setUp = () => {
  const disk = createMemoryModelDisk()
  disk.state.outboxCursors.set(BUS_CONSUMER, 0n)
  const versions: string[] = []
  /** Key and version of the first notification of every publication, by topic. */
  const firsts: string[] = []
  const bus: PubSubShape = { publish: (topic, notifications) => Effect.sync(() => {
    versions.push(...notifications.flatMap(({ key, version }) => (key === AFTER_KEY ? [] : [version])))
    firsts.push(`${topic} ${notifications[0]?.key} ${notifications[0]?.version}`)
  }), subscribe: () => Effect.die("nobody subscribes here") }
  const drain = makeOutboxDrain()
  /** Commits one changed window. */
  const commit = (tenantId = "t") => {
    const sequence = ++disk.state.sequence
    disk.state.outbox.set(sequence, { sequence, lane, hints: [{ tenantId, resolution: 0, windowStartMs: 0, keyId: "k", revision: 1n }] })
    drain.wake()
  }
  const run = <A>(effect: Effect.Effect<A>) =>
    Effect.runPromise(Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(drain.run)
      const result = yield* effect
      yield* Fiber.interrupt(fiber)
      return result
    }).pipe(Effect.provideService(PubSub, bus), Effect.provide(memoryReadModelStore(disk)), Effect.provide(TestClock.layer())))
  return { disk, versions, firsts, commit, run }
}

describe("the outbox drain", () => {
  it("publishes every commit at once, and acknowledges at most once a second and never less than what was published", async () => {
    const { disk, versions, commit, run } = setUp()
    const cursors = new Set<bigint>()
    await run(Effect.gen(function* () {
      for (let i = 1; i <= 40; i++) {
        commit()
        yield* TestClock.adjust(50)
        expect(versions).toHaveLength(i)
        cursors.add(disk.state.outboxCursors.get(BUS_CONSUMER) ?? -1n)
      }
      yield* TestClock.adjust(1_000)
    }))
    expect([...cursors]).toEqual([1n, 20n, 40n])
    expect(disk.state.outbox.size).toBe(0)
  })

  it("names in front of the hints of a topic those it published there before, of other topics none", async () => {
    const { firsts, commit, run } = setUp()
    const [ours, theirs] = [modelTopic("t", "clicks"), modelTopic("u", "clicks")]
    await run(Effect.gen(function* () {
      for (const tenantId of ["t", "u", "t", "t", "u"]) {
        commit(tenantId)
        yield* TestClock.adjust(50)
      }
    }))
    expect(firsts).toEqual([`${ours} 0:0:k 1`, `${theirs} 0:0:k 2`, `${ours} after 1`, `${ours} after 3`, `${theirs} after 2`])
  })

  it("publishes again, in a later run, what it had not acknowledged", async () => {
    const { versions, commit, run } = setUp()
    const two = Effect.gen(function* () {
      for (let i = 0; i < 2; i++) {
        commit()
        yield* TestClock.adjust(50)
      }
    })
    await run(two)
    const first = versions.splice(0)
    await run(TestClock.adjust(50))
    expect([first.length, versions]).toEqual([2, first.slice(1)])
  })
})
