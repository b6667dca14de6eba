/**
 * Where the past was: a position as asked for, or the position at a time, and what each partition's prefix said there of
 * M and R. Read from the nearest clocks that the partition index keeps. Rules: docs/semantics.md §3.2, §8.
 */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import type { GenerationRecord, LaneCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { PartitionReader, PastPositionError, recordOf } from "./pastReading.ts"
import type { ReadBudget } from "./pastReading.ts"

/**
 * A position, every partition named once; or a time, Unix ms, which stands for the first offset of each partition whose R
 * is later, and where there is none yet, for what has been folded.
 */
export type AsOf = { readonly position: readonly PartitionPosition[] } | { readonly timeMs: number }

const finite = (ms: number): number | null => (Number.isFinite(ms) ? ms : null)

/** M and R of a prefix, moved on record by record. */
class RunningClocks {
  nextOffset: bigint
  private readonly partition: number
  private receivedMs: number
  private heartbeatMs: number
  private readonly tenants: Map<string, number>

  constructor(partition: number, nextOffset: bigint, stored: PrefixClocks | undefined) {
    this.partition = partition
    this.nextOffset = nextOffset
    this.receivedMs = stored?.receivedMaxMs ?? -Infinity
    this.heartbeatMs = stored?.heartbeatMaxMs ?? -Infinity
    this.tenants = new Map(stored?.tenantMaxMs)
  }

  /** Takes the next record; false when R would pass `receivedMaxMs` with it, and then it is not taken. */
  take(decoded: DecodedRecord, receivedMaxMs: number): boolean {
    const atMs = decoded.kind === "event" ? decoded.event.receivedAtMs : decoded.kind === "system" ? decoded.record.timeMs : -Infinity
    if (atMs > receivedMaxMs) return false
    this.nextOffset += 1n
    this.receivedMs = Math.max(this.receivedMs, atMs)
    if (decoded.kind === "system" && decoded.record.system === "heartbeat") this.heartbeatMs = Math.max(this.heartbeatMs, atMs)
    if (decoded.kind !== "event" || decoded.event.backfill !== undefined) return true
    const { tenantId, timeMs } = decoded.event
    this.tenants.set(tenantId, Math.max(this.tenants.get(tenantId) ?? -Infinity, timeMs))
    return true
  }

  clocks(): PrefixClocks {
    const { partition, nextOffset, receivedMs, heartbeatMs, tenants } = this
    return { partition, nextOffset, receivedMaxMs: finite(receivedMs), heartbeatMaxMs: finite(heartbeatMs), tenantMaxMs: tenants }
  }
}

/** Clocks of the longest prefix that ends at or below `atMost` and whose R is at most `receivedMaxMs`. `from`: first offset ever folded. */
const readClocks = Effect.fn("readClocks")(function* (partition: number, from: bigint, atMost: bigint, receivedMaxMs: number, budget: ReadBudget) {
  const index = yield* PartitionIndex
  const stored = yield* index.clocks(partition, atMost, receivedMaxMs)
  const running = new RunningClocks(partition, stored?.nextOffset ?? from, stored)
  const reader = new PartitionReader(partition, budget)
  while (running.nextOffset < atMost) {
    const found = yield* reader.from(running.nextOffset)
    if (found === undefined) return yield* new PastPositionError({ detail: `partition ${partition} holds no record at ${running.nextOffset}` })
    const { batch, first } = found
    for (let at = first; at < batch.ends.length && running.nextOffset < atMost; at++) {
      if (!running.take(decodeRecord(recordOf(batch, at)), receivedMaxMs)) return running.clocks()
    }
  }
  return running.clocks()
})

interface Folded {
  /** First offset folded, and the next one to be. */
  readonly from: bigint
  readonly to: bigint
}

/** What a generation has folded of each partition. */
export const foldedOf = ({ coverage }: GenerationRecord, checkpoints: readonly LaneCheckpoint[]): ReadonlyMap<number, Folded> => {
  const starts = new Map(coverage.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  return new Map(checkpoints.flatMap(({ partitions }) => partitions.map(({ partition, nextOffset }) => [partition, { from: starts.get(partition) ?? 0n, to: nextOffset }] as const)))
}

const checkPosition = (position: readonly PartitionPosition[], folded: ReadonlyMap<number, Folded>): string | undefined => {
  const named = new Map(position.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  if (named.size !== position.length) return "names a partition twice"
  const stranger = [...named.keys()].find((partition) => !folded.has(partition))
  if (stranger !== undefined) return `names partition ${stranger}, which the log does not have`
  for (const [partition, { from, to }] of folded) {
    const offset = named.get(partition)
    if (offset === undefined) return `lacks partition ${partition}`
    if (offset < from || offset > to) return `is at ${offset} of partition ${partition}, which was folded from ${from} to ${to}`
  }
  return undefined
}

/** The clocks of every partition as of then, by partition. */
export const locate = Effect.fn("locate")(function* (asOf: AsOf, folded: ReadonlyMap<number, Folded>, budget: ReadBudget) {
  const fault = "position" in asOf ? checkPosition(asOf.position, folded) : undefined
  if (fault !== undefined) return yield* new PastPositionError({ detail: fault })
  const wanted = "position" in asOf ? new Map(asOf.position.map(({ partition, nextOffset }) => [partition, nextOffset] as const)) : undefined
  const receivedMaxMs = "timeMs" in asOf ? asOf.timeMs : Infinity
  const prefixes: PrefixClocks[] = []
  for (const [partition, { from, to }] of [...folded].sort(([a], [b]) => a - b)) {
    prefixes.push(yield* readClocks(partition, from, wanted?.get(partition) ?? to, receivedMaxMs, budget))
  }
  const found: readonly PrefixClocks[] = prefixes
  return found
})
