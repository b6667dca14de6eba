/**
 * Search without an index: reads the log backwards from its end. Exact and always fresh; cost grows with what is
 * scanned, which `scanMaxRecords` bounds.
 *
 * The newest unread records of all partitions are merged by receive time. Within a partition the order is that of
 * the offsets, so one exclusive upper bound per partition says where a page ended.
 */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { EventLog, LogCorruptError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogReadError, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { SearchIndex, SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import type { EventHit, EventSearch, EventSearchPage, SearchIndexShape } from "@tidemark/domain/ports/SearchIndex"
import { Effect, Layer } from "effect"
import { compileSearch } from "./searchMatching.ts"

/** Records of a partition fetched at once. */
const CHUNK_RECORDS = 256n
const READ_BYTES = 1 << 20

interface Scanned {
  readonly offset: bigint
  readonly receivedMs: number
  readonly matches: boolean
  readonly value: Uint8Array
}

/** One partition, read downwards. `fetched` is in offset order; its last record is the next to be looked at. */
interface Reader {
  readonly partition: number
  readonly start: bigint
  /** Nothing at or above it is left to fetch. */
  unread: bigint
  fetched: Scanned[]
}

type Matches = ReturnType<typeof compileSearch>

/** A record that says nothing of its time is passed over at once. */
const scan = (offset: bigint, value: Uint8Array, matches: Matches): Scanned => {
  const decoded = decodeRecord(value)
  if (decoded.kind === "event") return { offset, receivedMs: decoded.event.receivedAtMs, matches: matches(decoded.event, value), value }
  return { offset, receivedMs: decoded.kind === "system" ? decoded.record.timeMs : Infinity, matches: false, value }
}

/** The records of [from, to), in offset order. */
const readRange = (log: EventLogShape, partition: number, from: bigint, to: bigint, matches: Matches): Effect.Effect<Scanned[], LogReadError | SearchUnavailableError> =>
  Effect.gen(function* () {
    const records: Scanned[] = []
    let next = from
    while (next < to) {
      const batches = yield* log.read([{ partition, nextOffset: next }], { bytesMax: READ_BYTES, waitMaxMs: 0 })
      const before = next
      for (const { firstOffset, bytes, ends } of batches) {
        for (let i = 0; i < ends.length && firstOffset + BigInt(i) < to; i++) records.push(scan(firstOffset + BigInt(i), bytes.slice(i === 0 ? 0 : ends[i - 1], ends[i]), matches))
        next = firstOffset + BigInt(ends.length)
      }
      if (next === before) return yield* new SearchUnavailableError({ cause: new Error(`the log gave nothing of partition ${partition} at ${next}`) })
    }
    return records
  })

const openReaders = (log: EventLogShape, before: readonly PartitionPosition[] | undefined) =>
  Effect.forEach(Array.from({ length: log.identity.partitions }, (_, partition) => partition), (partition) =>
    Effect.map(log.bounds(partition), ({ start, end }): Reader => {
      const bound = before?.find((position) => position.partition === partition)?.nextOffset ?? end
      return { partition, start, unread: bound < end ? bound : end, fetched: [] }
    }))

const refill = (log: EventLogShape, reader: Reader, matches: Matches) =>
  Effect.gen(function* () {
    const from = reader.unread - CHUNK_RECORDS > reader.start ? reader.unread - CHUNK_RECORDS : reader.start
    reader.fetched = yield* readRange(log, reader.partition, from, reader.unread, matches)
    reader.unread = from
  })

/** The reader whose next record was received last; the lowest partition among equals. */
const newestOf = (readers: readonly Reader[]): Reader | undefined => {
  let newest: Reader | undefined
  let newestMs = -Infinity
  for (const reader of readers) {
    const head = reader.fetched.at(-1)
    if (head === undefined || (newest !== undefined && head.receivedMs <= newestMs)) continue
    newest = reader
    newestMs = head.receivedMs
  }
  return newest
}

/** Takes records newest first until a reader has to fetch, the page is full, enough was scanned or none is left. */
const takeNewest = (readers: readonly Reader[], hits: EventHit[], limit: number, recordsMax: number): { readonly taken: number; readonly empty: Reader | undefined } => {
  let taken = 0
  while (taken < recordsMax && hits.length < limit) {
    const reader = newestOf(readers)
    const record = reader?.fetched.pop()
    if (reader === undefined || record === undefined) break
    taken += 1
    if (record.matches) hits.push({ partition: reader.partition, offset: record.offset, value: record.value })
    if (reader.fetched.length === 0 && reader.unread > reader.start) return { taken, empty: reader }
  }
  return { taken, empty: undefined }
}

const search = (log: EventLogShape, query: EventSearch, { limit, before, scanMaxRecords }: Parameters<SearchIndexShape["searchEvents"]>[1]): Effect.Effect<EventSearchPage, LogReadError | SearchUnavailableError> =>
  Effect.gen(function* () {
    const matches = compileSearch(query)
    const readers = yield* openReaders(log, before)
    for (const reader of readers) if (reader.unread > reader.start) yield* refill(log, reader, matches)
    const hits: EventHit[] = []
    let scannedRecords = 0
    for (;;) {
      const { taken, empty } = takeNewest(readers, hits, limit, scanMaxRecords - scannedRecords)
      scannedRecords += taken
      if (empty === undefined || hits.length >= limit || scannedRecords >= scanMaxRecords) break
      yield* refill(log, empty, matches)
    }
    const next = readers.map(({ partition, fetched, unread, start }) => {
      const head = fetched.at(-1)
      return { partition, nextOffset: head === undefined ? unread : head.offset + 1n, start }
    })
    if (next.every(({ nextOffset, start }) => nextOffset <= start)) return { hits, scannedRecords }
    return { hits, scannedRecords, next: next.map(({ partition, nextOffset }) => ({ partition, nextOffset })) }
  })

/** Search by scanning the given event log. */
export const searchIndexLogScan: Layer.Layer<SearchIndex, never, EventLog> = Layer.effect(
  SearchIndex,
  Effect.map(EventLog, (log): SearchIndexShape => ({
    searchEvents: (query, options) =>
      search(log, query, options).pipe(Effect.mapError((error) => (error instanceof SearchUnavailableError || error instanceof LogCorruptError ? error : new SearchUnavailableError({ cause: error }))))
  }))
)
