/** The event log in memory: dense offsets, whole appends, waiting readers. What is stored outlives the layer. */
import { encodeLogCreated } from "@tidemark/domain/events/systemRecords"
import { AppendRejectedError, EventLog, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogBatch, LogIdentity, LogRecord, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { Effect, Layer, Option } from "effect"

interface StoredPartition {
  /** First offset still stored. */
  start: bigint
  records: Uint8Array[]
}

/** What is stored. Open to the simulation, which truncates, expires and replaces records. */
export interface MemoryLogDisk {
  identity: LogIdentity | undefined
  readonly partitions: StoredPartition[]
  readonly listeners: Set<() => void>
}

export const createMemoryLogDisk = (): MemoryLogDisk => ({ identity: undefined, partitions: [], listeners: new Set() })

const create = (disk: MemoryLogDisk, identity: LogIdentity): LogIdentity => {
  disk.identity = identity
  const { partitions, lanes, logId, createdAtMs } = identity
  for (let partition = 0; partition < partitions; partition++)
    disk.partitions.push({ start: 0n, records: [encodeLogCreated({ timeMs: createdAtMs, logId, partitions, lanes, partition })] })
  return identity
}

const endOf = ({ start, records }: StoredPartition): bigint => start + BigInt(records.length)

/** Records from the position, at least one when there is any, then while `bytesMax` holds. */
const batchFrom = (stored: StoredPartition, { partition, nextOffset }: PartitionPosition, bytesMax: number): LogBatch[] => {
  const first = Number(nextOffset - stored.start)
  const parts: Uint8Array[] = []
  let length = 0
  for (let at = first; at < stored.records.length && (parts.length === 0 || length < bytesMax); at++) {
    const record = stored.records[at]
    if (record === undefined) break
    parts.push(record)
    length += record.length
  }
  if (parts.length === 0) return []
  const bytes = new Uint8Array(length)
  const ends = new Uint32Array(parts.length)
  let end = 0
  parts.forEach((part, index) => {
    bytes.set(part, end)
    end += part.length
    ends[index] = end
  })
  return [{ partition, firstOffset: nextOffset, bytes, ends }]
}

const readNow = (disk: MemoryLogDisk, from: readonly PartitionPosition[], bytesMax: number): Effect.Effect<readonly LogBatch[], OffsetOutOfRangeError> => {
  const batches: LogBatch[] = []
  for (const position of from) {
    const stored = disk.partitions[position.partition]
    const [start, end] = stored === undefined ? [0n, 0n] : [stored.start, endOf(stored)]
    if (stored === undefined || position.nextOffset < start || position.nextOffset > end)
      return Effect.fail(new OffsetOutOfRangeError({ partition: position.partition, wanted: position.nextOffset, start, end }))
    batches.push(...batchFrom(stored, position, Math.max(1, Math.floor(bytesMax / from.length))))
  }
  return Effect.succeed(batches)
}

/** Wakes who waits now. A woken reader may run at once and wait again: that one is not woken twice. */
const wakeAll = (listeners: ReadonlySet<() => void>): void => {
  for (const wake of Array.from(listeners)) wake()
}

const append = (disk: MemoryLogDisk, batch: readonly LogRecord[]) => {
  const stranger = batch.find(({ partition }) => disk.partitions[partition] === undefined)
  if (stranger !== undefined) return Effect.fail(new AppendRejectedError({ reason: `no partition ${stranger.partition}` }))
  const stored = batch.map(({ partition, value }) => {
    const target = disk.partitions[partition] ?? { start: 0n, records: [] }
    target.records.push(value.slice())
    return { partition, offset: endOf(target) - 1n }
  })
  wakeAll(disk.listeners)
  return Effect.succeed(stored)
}

/** Ends when something is appended; the listener is set at once. */
const appended = (disk: MemoryLogDisk): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const wake = () => {
      disk.listeners.delete(wake)
      resume(Effect.void)
    }
    disk.listeners.add(wake)
    return Effect.sync(() => void disk.listeners.delete(wake))
  })

const makeLog = (disk: MemoryLogDisk, identity: LogIdentity): EventLogShape => ({
  identity,
  append: (batch) => Effect.suspend(() => append(disk, batch)),
  read: (from, { bytesMax, waitMaxMs }) =>
    Effect.gen(function* () {
      for (;;) {
        const found = yield* readNow(disk, from, bytesMax)
        if (found.length > 0 || waitMaxMs <= 0) return found
        yield* appended(disk)
      }
    }).pipe(
      Effect.timeoutOption(Math.max(1, waitMaxMs)),
      Effect.map(Option.getOrElse((): readonly LogBatch[] => []))
    ),
  bounds: (partition) => Effect.sync(() => {
    const stored = disk.partitions[partition] ?? { start: 0n, records: [] }
    return { start: stored.start, end: endOf(stored) }
  }),
  verify: (partition) => Effect.sync(() => ({ records: BigInt(disk.partitions[partition]?.records.length ?? 0), blocks: 1 }))
})

/** The log on `disk`, created with `identity` unless there is one already. */
export const memoryEventLog = (disk: MemoryLogDisk, identity: LogIdentity): Layer.Layer<EventLog> =>
  Layer.effect(EventLog, Effect.sync(() => makeLog(disk, disk.identity ?? create(disk, identity))))
