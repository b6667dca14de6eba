/** The event log in memory: dense offsets, whole appends, waiting readers. What is stored outlives the layer. */
import { encodeLogCreated } from "@tidemark/domain/events/systemRecords"
import { AppendRejectedError, AppendUnknownError, EventLog, LogIdentityError, LogUnavailableError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogBatch, LogIdentity, LogReadError, LogRecord, PartitionPosition, AppendedAt } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

interface StoredPartition {
  /** First offset still stored. */
  start: bigint
  records: Uint8Array[]
}

/**
 * What an append ends as, when the simulation decides: rejected with nothing stored, or unknown with all of it, nothing, or
 * these of its records stored, in the order given.
 */
export type AppendFault = "rejected" | "unknown, stored" | "unknown, not stored" | { readonly stored: readonly LogRecord[] }

/**
 * What is stored. Open to the simulation, which truncates, expires and replaces records.
 *
 * `appendFault` is asked before each append, `onAppend` told after each that stored something (also one whose
 * outcome is unknown to the caller). `isReadable` false: reads, bounds and verification end in `LogUnavailableError`.
 */
export interface MemoryLogDisk {
  identity: LogIdentity | undefined
  readonly partitions: StoredPartition[]
  readonly listeners: Set<() => void>
  appendFault: (batch: readonly LogRecord[]) => AppendFault | undefined
  onAppend: (stored: readonly AppendedAt[]) => void
  isReadable: () => boolean
  /** The log's own clock, Unix ms; undefined when nobody gives it one. */
  nowMs: () => number | undefined
}

/** An empty disk without faults. */
export const createMemoryLogDisk = (): MemoryLogDisk => ({
  identity: undefined, partitions: [], listeners: new Set(), appendFault: () => undefined, onAppend: () => {}, isReadable: () => true, nowMs: () => undefined
})

const create = (disk: MemoryLogDisk, identity: LogIdentity): LogIdentity => {
  disk.identity = identity
  const { partitions, lanes, logId, createdAtMs } = identity
  for (let partition = 0; partition < partitions; partition++)
    disk.partitions.push({ start: 0n, records: [encodeLogCreated({ timeMs: createdAtMs, logId, partitions, lanes, partition })] })
  return identity
}

/** Puts another log in the place of the one on the disk: new, or with the records of the old one behind its first records. Readers that wait are woken. */
export const replaceLog = (disk: MemoryLogDisk, identity: LogIdentity, keepsRecords: boolean): void => {
  const before = disk.partitions.splice(0)
  create(disk, identity)
  if (keepsRecords) for (const [partition, stored] of disk.partitions.entries()) stored.records.push(...before[partition]?.records.slice(1) ?? [])
  wakeAll(disk.listeners)
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
  return [{ partition, firstOffset: nextOffset, bytes, ends, more: first + parts.length < stored.records.length }]
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

const store = (disk: MemoryLogDisk, batch: readonly LogRecord[]): readonly AppendedAt[] => {
  const appendedAtMs = disk.nowMs()
  const stored = batch.map(({ partition, value }) => {
    const target = disk.partitions[partition] ?? { start: 0n, records: [] }
    target.records.push(value.slice())
    return { partition, offset: endOf(target) - 1n, appendedAtMs }
  })
  disk.onAppend(stored)
  wakeAll(disk.listeners)
  return stored
}

const append = (disk: MemoryLogDisk, batch: readonly LogRecord[]): Effect.Effect<readonly AppendedAt[], AppendRejectedError | AppendUnknownError> => {
  const stranger = batch.find(({ partition }) => disk.partitions[partition] === undefined)
  if (stranger !== undefined) return Effect.fail(new AppendRejectedError({ reason: `no partition ${stranger.partition}` }))
  const fault = disk.appendFault(batch)
  if (fault === "rejected") return Effect.fail(new AppendRejectedError({ reason: "simulated" }))
  if (fault === undefined) return Effect.succeed(store(disk, batch))
  const kept = typeof fault === "object" ? fault.stored : fault === "unknown, stored" ? batch : []
  if (kept.length > 0) store(disk, kept)
  return Effect.fail(new AppendUnknownError({ reason: "simulated" }))
}

/** Ends when something is appended; the listener is set at once. The scheduler, not the writer, runs who waited. */
const appended = (disk: MemoryLogDisk): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const wake = () => {
      disk.listeners.delete(wake)
      resume(Effect.void)
    }
    disk.listeners.add(wake)
    return Effect.sync(() => void disk.listeners.delete(wake))
  }).pipe(Effect.andThen(Effect.yieldNow))

const whenReadable = <A, E>(disk: MemoryLogDisk, effect: Effect.Effect<A, E>): Effect.Effect<A, E | LogUnavailableError> =>
  Effect.suspend((): Effect.Effect<A, E | LogUnavailableError> => (disk.isReadable() ? effect : Effect.fail(new LogUnavailableError({ cause: new Error("simulated") }))))

/** Another log has come in the place of the one that was opened. */
const identityFault = (disk: MemoryLogDisk, { logId, partitions }: LogIdentity): LogIdentityError | undefined => {
  const now = disk.identity
  if (now === undefined || (now.logId === logId && now.partitions === partitions)) return undefined
  return new LogIdentityError({ logId, detail: `it is log ${now.logId} of ${now.partitions} partitions now` })
}

const makeLog = (disk: MemoryLogDisk, identity: LogIdentity): EventLogShape => ({
  identity,
  append: (batch) => Effect.suspend(() => append(disk, batch)),
  read: (from, { bytesMax, waitMaxMs }) => {
    const look: Effect.Effect<readonly LogBatch[], LogReadError> = whenReadable(disk, Effect.suspend((): Effect.Effect<readonly LogBatch[], LogReadError> => {
      const fault = identityFault(disk, identity)
      return fault === undefined ? readNow(disk, from, bytesMax) : Effect.fail(fault)
    }))
    if (waitMaxMs <= 0) return look
    return Effect.gen(function* () {
      for (;;) {
        const found = yield* look
        if (found.length > 0) return found
        yield* appended(disk)
      }
    }).pipe(
      Effect.timeoutOption(waitMaxMs),
      Effect.map(Option.getOrElse((): readonly LogBatch[] => []))
    )
  },
  bounds: (partition) => whenReadable(disk, Effect.sync(() => {
    const stored = disk.partitions[partition] ?? { start: 0n, records: [] }
    return { start: stored.start, end: endOf(stored) }
  })),
  verify: (partition, from = 0n) => whenReadable(disk, Effect.sync(() => {
    const stored = disk.partitions[partition] ?? { start: 0n, records: [] }
    return { records: endOf(stored) - (from > stored.start ? from : stored.start), blocks: 1 }
  }))
})

/** The log on `disk`, created with `identity` unless there is one already. */
export const memoryEventLog = (disk: MemoryLogDisk, identity: LogIdentity): Layer.Layer<EventLog> =>
  Layer.effect(EventLog, Effect.sync(() => makeLog(disk, disk.identity ?? create(disk, identity))))
