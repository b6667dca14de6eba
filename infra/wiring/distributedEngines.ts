/**
 * The engines of the distributed mode: Kafka, Postgres, Elasticsearch, Redis, EventStoreDB.
 *
 * Each has to answer when a process starts; one that goes away later is found again by its adapter. The index of
 * duplicates is derived from the log and stays in the data directory beside its readers.
 */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogIdentity } from "@tidemark/domain/ports/EventLog"
import { partitionIndexLmdb } from "@tidemark/infra-embedded/PartitionIndexLmdb"
import { eventStoreDb } from "@tidemark/infra-eventstoredb/EventStoreEventStoreDb"
import { eventSearchElasticsearch } from "@tidemark/infra-elasticsearch/SearchIndexElasticsearch"
import { windowIndexElasticsearch } from "@tidemark/infra-elasticsearch/WindowIndexElasticsearch"
import { laneAssignmentKafka } from "@tidemark/infra-kafka/LaneAssignmentKafka"
import { KafkaLogError, eventLogKafka } from "@tidemark/infra-kafka/EventLogKafka"
import { readModelStorePostgres } from "@tidemark/infra-postgres/ReadModelStorePostgres"
import { rejectedLogPostgres } from "@tidemark/infra-postgres/RejectedLogPostgres"
import { sharedClocksPostgres } from "@tidemark/infra-postgres/SharedClocksPostgres"
import { pubSubRedis } from "@tidemark/infra-redis/PubSubRedis"
import { rateLimiterRedis } from "@tidemark/infra-redis/RateLimiterRedis"
import { resultCacheRedis } from "@tidemark/infra-redis/ResultCacheRedis"
import { vitalsBoardRedis } from "@tidemark/infra-redis/VitalsBoardRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationError, EngineUnreachableError } from "./configuration.ts"
import type { Configuration } from "./configuration.ts"
import { ENGINE_VARIABLES, withoutPassword } from "./engineAddresses.ts"
import type { EngineSetting } from "./engineAddresses.ts"

const addressOf = (configuration: Configuration, setting: EngineSetting): string => configuration[setting].value ?? ""

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
const named = <A, E, R>(configuration: Configuration, setting: EngineSetting, layer: Layer.Layer<A, E, R>): Layer.Layer<A, ConfigurationError | EngineUnreachableError, R> =>
  Layer.catch(layer, (error) => Layer.effectContext(Effect.fail(failureOf(error, ENGINE_VARIABLES[setting], withoutPassword(addressOf(configuration, setting))))))

/** `raw-events`; of another namespace than the default one, `<namespace>.raw-events`. */
const topicOf = (configuration: Configuration): string => {
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

const theLog = Effect.gen(function* () { return yield* EventLog })

const postgres = (configuration: Configuration) => ({ url: addressOf(configuration, "postgresUrl"), namespace: configuration.namespace.value })

/** The index belongs to one log: another log id empties it. Its clocks are shared, for processes that read no partition. */
const partitionIndex = (configuration: Configuration) => {
  const address = withoutPassword(addressOf(configuration, "postgresUrl"))
  const index = Layer.unwrap(
    Effect.map(theLog, ({ identity: { logId } }) =>
      sharedClocksPostgres({ ...postgres(configuration), logId }, partitionIndexLmdb({ directory: join(configuration.dataDir.value, "index"), logId })))
  )
  return Layer.catch(index, (error) => Layer.effectContext(Effect.fail(error._tag === "StoreOpenError" ? failureOf(error, ENGINE_VARIABLES.postgresUrl, address) : error)))
}

/** Projectors of one namespace share the lanes of its log. */
const laneAssignment = (configuration: Configuration) =>
  Layer.unwrap(Effect.map(theLog, ({ identity: { partitions, lanes } }) =>
    laneAssignmentKafka({ brokers: addressOf(configuration, "kafkaBrokers"), topic: topicOf(configuration), groupId: `${configuration.namespace.value}-projectors`, partitions, lanes })))

const readModels = (configuration: Configuration, keepUp: boolean) => named(configuration, "postgresUrl", readModelStorePostgres({ ...postgres(configuration), keepUp }))

/** Opens all engines; they close with the scope. */
export const distributedEngines = (configuration: Configuration) => {
  const namespace = configuration.namespace.value
  const redis = { url: addressOf(configuration, "redisUrl"), namespace }
  const elasticsearch = { url: addressOf(configuration, "elasticsearchUrl"), namespace }
  return Layer.mergeAll(
    partitionIndex(configuration),
    laneAssignment(configuration),
    named(configuration, "elasticsearchUrl", eventSearchElasticsearch(elasticsearch)),
    named(configuration, "elasticsearchUrl", windowIndexElasticsearch(elasticsearch)),
    readModels(configuration, true),
    named(configuration, "postgresUrl", rejectedLogPostgres(postgres(configuration))),
    named(configuration, "eventstoreUrl", eventStoreDb({ url: addressOf(configuration, "eventstoreUrl"), namespace })),
    named(configuration, "redisUrl", pubSubRedis(redis)),
    named(configuration, "redisUrl", rateLimiterRedis(redis)),
    named(configuration, "redisUrl", resultCacheRedis(redis)),
    named(configuration, "redisUrl", vitalsBoardRedis(redis))
  ).pipe(Layer.provideMerge(kafkaLog(configuration, "writer")))
}

/** What a projector thread needs. */
export const distributedReaderEngines = (configuration: Configuration) =>
  Layer.mergeAll(partitionIndex(configuration), readModels(configuration, false)).pipe(Layer.provideMerge(kafkaLog(configuration, "reader")))
