/** The log of either mode by itself, for tools that work beside a server or without one. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { EventLog, LogIdentity } from "@tidemark/domain/ports/EventLog"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationError } from "./configuration.ts"
import type { Configuration, Mode } from "./configuration.ts"

const kafkaLog = (...args: Parameters<typeof import("./distributedReaders.ts").kafkaLog>) =>
  Layer.unwrap(Effect.map(Effect.promise(() => import("./distributedReaders.ts")), (module) => module.kafkaLog(...args)))

const unused = (): never => {
  throw new ConfigurationError("There is no log in this data directory yet: start Tidemark once, or set TIDEMARK_DATA_DIR.")
}

const refused = (sentence: string): Layer.Layer<EventLog, unknown> => Layer.effectContext(Effect.fail(new ConfigurationError(sentence)))

/** The log of the configured mode for reading; a server may run on it meanwhile. Reading makes nothing. */
export const sourceLog = (configuration: Configuration): Layer.Layer<EventLog, unknown> => {
  if (configuration.mode.value === "distributed") return kafkaLog(configuration, "reader")
  const directory = join(configuration.dataDir.value, "log")
  if (!existsSync(directory)) return refused(`There is no log in ${configuration.dataDir.value}: start Tidemark once, or set TIDEMARK_DATA_DIR.`)
  return eventLogLmdb({ directory, role: "reader", partitions: configuration.partitions.value, lanes: configuration.lanes.value, nowMs: unused, newLogId: unused })
}

/** The log of `mode` for writing. When it does not exist it is made with this identity, so that its first records are the same. */
export const targetLog = (configuration: Configuration, mode: Mode, identity: LogIdentity): Layer.Layer<EventLog, unknown> => {
  if (mode === "distributed" && configuration.kafkaBrokers.value === undefined) {
    return refused("TIDEMARK_KAFKA_BROKERS is not set: say where the log is copied to, as in TIDEMARK_KAFKA_BROKERS=127.0.0.1:9092.")
  }
  if (mode === "distributed") return kafkaLog(configuration, "writer", identity)
  const { partitions, lanes, createdAtMs, logId } = identity
  return eventLogLmdb({ directory: join(configuration.dataDir.value, "log"), role: "writer", partitions, lanes, nowMs: () => createdAtMs, newLogId: () => logId })
}
