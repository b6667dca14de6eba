import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection, definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { PAUSED, pauseOf } from "@tidemark/domain/ports/projectionPause"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { createMemoryLogDisk, memoryEventLog } from "../simulation/memoryEventLog.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "../simulation/memoryPartitionIndex.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import type { Choice } from "./chosenGenerations.ts"
import { ensureGenerations } from "./ensureGenerations.ts"
import { lanePartitions } from "./generationCheck.ts"
import { runLanes } from "./runLanes.ts"

const T0 = 1_700_000_040_000
const PARTITIONS = 4
const LANES = 2
const IDS = [1, 2] as const

const clicks = (over: Partial<Parameters<typeof defineProjection>[0]> = {}): ProjectionDefinition =>
  defineProjection({ name: "clicks", version: 1, handles: [{ type: "click" }], key: { page: "event.data.page" }, measures: { clicks: { kind: "count" } }, ...over })

const append = Effect.fn(function* (from: number, count: number) {
  const log = yield* EventLog
  yield* log.append(Array.from({ length: count }, (_, at) => {
    const number = from + at
    const value = encodeEvent({
      id: `e-${number}`, source: "s", type: "click", timeMs: T0 + number * 1_000, receivedAtMs: T0 + number * 1_000, tenantId: "t", partitionKey: `t:${number}`, schemaVersion: 0
    }, JSON.stringify({ page: `/${number % 7}` }))
    return { partition: number % PARTITIONS, key: "k", value }
  }))
})

const addGeneration = Effect.fn(function* (definition: ProjectionDefinition, generation: number, hash = definitionHash(definition)) {
  const { identity } = yield* EventLog
  const record = { projection: definition.name, generation, definition: canonicalJson(definition), definitionHash: hash, createdAtMs: 1, logId: identity.logId, coverage: Array.from({ length: identity.partitions }, (_, partition) => ({ partition, nextOffset: 0n })) }
  yield* (yield* ReadModelStore).createGeneration(record, Array.from({ length: LANES }, (_, lane) => ({ lane, partitions: lanePartitions(lane, PARTITIONS, LANES) })))
})

/** Runs lanes while `body` does; fails as they do. */
const beside = <A, E, R>(choice: Choice, halts: Halt[], body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const stop = yield* Deferred.make<void>()
    const observer = { committed: () => {}, halted: (halt: Halt) => void halts.push(halt), retrying: () => {} }
    const fiber = yield* Effect.forkChild(runLanes({ lanes: [0, 1], stop: Deferred.await(stop), observer, choice }))
    const result = yield* Effect.raceFirst(body, Effect.andThen(Fiber.join(fiber), Effect.never))
    yield* Deferred.succeed(stop, undefined)
    yield* Fiber.join(fiber)
    return result
  })

/** What each generation stores of its lanes, in one snapshot. */
const digests = Effect.scoped(Effect.gen(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const found: string[] = []
  for (const generation of IDS) {
    const checkpoints = yield* snapshot.checkpoints("clicks", generation)
    found.push(checkpoints.map(({ partitions, digest }) => `${partitions.map(({ nextOffset, counters }) => `${nextOffset} ${counters.folded}`).join()} ${Buffer.from(digest).toString("base64")}`).join("\n"))
  }
  return found
}))

const reached = Effect.fn(function* (generation: number) {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  const isThere = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    for (const { partitions } of yield* snapshot.checkpoints("clicks", generation)) {
      for (const { partition, nextOffset } of partitions) if (nextOffset < (yield* log.bounds(partition)).end) return false
    }
    return true
  }))
  while (!(yield* isThere)) yield* Effect.sleep(10)
})

const within = <A>(program: Effect.Effect<A, unknown, EventLog | ReadModelStore | import("@tidemark/domain/ports/PartitionIndex").PartitionIndex>): Promise<A> => {
  const engines = Layer.mergeAll(
    memoryEventLog(createMemoryLogDisk(), { logId: "log-1", partitions: PARTITIONS, lanes: LANES, createdAtMs: T0 }), memoryReadModelStore(createMemoryModelDisk()),
    memoryPartitionIndex(createMemoryIndexDisk())
  )
  return Effect.runPromise(program.pipe(Effect.timeout(15_000), Effect.provide(engines)))
}

