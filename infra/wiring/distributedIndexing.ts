/** What the thread that keeps the event search fed needs: the log for reading, and the search engine. */
import { eventSearchElasticsearch } from "@tidemark/infra-elasticsearch/SearchIndexElasticsearch"
import * as Layer from "effect/Layer"
import type { Configuration } from "./configuration.ts"
import { addressOf, kafkaLog, named } from "./distributedReaders.ts"

export const indexingEngines = (configuration: Configuration) =>
  named(configuration, "elasticsearchUrl", eventSearchElasticsearch({ url: addressOf(configuration, "elasticsearchUrl"), namespace: configuration.namespace.value })).pipe(
    Layer.provide(kafkaLog(configuration, "reader")))
