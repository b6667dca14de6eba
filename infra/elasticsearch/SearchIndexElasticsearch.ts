/**
 * Search over the event log by an index of its events. The index only says where to look: every record is judged by the
 * same rule as a scan of the log, and what is not indexed yet is scanned. Without Elasticsearch the whole log is scanned:
 * the same answers, slower.
 */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { EventIndexing } from "@tidemark/domain/ports/EventIndexing"
import type { EventIndexingShape } from "@tidemark/domain/ports/EventIndexing"
import { EventLog, LogCorruptError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { newestFirst, openReaders, refillFromLog } from "@tidemark/domain/ports/newestFirst"
import type { PartitionReader, SearchedRecord } from "@tidemark/domain/ports/newestFirst"
import { SearchIndex, SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import type { EventSearch, SearchIndexShape } from "@tidemark/domain/ports/SearchIndex"
import { compileSearch } from "@tidemark/domain/ports/searchMatching"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { connectElasticsearch, orUnavailable } from "./elasticsearchClient.ts"
import type { Elasticsearch, ElasticsearchSettings, ElasticsearchUnreachableError } from "./elasticsearchClient.ts"
import { EventCheckpoints } from "./eventCheckpoints.ts"
import type { EventSource } from "./eventDocuments.ts"
import { EventNames, eventFilter, recordOf } from "./eventDocuments.ts"
import { makeEventIndexer } from "./eventIndexer.ts"
import { Indices } from "./indices.ts"

/** Somebody waits for the answer, and the log has it too. */
const ANSWER_MAX_MS = 3_000
const CHUNK_LEAST = 16
const CHUNK_MOST = 256

interface Hits {
  readonly hits: { readonly hits: readonly { readonly _source: EventSource }[] }
}

class EventSearcher {
  private readonly engine: Elasticsearch
  private readonly log: EventLogShape
  private readonly names: EventNames
  private readonly checkpoints: EventCheckpoints

  constructor(engine: Elasticsearch, log: EventLogShape, namespace: string) {
    this.engine = engine
    this.log = log
    this.names = new EventNames(namespace, log.identity.logId)
    this.checkpoints = new EventCheckpoints(engine, new Indices(engine), this.names)
  }

  /** Where each partition's index ends: the log is read above it. A checkpoint beyond the log is none of this log's. */
  private indexedTo(readers: readonly PartitionReader[]): Effect.Effect<Map<number, bigint>> {
    const read = Effect.all([
      orUnavailable(() => this.checkpoints.read(readers.map(({ partition }) => partition), ANSWER_MAX_MS)),
      Effect.forEach(readers, ({ partition }) => this.log.bounds(partition))
    ])
    return Effect.match(read, {
      onSuccess: ([found, bounds]) => new Map(readers.map(({ partition }, at) => {
        const next = found.get(partition) ?? 0n
        return [partition, next > (bounds[at]?.end ?? 0n) ? 0n : next] as const
      })),
      onFailure: () => new Map<number, bigint>()
    })
  }

  private async fetch(query: EventSearch, { partition, start, unread }: PartitionReader, chunk: number): Promise<readonly EventSource[]> {
    const body = { size: chunk, track_total_hits: false, query: eventFilter(query, partition, start, unread), sort: [{ offset: "desc" }], _source: ["offset", "receivedAt", "record", "bytes"] }
    const found = (await this.engine.need("POST", `/${this.names.months}*/_search?allow_no_indices=true&ignore_unavailable=true`, body, ANSWER_MAX_MS)) as Hits
    return found.hits.hits.map(({ _source }) => _source)
  }

  search(query: EventSearch, options: Parameters<SearchIndexShape["searchEvents"]>[1]) {
    const matches = compileSearch(query)
    const chunk = Math.min(CHUNK_MOST, Math.max(CHUNK_LEAST, options.limit))
    const look = (source: EventSource): SearchedRecord => {
      const value = recordOf(source)
      const decoded = decodeRecord(value)
      return { offset: BigInt(source.offset), receivedMs: source.receivedAt, matches: decoded.kind === "event" && matches(decoded.event, value), value }
    }
    return Effect.gen({ self: this }, function* () {
      const readers = yield* openReaders(this.log, options.before)
      const indexedTo = yield* this.indexedTo(readers)
      const refill = (reader: PartitionReader) => {
        const indexed = indexedTo.get(reader.partition) ?? 0n
        if (reader.unread > indexed) return refillFromLog(this.log, matches, reader, indexed > reader.start ? indexed : reader.start)
        const fromIndex = Effect.map(orUnavailable(() => this.fetch(query, reader, chunk)), (found) => {
          const records = found.map(look).reverse()
          reader.unread = found.length < chunk ? reader.start : (records[0]?.offset ?? reader.start)
          reader.fetched = records
        })
        // The engine went away meanwhile: what is left comes from the log.
        return Effect.catchTag(fromIndex, "SearchUnavailableError", () => {
          indexedTo.set(reader.partition, 0n)
          return refillFromLog(this.log, matches, reader)
        })
      }
      return yield* newestFirst(readers, refill, options)
    })
  }
}

/** Search over `log` and what indexes it, on one connection. */
const openEventSearch = (settings: ElasticsearchSettings, log: EventLogShape, elsewhere: EventIndexingShape | undefined): Effect.Effect<Context.Context<SearchIndex | EventIndexing>, ElasticsearchUnreachableError, Scope.Scope> =>
  Effect.map(connectElasticsearch(settings), (engine) => {
    const searcher = new EventSearcher(engine, log, settings.namespace)
    const search: SearchIndexShape = {
      searchEvents: (query, options) => searcher.search(query, options).pipe(
        Effect.mapError((error) => (error instanceof SearchUnavailableError || error instanceof LogCorruptError ? error : new SearchUnavailableError({ cause: error }))))
    }
    const indexing: EventIndexingShape = elsewhere ?? { indexer: (options) => makeEventIndexer(engine, log, settings.namespace, options) }
    return Context.add(Context.make(SearchIndex, search), EventIndexing, indexing)
  })

/**
 * Search by the index and the log, and what feeds the index, of one namespace in the cluster at `settings.url`. Needs it at
 * start. `indexing` feeds it elsewhere than in this thread.
 */
export const eventSearchElasticsearch = (settings: ElasticsearchSettings, indexing?: EventIndexingShape): Layer.Layer<SearchIndex | EventIndexing, ElasticsearchUnreachableError, EventLog> =>
  Layer.effectContext(Effect.flatMap(Effect.gen(function* () { return yield* EventLog }), (log) => openEventSearch(settings, log, indexing)))