describe("what the owner of a lane folds", () => {
  it("is nothing of a paused projection, whoever takes the lanes over, until it is resumed from where it stood; others go on", async () => {
    const halts: Halt[] = []
    await within(Effect.gen(function* () {
      const store = yield* ReadModelStore
      const pause = { ...pauseOf("clicks"), code: PAUSED, detail: "by me", atMs: 1 }
      yield* append(0, 200)
      yield* ensureGenerations([clicks(), clicks({ name: "others" })])
      const folded = Effect.map(digests, ([own]) => own)
      const epochsOf = (projection: string) => Effect.scoped(Effect.gen(function* () {
        return (yield* (yield* store.snapshot).checkpoints(projection, 1)).map(({ epoch }) => epoch)
      }))
      const others = Effect.fn(function* (events: number) {
        for (;;) {
          const checkpoints = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.checkpoints("others", 1)))
          if (checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { counters }) => sum + counters.folded, 0n) === BigInt(events)) return
          yield* Effect.sleep(10)
        }
      })
      const before = yield* beside("served", halts, Effect.gen(function* () {
        yield* reached(1)
        const epochs = yield* epochsOf("others")
        yield* store.recordHalt(pause)
        // The lanes are taken over anew without it: then nothing of it may come.
        while ((yield* epochsOf("others")).some((epoch, lane) => epoch === epochs[lane])) yield* Effect.sleep(10)
        const stood = yield* folded
        yield* append(200, 100)
        yield* others(300)
        expect(yield* folded).toBe(stood)
        return stood
      }))
      yield* beside("served", halts, Effect.gen(function* () {
        yield* append(300, 50)
        yield* others(350)
        expect(yield* folded).toBe(before)
        yield* store.clearHalt(pauseOf("clicks"))
        yield* reached(1)
      }))
      expect(yield* folded).toBe(yield* Effect.scoped(Effect.gen(function* () {
        const checkpoints = yield* (yield* store.snapshot).checkpoints("others", 1)
        return checkpoints.map(({ partitions, digest }) => `${partitions.map(({ nextOffset, counters }) => `${nextOffset} ${counters.folded}`).join()} ${Buffer.from(digest).toString("base64")}`).join("\n")
      })))
    }))
    expect(halts).toEqual([])
  })

  it("is a followed generation as well, which joins while events come and equals the active one in every snapshot afterwards", async () => {
    const halts: Halt[] = []
    const same = await within(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* append(0, 500)
      yield* ensureGenerations([clicks()])
      return yield* beside("served", halts, Effect.gen(function* () {
        yield* reached(1)
        yield* addGeneration(clicks(), 2)
        yield* beside({ projection: "clicks", generation: 2 }, halts, reached(2))
        yield* append(500, 100)
        yield* store.follow({ projection: "clicks", generation: 2 }, true)
        yield* reached(2)
        const seen: boolean[] = []
        for (let i = 0; i < 20; i++) {
          yield* append(600 + i * 20, 20)
          yield* Effect.sleep(17)
          const [active, shadow] = yield* digests
          seen.push(active === shadow)
        }
        yield* reached(1)
        yield* store.flip("clicks", 2, 1)
        yield* append(1_000, 100)
        yield* Effect.all([reached(1), reached(2)])
        yield* store.flip("clicks", 1, 2)
        const [first, second] = yield* digests
        return [...seen, first === second]
      }))
    }))
    expect(halts).toEqual([])
    expect(same).toHaveLength(21)
    expect(same.every(Boolean)).toBe(true)
  })

  it("goes on without a generation that is not followed any more and is dropped at once", async () => {
    const halts: Halt[] = []
    await within(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* append(0, 50)
      yield* ensureGenerations([clicks()])
      yield* addGeneration(clicks(), 2)
      yield* store.follow({ projection: "clicks", generation: 2 }, true)
      yield* beside("served", halts, Effect.gen(function* () {
        yield* Effect.all([reached(1), reached(2)])
        yield* store.follow({ projection: "clicks", generation: 2 }, false)
        yield* store.dropGeneration({ projection: "clicks", generation: 2 })
        yield* append(50, 50)
        yield* reached(1)
      }))
    }))
    expect(halts).toEqual([])
  })

  it("is the generation that replaces a halted one: the lane had nothing left to fold", async () => {
    const halts: Halt[] = []
    await within(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* append(0, 50)
      yield* addGeneration(clicks(), 1, "another hash")
      yield* store.flip("clicks", 1, 0)
      yield* beside("served", halts, Effect.gen(function* () {
        while (halts.length < LANES) yield* Effect.sleep(10)
        yield* addGeneration(clicks(), 2)
        yield* store.follow({ projection: "clicks", generation: 2 }, true)
        yield* reached(2)
      }))
    }))
    expect(halts.every(({ generation }) => generation === 1)).toBe(true)
  })
})
