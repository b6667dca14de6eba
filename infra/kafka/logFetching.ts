/**
 * Reading with explicit offsets: long polls, several partitions and brokers at once, the next read fetched ahead.
 *
 * No consumer group and no automatic reset: what the broker does not have at the wanted offset is an error.
 */
import { setTimeout as pause } from "node:timers/promises"
import { Reader, fetchV15 } from "@platformatic/kafka"
import type { Connection } from "@platformatic/kafka"
import { LogGapError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { LogBatch, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { packRecords } from "./recordBatches.ts"
import { StaleLeaderError } from "./topicBrokers.ts"
import type { Address, TopicBrokers } from "./topicBrokers.ts"

export interface ReadOptions {
  readonly bytesMax: number
  readonly waitMaxMs: number
}

interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  /** High watermark: one past the last record that may be read. */
  readonly end: bigint
  readonly records: Buffer
}

export interface Fetched {
  readonly batch: LogBatch
  /** Record batches that it was packed from. */
  readonly stored: number
}

const FETCH_KEY = 1
const FETCH_VERSION = 15
/** A poll returns at least this often, so that a closed log or a dead leader is noticed. */
const POLL_MS_MAX = 5_000
/** One partition's part of a fetch; the broker sends whole batches, at least one of one partition, even if larger. */
const SHARE_BYTES_MIN = 16_384
const AHEAD_MAX = 4
const STALE_TRIES = 5
const STALE_PAUSE_MS = 200
const OFFSET_OUT_OF_RANGE = 1

/** The fetch response, its records left as bytes. */
const parseFetch = (_correlationId: number, _apiKey: number, _apiVersion: number, response: Reader): readonly FetchedPartition[] => {
  // One copy into a contiguous buffer: the response arrives in many small pieces.
  const data = response.buffer.slice(response.position)
  const reader = Reader.from(data)
  reader.readInt32()
  const failed = reader.readInt16()
  if (failed !== 0) throw new StaleLeaderError(`the fetch failed with Kafka's error ${failed}`)
  reader.readInt32()
  return reader.readArray((topic) => {
    topic.readUUID()
    return topic.readArray((entry) => {
      const partition = entry.readInt32()
      const errorCode = entry.readInt16()
      const end = entry.readInt64()
      entry.readInt64()
      entry.readInt64()
      entry.readNullableArray((aborted) => [aborted.readInt64(), aborted.readInt64()])
      entry.readInt32()
      const size = Math.max(entry.readUnsignedVarInt() - 1, 0)
      const records = data.subarray(entry.position, entry.position + size)
      entry.skip(size)
      return { partition, errorCode, end, records }
    })
  }).flat()
}

const keyOf = (from: readonly PartitionPosition[]): string => from.map(({ partition, nextOffset }) => `${partition}:${nextOffset}`).join()

const sizeOf = (fetched: readonly Fetched[]): number => fetched.reduce((sum, { batch }) => sum + batch.bytes.length, 0)

const batchesOf = (fetched: readonly Fetched[]): readonly LogBatch[] => fetched.map(({ batch }) => batch)

const advance = (from: readonly PartitionPosition[], fetched: readonly Fetched[]): readonly PartitionPosition[] => {
  const ends = new Map(fetched.map(({ batch }) => [batch.partition, batch.firstOffset + BigInt(batch.ends.length)]))
  return from.map((position) => ({ partition: position.partition, nextOffset: ends.get(position.partition) ?? position.nextOffset }))
}

/** The first of `polls` that has something, or nothing once all have ended. */
const firstFound = (polls: readonly Promise<readonly Fetched[]>[]): Promise<readonly Fetched[]> =>
  new Promise((resolve, reject) => {
    let waiting = polls.length
    for (const poll of polls) {
      poll.then((found) => {
        waiting -= 1
        if (found.length > 0 || waiting === 0) resolve(found)
      }, reject)
    }
  })

export class LogFetching {
  private readonly ahead = new Map<string, Promise<readonly Fetched[]>>()
  private turn = 0

  constructor(private readonly brokers: TopicBrokers) {}

  /** As the port's `read`; rejects with its errors, or with the client's. */
  async read(from: readonly PartitionPosition[], { bytesMax, waitMaxMs }: ReadOptions, signal: AbortSignal): Promise<readonly LogBatch[]> {
    const deadlineMs = performance.now() + waitMaxMs
    if (from.length === 0) {
      await pause(Math.max(waitMaxMs, 0), undefined, { signal })
      return []
    }
    let found = await this.takeAhead(from)
    while (found.length === 0) {
      const leftMs = deadlineMs - performance.now()
      found = await this.fetch(from, bytesMax, Math.min(Math.max(leftMs, 0), POLL_MS_MAX))
      if (signal.aborted || (found.length === 0 && performance.now() >= deadlineMs)) break
    }
    // Whoever reads in bulk reads on: the broker works while the records are folded.
    if (sizeOf(found) >= bytesMax / 4 && !signal.aborted) this.fetchAhead(advance(from, found), bytesMax)
    return batchesOf(found)
  }

  /** One round; an empty list when nothing came within `waitMs`. */
  async fetch(from: readonly PartitionPosition[], bytesMax: number, waitMs: number): Promise<readonly Fetched[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.round(from, bytesMax, Math.floor(waitMs))
      } catch (error) {
        if (!(error instanceof StaleLeaderError) || tries === STALE_TRIES) throw error
        this.brokers.forget()
        await pause(STALE_PAUSE_MS)
      }
    }
  }

  private async takeAhead(from: readonly PartitionPosition[]): Promise<readonly Fetched[]> {
    const key = keyOf(from)
    const fetched = this.ahead.get(key)
    if (fetched === undefined) return []
    this.ahead.delete(key)
    return fetched
  }

  private fetchAhead(from: readonly PartitionPosition[], bytesMax: number): void {
    const oldest = this.ahead.keys().next()
    if (this.ahead.size >= AHEAD_MAX && oldest.done !== true) this.ahead.delete(oldest.value)
    // A failure comes again, and is told, when the reader asks.
    this.ahead.set(keyOf(from), this.fetch(from, bytesMax, 0).catch(() => []))
  }

  private async round(from: readonly PartitionPosition[], bytesMax: number, waitMs: number): Promise<readonly Fetched[]> {
    const { topicId } = await this.brokers.describe()
    const byLeader = new Map<string, { readonly leader: Address; readonly positions: PartitionPosition[] }>()
    for (const position of from) {
      const leader = await this.brokers.leaderOf(position.partition)
      const key = `${leader.host}:${leader.port}`
      const group = byLeader.get(key) ?? { leader, positions: [] }
      byLeader.set(key, group)
      group.positions.push(position)
    }
    const groups = Array.from(byLeader.values())
    const poll = (wait: number) => groups.map(({ leader, positions }) => this.fetchFrom(leader, topicId, positions, Math.ceil(bytesMax / groups.length), wait))
    if (groups.length === 1) return firstFound(poll(waitMs))
    const now = (await Promise.all(poll(0))).flat()
    return now.length > 0 || waitMs === 0 ? now : firstFound(poll(waitMs))
  }

  private async fetchFrom(leader: Address, topicId: string, positions: readonly PartitionPosition[], bytesMax: number, waitMs: number): Promise<readonly Fetched[]> {
    const share = Math.max(Math.ceil(bytesMax / positions.length), SHARE_BYTES_MIN)
    // Another partition comes first each time: only the first is sure to get a batch larger than its share.
    const first = this.turn++ % positions.length
    const partitions = [...positions.slice(first), ...positions.slice(0, first)].map(({ partition, nextOffset }) => ({
      partition, currentLeaderEpoch: -1, fetchOffset: nextOffset, lastFetchedEpoch: -1, partitionMaxBytes: share
    }))
    const request = (connection: Connection) =>
      new Promise<readonly FetchedPartition[]>((resolve, reject) => {
        const create = () => fetchV15.createRequest(waitMs, 1, bytesMax, 0, 0, -1, [{ topicId, partitions }], [], "")
        connection.send(FETCH_KEY, FETCH_VERSION, create, parseFetch, true, true, (error, answer) => (error === null ? resolve(answer ?? []) : reject(error)))
      })
    const answer = new Map((await this.brokers.use(leader, request)).map((entry) => [entry.partition, entry]))
    const fetched: Fetched[] = []
    for (const { partition, nextOffset } of positions) {
      const entry = answer.get(partition)
      if (entry === undefined) continue
      if (entry.errorCode !== 0) await this.explain(partition, nextOffset, entry.errorCode)
      const { bytes, ends, batches, gap } = packRecords(partition, entry.records, nextOffset)
      if (ends.length > 0) fetched.push({ batch: { partition, firstOffset: nextOffset, bytes, ends, more: nextOffset + BigInt(ends.length) < entry.end }, stored: batches })
      else if (gap !== undefined) throw new LogGapError({ partition, wanted: gap.wanted, found: gap.found })
    }
    return fetched
  }

  private async explain(partition: number, wanted: bigint, errorCode: number): Promise<never> {
    if (errorCode === OFFSET_OUT_OF_RANGE) {
      const { start, end } = await this.brokers.bounds(partition)
      if (wanted < start || wanted > end) throw new OffsetOutOfRangeError({ partition, wanted, start, end })
    }
    throw new StaleLeaderError(`partition ${partition} of ${this.brokers.topic} answers with Kafka's error ${errorCode}`)
  }
}
