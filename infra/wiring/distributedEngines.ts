/**
 * The engines of the distributed mode: Kafka, Postgres, Elasticsearch, Redis, EventStoreDB.
 *
 * Each has to answer when a process starts; one that goes away later is found again by its adapter.
 */
import { eventStoreDb } from "@tidemark/infra-eventstoredb/EventStoreEventStoreDb"
import { eventSearchElasticsearch } from "@tidemark/infra-elasticsearch/SearchIndexElasticsearch"
import { windowIndexElasticsearch } from "@tidemark/infra-elasticsearch/WindowIndexElasticsearch"
import { laneAssignmentKafka } from "@tidemark/infra-kafka/LaneAssignmentKafka"
import { rejectedLogPostgres } from "@tidemark/infra-postgres/RejectedLogPostgres"
import { pubSubRedis } from "@tidemark/infra-redis/PubSubRedis"
import { rateLimiterRedis } from "@tidemark/infra-redis/RateLimiterRedis"
import { resultCacheRedis } from "@tidemark/infra-redis/ResultCacheRedis"
import { vitalsBoardRedis } from "@tidemark/infra-redis/VitalsBoardRedis"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { rejectedLimitsOf } from "./configuration.ts"
import type { Configuration } from "./configuration.ts"
import { indexingInThread } from "./indexingThread.ts"
import { addressOf, kafkaLog, named, partitionIndex, postgres, readModels, theLog, topicOf } from "./distributedReaders.ts"

/** Projectors of one namespace share the lanes of its log. */
const laneAssignment = (configuration: Configuration) =>
  Layer.unwrap(Effect.map(theLog, ({ identity: { partitions, lanes } }) =>
    laneAssignmentKafka({ brokers: addressOf(configuration, "kafkaBrokers"), topic: topicOf(configuration), groupId: `${configuration.namespace.value}-projectors`, partitions, lanes })))

/** Opens all engines; they close with the scope. `indexing`: built entry of the thread that keeps the event search fed, else the calling one does. */
export const distributedEngines = (configuration: Configuration, indexing?: URL) => {
  const namespace = configuration.namespace.value
  const redis = { url: addressOf(configuration, "redisUrl"), namespace }
  const elasticsearch = { url: addressOf(configuration, "elasticsearchUrl"), namespace }
  return Layer.mergeAll(
    partitionIndex(configuration),
    laneAssignment(configuration),
    named(configuration, "elasticsearchUrl", eventSearchElasticsearch(elasticsearch, indexing === undefined ? undefined : indexingInThread(indexing, configuration))),
    named(configuration, "elasticsearchUrl", windowIndexElasticsearch(elasticsearch)),
    readModels(configuration, true),
    named(configuration, "postgresUrl", rejectedLogPostgres({ ...postgres(configuration), limits: rejectedLimitsOf(configuration) })),
    named(configuration, "eventstoreUrl", eventStoreDb({ url: addressOf(configuration, "eventstoreUrl"), namespace })),
    named(configuration, "redisUrl", pubSubRedis(redis)),
    named(configuration, "redisUrl", rateLimiterRedis(redis)),
    named(configuration, "redisUrl", resultCacheRedis(redis)),
    named(configuration, "redisUrl", vitalsBoardRedis(redis))
  ).pipe(Layer.provideMerge(kafkaLog(configuration, "writer")))
}
