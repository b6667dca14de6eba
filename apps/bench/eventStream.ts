/**
 * An endless, reproducible stream of page views: one a millisecond or as told, 5 tenants, 20,000 users, 200 pages by
 * Zipf's law. Events are 0 to 8 s old when received, 0.5 % of them 20 to 60 s; 1 % repeat one of the last thousand.
 */
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { kafkaPartition } from "@tidemark/domain/events/partitioning"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"

const START_MS = Date.UTC(2026, 0, 1)
const TENANTS = ["t1", "t2", "t3", "t4", "t5"]
const USERS = 20_000
const PAGES = 200
const REPEATABLE = 1_000
const AGENTS = ["Linux", "iPhone", "iPad"]

export interface StreamOptions {
  readonly seed: number
  readonly partitions: number
  /** How far the receive time advances from event to event, ms; fractions allowed. */
  readonly everyMs: number
  /** Whose events they are, by equal shares; five tenants when absent. */
  readonly tenants?: readonly string[]
  /** Receive time of the first event, Unix ms; 2026-01-01 when absent. */
  readonly startMs?: number
  readonly imported?: Imported
}

/** All events come with an import of this name and happened at any time of so long a while before they are received, ms. */
export interface Imported {
  readonly name: string
  readonly spanMs: number
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export const makeRandom = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Answers a page at each call, by Zipf's law. */
export const makePageOf = (random: () => number): (() => string) => {
  const sums = new Float64Array(PAGES)
  let sum = 0
  for (let i = 0; i < PAGES; i++) sums[i] = sum += 1 / (i + 1)
  const shares = sums.map((upTo) => upTo / sum)
  return () => {
    const share = random()
    return `/p/${1 + shares.findIndex((upTo) => share < upTo)}`
  }
}

/** Answers the next record at each call. */
export const makeEventStream = ({ seed, partitions, everyMs, tenants = TENANTS, startMs = START_MS, imported }: StreamOptions): (() => LogRecord) => {
  const random = makeRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const hex = (limit: number, digits: number) => below(limit).toString(16).padStart(digits, "0")
  const pageOf = makePageOf(random)
  const recent: LogRecord[] = []
  let position = 0
  const create = (): LogRecord => {
    const tenantId = tenants[below(tenants.length)] ?? ""
    const user = 1 + below(USERS)
    const page = pageOf()
    const receivedAtMs = startMs + Math.floor(position * everyMs)
    const ageMs = imported !== undefined ? below(imported.spanMs) : below(200) === 0 ? 20_000 + below(40_001) : below(8_001)
    const time = receivedAtMs.toString(16).padStart(12, "0")
    const key = `${tenantId}:u${user}`
    const data = JSON.stringify({ page, durationMs: below(30_000), referrer: random() < 0.5 ? undefined : `https://a.io/${1 + below(PAGES)}`, userAgent: AGENTS[user % AGENTS.length] })
    const id = `${time.slice(0, 8)}-${time.slice(8)}-7${hex(4_096, 3)}-8${hex(4_096, 3)}-${hex(2 ** 48, 12)}`
    const value = encodeEvent(
      { id, source: "k", type: "page.viewed", timeMs: receivedAtMs - ageMs, receivedAtMs, tenantId, partitionKey: key, schemaVersion: 2, userId: `u${user}`, backfill: imported?.name },
      data
    )
    return { partition: kafkaPartition(key, partitions), key, value }
  }
  return () => {
    const record = (position > REPEATABLE && below(100) === 0 ? recent[below(REPEATABLE)] : undefined) ?? create()
    recent[position % REPEATABLE] = record
    position += 1
    return record
  }
}
