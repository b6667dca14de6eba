/** What the specifications of rebuilds share: engines in memory, random events, lanes that run beside a test. */
import { defineProjection } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { createMemoryIndexDisk, memoryPartitionIndex } from "@tidemark/projections/simulation/memoryPartitionIndex"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

export const PARTITIONS = 4
export const LANES = 2
export const T0 = 1_700_000_040_000

export type Ports = EventLog | ReadModelStore | PartitionIndex

export const makeMemory = () => {
  const [modelDisk, logDisk] = [createMemoryModelDisk(), createMemoryLogDisk()]
  const layer = Layer.mergeAll(
    memoryEventLog(logDisk, { logId: "log-1", partitions: PARTITIONS, lanes: LANES, createdAtMs: T0 }), memoryReadModelStore(modelDisk),
    memoryPartitionIndex(createMemoryIndexDisk())
  )
  return { modelDisk, logDisk, run: <A>(program: Effect.Effect<A, unknown, Ports>): Promise<A> => Effect.runPromise(program.pipe(Effect.timeout(60_000), Effect.provide(layer))) }
}

/** Orders, of which every seventh is a test. */
export const orders = (over: Partial<Parameters<typeof defineProjection>[0]> = {}): ProjectionDefinition =>
  defineProjection({
    name: "orders", version: 1, handles: [{ type: "order" }], key: { shop: "event.data.shop" },
    measures: { count: { kind: "count" }, amount: { kind: "sum", of: "event.data.amount" }, buyers: { kind: "uniques", of: "event.subject" } }, ...over
  })

/** Appends events number `from` to `from + count − 1`; every eleventh is sent twice, every thirteenth belongs to another tenant. */
export const appendOrders = Effect.fn(function* (from: number, count: number) {
  const log = yield* EventLog
  const records = Array.from({ length: count }, (_, at) => {
    const number = from + at
    const user = number % 31
    const value = encodeEvent({
      id: `o-${number}`, source: "s", type: "order", timeMs: T0 + number * 700, receivedAtMs: T0 + number * 700, tenantId: number % 13 === 0 ? "other" : "t", partitionKey: `t:${user}`,
      userId: `u-${user}`, schemaVersion: 0
    }, JSON.stringify({ shop: `s${number % 5}`, amount: `${number % 90}.25`, test: number % 7 === 0 }))
    return { partition: user % PARTITIONS, key: `t:${user}`, value, number }
  })
  yield* log.append(records.flatMap((record) => (record.number % 11 === 0 ? [record, record] : [record])).map(({ partition, key, value }) => ({ partition, key, value })))
})

/** Runs the owners of all lanes while `body` does. */
export const whileServed = <A, E, R>(body: Effect.Effect<A, E, R>, halts: Halt[] = []) =>
  Effect.gen(function* () {
    const stop = yield* Deferred.make<void>()
    const observer = { committed: () => {}, halted: (halt: Halt) => void halts.push(halt), retrying: () => {} }
    const fiber = yield* Effect.forkChild(runLanes({ lanes: [0, 1], stop: Deferred.await(stop), observer }))
    const result = yield* Effect.raceFirst(body, Effect.andThen(Fiber.join(fiber), Effect.never))
    yield* Deferred.succeed(stop, undefined)
    yield* Fiber.join(fiber)
    return result
  })

/** Waits until the generation has folded the whole log. */
export const folded = Effect.fn(function* (generation: number, projection = "orders") {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  const isThere = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    for (const { partitions } of yield* snapshot.checkpoints(projection, generation)) {
      for (const { partition, nextOffset } of partitions) if (nextOffset < (yield* log.bounds(partition)).end) return false
    }
    return true
  }))
  while (!(yield* isThere)) yield* Effect.sleep(10)
})
