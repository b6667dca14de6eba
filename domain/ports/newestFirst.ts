/**
 * One page of a search, newest first, out of partitions that are read downwards.
 *
 * The newest unread records of all partitions are merged by receive time. Within a partition the order is that of
 * the offsets, so one exclusive upper bound per partition says where a page ended.
 */
import * as Effect from "effect/Effect"
import { decodeRecord } from "../events/envelope.ts"
import type { EventLogShape, LogReadError } from "./EventLog.ts"
import { SearchUnavailableError } from "./SearchIndex.ts"
import type { EventHit, EventSearchPage } from "./SearchIndex.ts"
import type { compileSearch } from "./searchMatching.ts"

/** Records of a partition read from the log at once. */
const CHUNK_RECORDS = 256n
const READ_BYTES_MAX = 1 << 20
/** Taken for the size of a record until one was read. */
const RECORD_BYTES = 512

/** A record that was looked at. */
export interface SearchedRecord {
  readonly offset: bigint
  readonly receivedMs: number
  readonly matches: boolean
  readonly value: Uint8Array
}

/** One partition, read downwards. `fetched` is in offset order; its last record is the next to be looked at. */
export interface PartitionReader {
  readonly partition: number
  readonly start: bigint
  /** Nothing at or above it is left to fetch. */
  unread: bigint
  fetched: readonly SearchedRecord[]
  /** Mean size of the records of the last read, by which the next one asks for no more than it looks at. */
  recordBytes?: number
}

/** Fetches what is below `unread` and lowers it. */
export type Refill<E> = (reader: PartitionReader) => Effect.Effect<void, E>

type Matches = ReturnType<typeof compileSearch>

/** A record that says nothing of its time is passed over at once. */
const look = (offset: bigint, value: Uint8Array, matches: Matches): SearchedRecord => {
  const decoded = decodeRecord(value)
  if (decoded.kind === "event") return { offset, receivedMs: decoded.event.receivedAtMs, matches: matches(decoded.event, value), value }
  return { offset, receivedMs: decoded.kind === "system" ? decoded.record.timeMs : Infinity, matches: false, value }
}

/** The records of [from, to), in offset order. */
const readRange = (log: EventLogShape, reader: PartitionReader, from: bigint, to: bigint, matches: Matches): Effect.Effect<readonly SearchedRecord[], LogReadError | SearchUnavailableError> =>
  Effect.gen(function* () {
    const { partition } = reader
    const records: SearchedRecord[] = []
    let next = from
    while (next < to) {
      const batches = yield* log.read([{ partition, nextOffset: next }], { bytesMax: Math.min(READ_BYTES_MAX, Number(to - next) * (reader.recordBytes ?? RECORD_BYTES)), waitMaxMs: 0 })
      const before = next
      for (const { firstOffset, bytes, ends } of batches) {
        for (let i = 0; i < ends.length && firstOffset + BigInt(i) < to; i++) records.push(look(firstOffset + BigInt(i), bytes.slice(i === 0 ? 0 : ends[i - 1], ends[i]), matches))
        next = firstOffset + BigInt(ends.length)
        if (ends.length > 0) reader.recordBytes = Math.ceil(bytes.length / ends.length)
      }
      if (next === before) return yield* new SearchUnavailableError({ cause: new Error(`the log gave nothing of partition ${partition} at ${next}`) })
    }
    return records
  })

/** Refills from the log, every record of it, not below `least`. */
export const refillFromLog = (log: EventLogShape, matches: Matches, reader: PartitionReader, least = reader.start): Effect.Effect<void, LogReadError | SearchUnavailableError> =>
  Effect.gen(function* () {
    const from = reader.unread - CHUNK_RECORDS > least ? reader.unread - CHUNK_RECORDS : least
    reader.fetched = yield* readRange(log, reader, from, reader.unread, matches)
    reader.unread = from
    // A walk through a long log holds the thread for one step at a time.
    yield* Effect.yieldNow
  })

/** The reader whose next record was received last; the lowest partition among equals. */
const newestOf = (readers: readonly Taking[]): Taking | undefined => {
  let newest: Taking | undefined
  let newestMs = -Infinity
  for (const taking of readers) {
    const head = taking.reader.fetched[taking.left - 1]
    if (head === undefined || (newest !== undefined && head.receivedMs <= newestMs)) continue
    newest = taking
    newestMs = head.receivedMs
  }
  return newest
}

/** A reader and how many of its fetched records are left to look at. */
interface Taking {
  readonly reader: PartitionReader
  left: number
}

interface Taken {
  readonly taken: number
  /** Has to fetch before anything else is taken. */
  readonly empty: Taking | undefined
}

/** Takes records newest first until a reader has to fetch, the page is full, enough was looked at or none is left. */
const takeNewest = (readers: readonly Taking[], hits: EventHit[], limit: number, recordsMax: number): Taken => {
  let taken = 0
  while (taken < recordsMax && hits.length < limit) {
    const newest = newestOf(readers)
    const record = newest?.reader.fetched[newest.left - 1]
    if (newest === undefined || record === undefined) break
    newest.left -= 1
    taken += 1
    const { partition, unread, start } = newest.reader
    if (record.matches) hits.push({ partition, offset: record.offset, value: record.value })
    if (newest.left === 0 && unread > start) return { taken, empty: newest }
  }
  return { taken, empty: undefined }
}

/** Fetches until there is something to look at, or nothing left. */
const fill = <E>(taking: Taking, refill: Refill<E>): Effect.Effect<void, E> =>
  Effect.gen(function* () {
    const { reader } = taking
    while (taking.left === 0 && reader.unread > reader.start) {
      yield* refill(reader)
      taking.left = reader.fetched.length
    }
  })

/** Takes one page from readers that have fetched nothing yet. */
export const newestFirst = <E>(
  partitions: readonly PartitionReader[], refill: Refill<E>, { limit, scanMaxRecords }: { readonly limit: number; readonly scanMaxRecords: number }
): Effect.Effect<EventSearchPage, E> =>
  Effect.gen(function* () {
    const readers = partitions.map((reader): Taking => ({ reader, left: 0 }))
    yield* Effect.forEach(readers, (taking) => fill(taking, refill), { concurrency: "unbounded", discard: true })
    const hits: EventHit[] = []
    let scannedRecords = 0
    for (;;) {
      const { taken, empty } = takeNewest(readers, hits, limit, scanMaxRecords - scannedRecords)
      scannedRecords += taken
      if (empty === undefined || hits.length >= limit || scannedRecords >= scanMaxRecords) break
      yield* fill(empty, refill)
    }
    const next = readers.map(({ reader: { partition, fetched, unread, start }, left }) => {
      const head = fetched[left - 1]
      return { partition, nextOffset: head === undefined ? unread : head.offset + 1n, start }
    })
    if (next.every(({ nextOffset, start }) => nextOffset <= start)) return { hits, scannedRecords }
    return { hits, scannedRecords, next: next.map(({ partition, nextOffset }) => ({ partition, nextOffset })) }
  })

/** Readers of every partition of the log from `before`, or from its end. */
export const openReaders = (log: EventLogShape, before: readonly { readonly partition: number; readonly nextOffset: bigint }[] | undefined) =>
  Effect.forEach(Array.from({ length: log.identity.partitions }, (_, partition) => partition), (partition) =>
    Effect.map(log.bounds(partition), ({ start, end }): PartitionReader => {
      const bound = before?.find((position) => position.partition === partition)?.nextOffset ?? end
      return { partition, start, unread: bound < end ? bound : end, fetched: [] }
    }))
