/**
 * The engines of the configured mode, behind their ports: the one place that knows which mode runs.
 *
 * Embedded: LMDB environments below the data directory (`log/`, `index/`, `models/`, `settings/`, `rejected/`).
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { LaneAssignment } from "@tidemark/domain/ports/LaneAssignment"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { ResultCache } from "@tidemark/domain/ports/ResultCache"
import type { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import { eventStoreLmdb } from "@tidemark/infra-embedded/EventStoreLmdb"
import { laneAssignmentStatic } from "@tidemark/infra-embedded/LaneAssignmentStatic"
import { partitionIndexLmdb } from "@tidemark/infra-embedded/PartitionIndexLmdb"
import { pubSubInProcess } from "@tidemark/infra-embedded/PubSubInProcess"
import { readModelStoreLmdb } from "@tidemark/infra-embedded/ReadModelStoreLmdb"
import { rejectedLogLmdb } from "@tidemark/infra-embedded/RejectedLogLmdb"
import { resultCacheInProcess } from "@tidemark/infra-embedded/ResultCacheInProcess"
import { searchIndexLogScan } from "@tidemark/infra-embedded/SearchIndexLogScan"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { rejectedLimitsOf } from "./configuration.ts"
import type { Configuration } from "./configuration.ts"
import type { Part } from "./failpoints.ts"
import { withFailpoints } from "./failpoints.ts"
import { endUnsynced } from "./unsynced.ts"

/** Every port of the product. */
export type Engines = EventLog | PartitionIndex | ReadModelStore | EventStore | PubSub | RejectedLog | SearchIndex | LaneAssignment | ResultCache

/** What folds, verifies or audits. */
export type ReaderEngines = EventLog | PartitionIndex | ReadModelStore

const nowMs = () => Date.now()

const below = (configuration: Configuration) => (name: string): string => join(configuration.dataDir.value, name)

const logOptions = (configuration: Configuration) => ({
  directory: below(configuration)("log"),
  partitions: configuration.partitions.value,
  lanes: configuration.lanes.value,
  required: {
    ...(configuration.partitions.source === "default" ? {} : { partitions: configuration.partitions.value }),
    ...(configuration.lanes.source === "default" ? {} : { lanes: configuration.lanes.value })
  },
  nowMs,
  newLogId: randomUUID
})

const theLog = Effect.gen(function* () { return yield* EventLog })

/** The index belongs to one log: another log id empties it. */
const partitionIndex = (configuration: Configuration) =>
  Layer.unwrap(
    Effect.map(theLog, ({ identity }) =>
      partitionIndexLmdb({ directory: below(configuration)("index"), logId: identity.logId }))
  )

/** Loaded when it is needed: the clients of five engines would slow the start of a mode that uses none of them, or of a thread that uses two. */
const loaded = <M, A, E>(module: () => Promise<M>, pick: (module: M) => Layer.Layer<A, E>): Layer.Layer<A, E> => Layer.unwrap(Effect.map(Effect.promise(module), pick))

/** Built entries of the threads that write the embedded log and the rejected events, and that keep the event search of the distributed mode fed. */
export interface WriteThreads {
  readonly log: URL
  readonly rejected: URL
  readonly indexing: URL
}

const embeddedEngines = (configuration: Configuration, threads: WriteThreads | undefined) => {
  const directory = below(configuration)
  return Layer.mergeAll(
    partitionIndex(configuration),
    searchIndexLogScan,
    readModelStoreLmdb({ directory: directory("models") }),
    eventStoreLmdb({ directory: directory("settings"), nowMs, onUnsynced: endUnsynced(directory("settings")) }),
    rejectedLogLmdb({ directory: directory("rejected"), limits: rejectedLimitsOf(configuration), writeThread: threads?.rejected, onUnsynced: endUnsynced(directory("rejected")) }),
    pubSubInProcess,
    resultCacheInProcess(),
    Layer.unwrap(Effect.map(theLog, ({ identity }) => laneAssignmentStatic(identity.lanes)))
  ).pipe(Layer.provideMerge(eventLogLmdb({ ...logOptions(configuration), role: "writer", commitThread: threads?.log, onUnsynced: endUnsynced(directory("log")) })))
}

/** What a process that serves gives to `engines`. */
export const writeThreads = (): WriteThreads => ({
  log: new URL(import.meta.resolve("@tidemark/infra-embedded/commitThreadMain")),
  rejected: new URL(import.meta.resolve("@tidemark/infra-embedded/rejectedThreadMain")),
  indexing: new URL(import.meta.resolve("@tidemark/infra-wiring/indexingThreadMain"))
})

/**
 * Opens all engines of the mode; they close with the scope. Any error says what could not be opened. `threads`: what
 * ingest waits for is written, and events are indexed, in threads of their own, else in the calling one.
 */
export const engines = (configuration: Configuration, threads?: WriteThreads): Layer.Layer<Engines, unknown> =>
  withFailpoints<Engines, unknown>(configuration.mode.value === "distributed" ? loaded(() => import("./distributedEngines.ts"), (module) => module.distributedEngines(configuration, threads?.indexing)) : embeddedEngines(configuration, threads))

/**
 * What a projector thread needs, on the engines that `engines` of the same process keeps open: the log for reading,
 * the index and the read models. `onWake` tells of appends where the engine does not.
 */
export const readerEngines = (configuration: Configuration, onWake: (listener: () => void) => () => void, part: Part = "serve"): Layer.Layer<ReaderEngines, unknown> => {
  const embedded = Layer.mergeAll(partitionIndex(configuration), readModelStoreLmdb({ directory: below(configuration)("models") })).pipe(
    Layer.provideMerge(eventLogLmdb({ ...logOptions(configuration), role: "reader", onWake }))
  )
  return withFailpoints<ReaderEngines, unknown>(configuration.mode.value === "distributed" ? loaded(() => import("./distributedReaders.ts"), (module) => module.distributedReaderEngines(configuration)) : embedded, part)
}
