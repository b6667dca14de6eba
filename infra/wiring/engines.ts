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
import type { Configuration } from "./configuration.ts"

/** Every port of the product. */
export type Engines = EventLog | PartitionIndex | ReadModelStore | EventStore | PubSub | RejectedLog | SearchIndex

/** Opens all engines; they close with the scope. Any error says what could not be opened. */
export const engines = (configuration: Configuration) => {
  const directory = (name: string) => join(configuration.dataDir.value, name)
  const nowMs = () => Date.now()
  const log = eventLogLmdb({
    directory: directory("log"),
    role: "writer",
    partitions: configuration.partitions.value,
    lanes: configuration.lanes.value,
    nowMs,
    newLogId: randomUUID
  })
  // The index belongs to one log: another log id empties it.
  const index = Layer.unwrap(Effect.map(Effect.gen(function* () { return yield* EventLog }), ({ identity }) => partitionIndexLmdb({ directory: directory("index"), logId: identity.logId })))
  return Layer.mergeAll(
    index,
    searchIndexLogScan,
    readModelStoreLmdb({ directory: directory("models") }),
    eventStoreLmdb({ directory: directory("settings"), nowMs }),
    rejectedLogLmdb({ directory: directory("rejected") }),
    pubSubInProcess
  ).pipe(Layer.provideMerge(log))
}
