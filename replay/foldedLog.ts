/** For specifications: a log in memory that the real runtime folds. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryIndexDisk, memoryPartitionIndex } from "@tidemark/projections/simulation/memoryPartitionIndex"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { Workload } from "@tidemark/projections/simulation/workload"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

const OBSERVER = { committed: () => {}, halted: () => {}, retrying: () => {} }

/** Records of a random log that reaches every rule: repeats, late and held events, releases, imports, poison, foreign records. */
export const randomRecords = (seed: number, { records: count, partitions, startMs }: { readonly records: number; readonly partitions: number; readonly startMs: number }): readonly LogRecord[] => {
  const workload = new Workload(new SeededRandom(seed), partitions, startMs)
  // The genesis records are in the log before them.
  const stored = Array.from({ length: partitions }, (): Uint8Array[] => [new Uint8Array()])
  const records: LogRecord[] = []
  while (records.length < count) {
    for (const { partition, value } of workload.next((asked) => stored[asked] ?? [])) {
      stored[partition]?.push(value)
      records.push({ partition, key: "k", value })
    }
  }
  return records
}

/** A log of two partitions in two lanes, unless `shape` says otherwise; `fold` appends records and folds everything up to the end of the log. */
export const makeFoldedLog = (definitions: readonly ProjectionDefinition[], createdAtMs: number, shape: { readonly partitions: number; readonly lanes: number } = { partitions: 2, lanes: 2 }) => {
  const logDisk = createMemoryLogDisk()
  const modelDisk = createMemoryModelDisk()
  const identity = { logId: "log-1", ...shape, createdAtMs }
  const layer = Layer.mergeAll(memoryEventLog(logDisk, identity), memoryReadModelStore(modelDisk), memoryPartitionIndex(createMemoryIndexDisk()))
  const isBehind = () => [...modelDisk.state.checkpoints.values()].some(({ partitions }) => partitions.some(({ partition, nextOffset }) => nextOffset < BigInt(logDisk.partitions[partition]?.records.length ?? 0)))
  const fold = (records: readonly LogRecord[]): Promise<void> =>
    Effect.runPromise(Effect.gen(function* () {
      const log = yield* EventLog
      yield* ensureGenerations(definitions)
      yield* log.append(records)
      const stop = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(runLanes({ lanes: Array.from({ length: shape.lanes }, (_, lane) => lane), stop: Deferred.await(stop), observer: OBSERVER }))
      while (isBehind()) yield* Effect.sleep(10)
      yield* Deferred.succeed(stop, undefined)
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer)))
  const run = <A, E>(program: Effect.Effect<A, E, EventLog | ReadModelStore>): Promise<A> => Effect.runPromise(program.pipe(Effect.provide(layer)))
  return { identity, logDisk, modelDisk, layer, fold, run }
}
