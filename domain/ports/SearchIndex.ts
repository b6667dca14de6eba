/** Search over the event log: newest first, by tenant, with a cursor. */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"
import type { LogCorruptError, PartitionPosition } from "./EventLog.ts"

export interface EventSearch {
  readonly tenantId: string
  /** Event time range [from, to), Unix ms. */
  readonly fromMs?: number
  readonly toMs?: number
  readonly types?: readonly string[]
  readonly eventId?: string
  readonly userId?: string
  readonly sessionId?: string
  /** Contained anywhere in the record's text, case-insensitive. */
  readonly text?: string
  readonly where?: readonly { readonly path: string; readonly equals?: string; readonly in?: readonly string[]; readonly contains?: string }[]
}

export interface EventHit {
  readonly partition: number
  readonly offset: bigint
  readonly value: Uint8Array
}

export interface EventSearchPage {
  readonly hits: readonly EventHit[]
  /** Continue below these offsets (exclusive) in each partition; absent when everything was searched. */
  readonly next?: readonly PartitionPosition[]
  readonly scannedRecords: number
}

export class SearchUnavailableError extends Schema.TaggedError<SearchUnavailableError>()("SearchUnavailableError", {
  cause: Schema.Defect()
}) {}

export interface SearchIndexShape {
  /**
   * Newest first by receive time. `before` bounds each partition from above (exclusive). Fails with `LogCorruptError`
   * where the log itself is searched and a block of it is broken: asking again does not help.
   */
  readonly searchEvents: (
    query: EventSearch,
    options: { readonly limit: number; readonly before?: readonly PartitionPosition[]; readonly scanMaxRecords: number }
  ) => Effect.Effect<EventSearchPage, SearchUnavailableError | LogCorruptError>
}

export class SearchIndex extends Context.Service<SearchIndex, SearchIndexShape>()("tidemark/SearchIndex") {}
