import { AFTER_KEY, checkpointTopic, modelTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
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

/** Commits and what is published of them; `meanwhile` happens whenever the drain has found the outbox empty. */
const watched = (meanwhile: (commit: () => void) => void) => {
  const disk = createMemoryModelDisk()
  disk.state.outboxCursors.set(BUS_CONSUMER, 0n)
  disk.state.pointers.set(lane.projection, { projection: lane.projection, generation: 1, pointerVersion: 1 })
  const drain = makeOutboxDrain()
  const counters = { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
  /** Commits one record with one changed window. */
  const commit = () => {
    const sequence = ++disk.state.sequence
    disk.state.outbox.set(sequence, { sequence, lane, hints: [{ tenantId: "t", resolution: 0, windowStartMs: 0, keyId: "k", revision: 1n }] })
    disk.state.checkpoints.set("clicks/1/0", { lane, epoch: 1n, partitions: [{ partition: 0, nextOffset: sequence, lastRecordHash: "", counters, receivedMaxMs: null, heartbeatMaxMs: null, tenantMaxMs: new Map() }], digest: new Uint8Array(4_096) })
    drain.wake()
  }
  const told: string[] = []
  const bus: PubSubShape = { publish: (topic, notifications) => Effect.sync(() => void told.push(`${topic === checkpointTopic("clicks") ? "notice" : "hint"} ${notifications.at(-1)?.version}`)), subscribe: () => Effect.die("nobody subscribes here") }
  const store = Layer.effect(ReadModelStore, Effect.gen(function* () {
    const base = yield* ReadModelStore
    return { ...base, readOutbox: (...asked) => Effect.tap(base.readOutbox(...asked), (entries) => Effect.sync(() => entries.length === 0 && meanwhile(commit))) } satisfies ReadModelStoreShape
  })).pipe(Layer.provide(memoryReadModelStore(disk)))
  const run = () => Effect.runPromise(Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(drain.run)
    for (let times = 0; times < 40; times++) yield* TestClock.adjust(50)
    yield* Fiber.interrupt(fiber)
    return told
  }).pipe(Effect.provideService(PubSub, bus), Effect.provide(store), Effect.provide(TestClock.layer())))
  return { commit, run }
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

  it("tells how far a projection is once the hints of all it counts are published, whatever is committed meanwhile, and the last of it", async () => {
    let left = 3
    const { commit, run } = watched((again) => {
      if (left-- > 0) again()
    })
    commit()
    const told = await run()
    for (const [at, text] of told.entries()) {
      const [kind, version] = text.split(" ")
      if (kind === "notice") expect(told.slice(0, at)).toContain(`hint ${version}`)
    }
    expect(told.at(-1)).toBe("notice 4")
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
