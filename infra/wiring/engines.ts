/**
 * The engines of the configured mode, behind their ports: the one place that knows which mode runs.
 *
 * Embedded: LMDB environments below the data directory (`log/`, `index/`, `models/`, `settings/`, `rejected/`).
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PubSub } from "@tidemark/domain/ports/PubSub"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import { eventStoreLmdb } from "@tidemark/infra-embedded/EventStoreLmdb"
import { partitionIndexLmdb } from "@tidemark/infra-embedded/PartitionIndexLmdb"
import { pubSubInProcess } from "@tidemark/infra-embedded/PubSubInProcess"
import { readModelStoreLmdb } from "@tidemark/infra-embedded/ReadModelStoreLmdb"
import { rejectedLogLmdb } from "@tidemark/infra-embedded/RejectedLogLmdb"
import { searchIndexLogScan } from "@tidemark/infra-embedded/SearchIndexLogScan"
import { Effect, Layer } from "effect"
import { ConfigurationError } from "./configuration.ts"
import type { Configuration } from "./configuration.ts"
import { withFailpoints } from "./failpoints.ts"

/** Every port of the product. */
export type Engines = EventLog | PartitionIndex | ReadModelStore | EventStore | PubSub | RejectedLog | SearchIndex

const nowMs = () => Date.now()

const below = (configuration: Configuration) => (name: string): string => join(configuration.dataDir.value, name)

const logOptions = (configuration: Configuration) => ({
  directory: below(configuration)("log"),
  partitions: configuration.partitions.value,
  lanes: configuration.lanes.value,
  nowMs,
  newLogId: randomUUID
})

/** The index belongs to one log: another log id empties it. */
const partitionIndex = (configuration: Configuration) =>
  Layer.unwrap(
    Effect.map(Effect.gen(function* () { return yield* EventLog }), ({ identity }) =>
      partitionIndexLmdb({ directory: below(configuration)("index"), logId: identity.logId }))
  )

/** Opens all engines; they close with the scope. Any error says what could not be opened. */
export const engines = (configuration: Configuration) => {
  if (configuration.mode.value === "distributed") throw new ConfigurationError("TIDEMARK_MODE is \"distributed\": this version does not run it yet. Unset it.")
  const directory = below(configuration)
  const opened = Layer.mergeAll(
    partitionIndex(configuration),
    searchIndexLogScan,
    readModelStoreLmdb({ directory: directory("models") }),
    eventStoreLmdb({ directory: directory("settings"), nowMs }),
    rejectedLogLmdb({ directory: directory("rejected") }),
    pubSubInProcess
  ).pipe(Layer.provideMerge(eventLogLmdb({ ...logOptions(configuration), role: "writer" })))
  return withFailpoints(opened)
}

/**
 * What a projector thread needs, on the engines that `engines` of the same process keeps open: the log for reading,
 * the index and the read models. `onWake` tells of appends.
 */
export const readerEngines = (configuration: Configuration, onWake: (listener: () => void) => () => void) =>
  withFailpoints(Layer.mergeAll(partitionIndex(configuration), readModelStoreLmdb({ directory: below(configuration)("models") })).pipe(
    Layer.provideMerge(eventLogLmdb({ ...logOptions(configuration), role: "reader", onWake }))
  ))
