/**
 * What a thread that folds needs of the distributed mode: the log in Kafka, read models in Postgres, and the index of
 * duplicates, which is derived from the log and stays in the data directory beside its readers.
 *
 * Apart from the other engines: loading their clients takes longer than a small fold.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import { partitionIndexLmdb } from "@tidemark/infra-embedded/PartitionIndexLmdb"
import { KafkaLogError, eventLogKafka } from "@tidemark/infra-kafka/EventLogKafka"
import { readModelStorePostgres } from "@tidemark/infra-postgres/ReadModelStorePostgres"
import { sharedClocksPostgres } from "@tidemark/infra-postgres/SharedClocksPostgres"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationError, EngineUnreachableError } from "./configuration.ts"
import type { Configuration } from "./configuration.ts"
import { ENGINE_VARIABLES, withoutPassword } from "./engineAddresses.ts"
import type { EngineSetting } from "./engineAddresses.ts"

/** The address of an engine; empty when none is named. */
export const addressOf = (configuration: Configuration, setting: EngineSetting): string => configuration[setting].value ?? ""

/** The deepest message of an engine's error. */
const reasonOf = (error: unknown): string => {
  const { cause, message, reason } = error as { readonly cause?: unknown; readonly message?: string; readonly reason?: string }
  if (reason !== undefined && reason !== "") return reason
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0])
  if (cause !== undefined && cause !== null) return reasonOf(cause)
  return message === undefined || message === "" ? String(error) : message
}

const failureOf = (error: unknown, variable: string, address: string): ConfigurationError | EngineUnreachableError => {
  // Not the address is wrong but what was found there, and the error says what to do.
  if (error instanceof KafkaLogError && error.code !== "UNREACHABLE") return new ConfigurationError(error.message)
  return new EngineUnreachableError(`${variable} is ${address}: ${reasonOf(error).replace(/[.\s]+$/, "")}. Start that engine, or name another one.`)
}

/** A failed opening as one sentence that names variable and address. */
export const named = <A, E, R>(configuration: Configuration, setting: EngineSetting, layer: Layer.Layer<A, E, R>): Layer.Layer<A, ConfigurationError | EngineUnreachableError, R> =>
  Layer.catch(layer, (error) => Layer.effectContext(Effect.fail(failureOf(error, ENGINE_VARIABLES[setting], withoutPassword(addressOf(configuration, setting))))))

/** `raw-events`; of another namespace than the default one, `<namespace>.raw-events`. */
export const topicOf = (configuration: Configuration): string => {
  const namespace = configuration.namespace.value
  return namespace === "tidemark" ? "raw-events" : `${namespace}.raw-events`
}

const kafkaOptions = (configuration: Configuration) => ({
  brokers: addressOf(configuration, "kafkaBrokers"), topic: topicOf(configuration), partitions: configuration.partitions.value, lanes: configuration.lanes.value,
  nowMs: () => Date.now(), newLogId: randomUUID
})

/** The log in Kafka. `identity`: what it is made with when it does not exist. */
export const kafkaLog = (configuration: Configuration, role: "writer" | "reader", identity?: LogIdentity) => {
  const made = identity === undefined ? {} : { partitions: identity.partitions, lanes: identity.lanes, nowMs: () => identity.createdAtMs, newLogId: () => identity.logId }
  return named(configuration, "kafkaBrokers", eventLogKafka({ ...kafkaOptions(configuration), role, ...made }))
}

/** The log that is provided. */
export const theLog = Effect.gen(function* () { return yield* EventLog })

/** Options of what lies in Postgres. */
export const postgres = (configuration: Configuration) => ({ url: addressOf(configuration, "postgresUrl"), namespace: configuration.namespace.value })

/** The index belongs to one log: another log id empties it. Its clocks are shared, for processes that read no partition. */
export const partitionIndex = (configuration: Configuration) => {
  const address = withoutPassword(addressOf(configuration, "postgresUrl"))
  const index = Layer.unwrap(
    Effect.map(theLog, ({ identity: { logId } }) =>
      sharedClocksPostgres({ ...postgres(configuration), logId }, partitionIndexLmdb({ directory: join(configuration.dataDir.value, "index"), logId })))
  )
  return Layer.catch(index, (error) => Layer.effectContext(Effect.fail(error._tag === "StoreOpenError" ? failureOf(error, ENGINE_VARIABLES.postgresUrl, address) : error)))
}

/** The read models; `keepUp`: as the store's option. */
export const readModels = (configuration: Configuration, keepUp: boolean) => named(configuration, "postgresUrl", readModelStorePostgres({ ...postgres(configuration), keepUp }))

/** What a projector thread needs. */
export const distributedReaderEngines = (configuration: Configuration) =>
  Layer.mergeAll(partitionIndex(configuration), readModels(configuration, false)).pipe(Layer.provideMerge(kafkaLog(configuration, "reader")))
