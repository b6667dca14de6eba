/**
 * Search without an index: reads the log backwards from its end. Exact and always fresh; cost grows with what is
 * scanned, which `scanMaxRecords` bounds.
 */
import { EventLog, LogCorruptError } from "@tidemark/domain/ports/EventLog"
import { newestFirst, openReaders, refillFromLog } from "@tidemark/domain/ports/newestFirst"
import { SearchIndex, SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import type { SearchIndexShape } from "@tidemark/domain/ports/SearchIndex"
import { compileSearch } from "@tidemark/domain/ports/searchMatching"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Search by scanning the given event log. */
export const searchIndexLogScan: Layer.Layer<SearchIndex, never, EventLog> = Layer.effect(
  SearchIndex,
  Effect.map(EventLog, (log): SearchIndexShape => ({
    searchEvents: (query, options) => {
      const matches = compileSearch(query)
      return Effect.flatMap(openReaders(log, options.before), (readers) => newestFirst(readers, (reader) => refillFromLog(log, matches, reader), options)).pipe(
        Effect.mapError((error) => (error instanceof SearchUnavailableError || error instanceof LogCorruptError ? error : new SearchUnavailableError({ cause: error })))
      )
    }
  }))
)
