/**
 * Bugs that the simulation must catch. Each is planted from outside, by wrapping an engine or replacing a method for the
 * length of one run: production code has no switch that could turn one on. Numbers are those of the fault plan.
 *
 * A plant says each time that it made a difference, and where: one that changes nothing would prove nothing.
 */
import { DuplicateTable } from "@tidemark/domain/events/duplicateTable"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import { PartitionState } from "@tidemark/domain/events/partitionState"
import type { Observation } from "@tidemark/domain/events/partitionState"
import { DecimalSum } from "@tidemark/domain/measures/decimal-sum"
import type { Scaled } from "@tidemark/domain/measures/decimal"
import type { EventLogShape, LogIdentity } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndexShape } from "@tidemark/domain/ports/PartitionIndex"
import type { LaneCommit, LaneId, ReadModelStoreShape, Row } from "@tidemark/domain/ports/ReadModelStore"
import type { WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import { DeltaTable } from "../runtime/deltas.ts"
import type { MemoryLogDisk } from "./memoryEventLog.ts"
import { laneKey, rowId } from "./memoryModelState.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import type { MemoryWindowDisk } from "./memoryWindowIndex.ts"

/** Told where the bug has just made something other than it had to be: a lane, a partition, an event. */
export type TookEffect = (where: string) => void

export interface PlantedBug {
  /** Its number in the fault plan; undefined when it has none. */
  readonly number?: number
  readonly name: string
  readonly wrapLog?: (log: EventLogShape, disk: MemoryLogDisk, tookEffect: TookEffect) => EventLogShape
  readonly wrapStore?: (store: ReadModelStoreShape, disk: MemoryModelDisk, tookEffect: TookEffect) => ReadModelStoreShape
  /** The partition index of processes that accept events, in a world in which the product does. */
  readonly wrapIngestIndex?: (index: PartitionIndexShape, tookEffect: TookEffect) => PartitionIndexShape
  readonly wrapWindows?: (index: WindowIndexShape, disk: MemoryWindowDisk, tookEffect: TookEffect) => WindowIndexShape
  /** Replaces something until the answer is called. `nowMs`: the world's clock. */
  readonly plant?: (nowMs: () => number, tookEffect: TookEffect) => () => void
}

/** Replaces a method; answers how to put it back. */
const replaceMethod = (prototype: object, name: string, method: (...values: never[]) => unknown): (() => void) => {
  const original: unknown = Reflect.get(prototype, name)
  Reflect.set(prototype, name, method)
  return () => void Reflect.set(prototype, name, original)
}

const storedRow = (disk: MemoryModelDisk, lane: LaneId, row: Row): Row | undefined => disk.state.rows.get(rowId(lane, row))?.row

const storedPartitions = (disk: MemoryModelDisk, commit: LaneCommit) => disk.state.checkpoints.get(laneKey(commit.lane))?.partitions ?? commit.next

const expectedNow = (disk: MemoryModelDisk, commit: LaneCommit): LaneCommit => {
  const checkpoint = disk.state.checkpoints.get(laneKey(commit.lane))
  if (checkpoint === undefined) return commit
  return { ...commit, epoch: checkpoint.epoch, expected: checkpoint.partitions.map(({ partition, nextOffset }) => ({ partition, nextOffset })) }
}

/** Tells of every lane of the commits. */
const told = (commits: readonly LaneCommit[], tookEffect: TookEffect): Effect.Effect<void> =>
  Effect.sync(() => { for (const { lane } of commits) tookEffect(laneKey(lane)) })

const isBeyond = (stored: LaneCommit, commit: LaneCommit): boolean =>
  stored.epoch !== commit.epoch || stored.expected.some(({ partition, nextOffset }) => commit.expected.some((other) => other.partition === partition && other.nextOffset !== nextOffset))

/** A commit is taken whoever owns the lane and wherever its checkpoint stands. */
const noEpochFence: PlantedBug = {
  number: 1, name: "no-epoch-fence",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    commit: (commits) => Effect.suspend(() => {
      const taken = commits.map((commit) => expectedNow(disk, commit))
      for (const [at, commit] of commits.entries()) if (isBeyond(taken[at] ?? commit, commit)) tookEffect(laneKey(commit.lane))
      return store.commit(taken)
    })
  })
}

/** `now` plus what `after` added to `before`. */
const addDelta = (now: Row, before: Row | undefined, after: Row): Row => ({
  ...now, events: now.events + after.events - (before?.events ?? 0n), fingerprint: BigInt.asUintN(64, now.fingerprint + after.fingerprint - (before?.fingerprint ?? 0n)), revision: now.revision + 1n
})

/** After an outcome that is unknown the deltas are merged into the rows once more. */
const deltasReapplied: PlantedBug = {
  number: 2, name: "deltas-reapplied",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    commit: (commits) => Effect.suspend(() => {
      const before = commits.map(({ lane, rows }) => rows.map((row) => storedRow(disk, lane, row)))
      const again = (): readonly LaneCommit[] => commits.map((commit, at) => ({
        ...expectedNow(disk, commit), next: storedPartitions(disk, commit),
        rows: commit.rows.map((row, index) => addDelta(storedRow(disk, commit.lane, row) ?? { ...row, events: 0n, fingerprint: 0n }, before[at]?.[index], row))
      }))
      const repeat = Effect.andThen(told(commits, tookEffect), Effect.suspend(() => store.commit(again())))
      return Effect.tapError(store.commit(commits), ({ _tag }) => (_tag === "CommitUnknownError" ? Effect.ignore(repeat) : Effect.void))
    })
  })
}

/** Rows and ledgers first, the checkpoint in a transaction of its own. */
const checkpointOutside: PlantedBug = {
  number: 3, name: "checkpoint-outside",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    commit: (commits) => Effect.suspend(() => {
      const rowsOnly = commits.map((commit) => ({ ...commit, next: storedPartitions(disk, commit) }))
      const checkpointOnly = commits.map((commit) => ({ ...commit, rows: [], late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: [] }))
      return Effect.andThen(told(commits, tookEffect), Effect.andThen(store.commit(rowsOnly), store.commit(checkpointOnly)))
    })
  })
}

/** No event is a duplicate. */
const dedupeOff: PlantedBug = {
  number: 4, name: "dedupe-off",
  plant: (_nowMs, tookEffect) => {
    const { has } = DuplicateTable.prototype
    return replaceMethod(DuplicateTable.prototype, "has", function (this: DuplicateTable, hi: number, lo: number, nowMs: number) {
      if (has.call(this, hi, lo, nowMs)) tookEffect("a duplicate")
      return false
    })
  }
}

/** Ingest answers first and stores a little later. */
const earlyAck: PlantedBug = {
  number: 5, name: "early-ack",
  wrapLog: (log, _disk, tookEffect) => ({
    ...log,
    append: (batch) => Effect.sleep(50).pipe(
      Effect.andThen(log.append(batch)), Effect.ignore, Effect.forkDetach, Effect.andThen(Effect.sync(() => tookEffect("an append"))),
      Effect.as(batch.map(({ partition }) => ({ partition, offset: -1n, appendedAtMs: undefined })))
    )
  })
}

/** A reader whose offset is gone goes on with the newest record, as if it were the one it wanted. */
const resetToLatest: PlantedBug = {
  number: 6, name: "reset-to-latest",
  wrapLog: (log, disk, tookEffect) => {
    const jumps = new Map<number, bigint>()
    return {
      ...log,
      bounds: (partition) => Effect.map(log.bounds(partition), ({ end }) => ({ start: 0n, end })),
      read: (from, options) => Effect.suspend(() => {
        for (const { partition, nextOffset } of from) {
          const stored = disk.partitions[partition]
          if (stored === undefined || nextOffset >= stored.start || jumps.has(partition)) continue
          jumps.set(partition, stored.start + BigInt(stored.records.length) - nextOffset)
          tookEffect(`partition ${partition}`)
        }
        const wanted = from.map(({ partition, nextOffset }) => ({ partition, nextOffset: nextOffset + (jumps.get(partition) ?? 0n) }))
        return Effect.map(log.read(wanted, options), (batches) => batches.map((batch) => ({ ...batch, firstOffset: batch.firstOffset - (jumps.get(batch.partition) ?? 0n) })))
      })
    }
  }
}

const partitionOf = (state: PartitionState): string => `partition ${String(Reflect.get(state, "partition"))}`

/** Lateness is judged by the clock on the wall. */
const wallClockLateness: PlantedBug = {
  number: 8, name: "wall-clock-lateness",
  plant: (nowMs, tookEffect) => {
    const { observe } = PartitionState.prototype
    return replaceMethod(PartitionState.prototype, "observe", function (this: PartitionState, decoded: DecodedRecord, into?: Observation) {
      const observed = observe.call(this, decoded, into)
      if (decoded.kind === "event" && observed.maxEventTimeMs !== nowMs()) tookEffect(partitionOf(this))
      observed.maxEventTimeMs = nowMs()
      return observed
    })
  }
}

/** Sums are doubles in the measure's unit. */
const floatSums: PlantedBug = {
  number: 9, name: "float-sums",
  plant: (_nowMs, tookEffect) => replaceMethod(DecimalSum.prototype, "addScaled", function (this: DecimalSum, scaled: Scaled) {
    const exact = this.value() + BigInt(scaled)
    const big = BigInt(Math.round((Number(this.value()) / 1e6 + Number(scaled) / 1e6) * 1e6))
    if (big !== exact) tookEffect(`a sum of ${exact}`)
    Object.assign(this, { small: 0, big })
  })
}

/** Windows that a flush still takes. */
const WINDOWS_KEPT = 3

/** Deltas of the oldest windows leave memory before they are committed. */
const deltasDropped: PlantedBug = {
  number: 10, name: "deltas-dropped",
  plant: (_nowMs, tookEffect) => {
    const { windows } = DeltaTable.prototype
    return replaceMethod(DeltaTable.prototype, "windows", function (this: DeltaTable) {
      const all = windows.call(this)
      if (all.length > WINDOWS_KEPT) tookEffect(`${all.length - WINDOWS_KEPT} windows`)
      return all.slice(-WINDOWS_KEPT)
    })
  }
}

/** What a failed commit was to write is taken for what is stored. */
const cacheKept: PlantedBug = {
  name: "cache-kept",
  wrapStore: (store, _disk, tookEffect) => {
    const kept = new Map<string, Row>()
    return {
      ...store,
      readRows: (lane, keys) => Effect.map(store.readRows(lane, keys), (rows) => rows.map((row, at) => {
        const key = keys[at]
        const cached = key === undefined ? undefined : kept.get(rowId(lane, key))
        if (cached !== undefined && cached.revision !== row?.revision) tookEffect(laneKey(lane))
        return cached ?? row
      })),
      commit: (commits) => store.commit(commits).pipe(
        Effect.tap(() => Effect.sync(() => { for (const { lane, rows } of commits) for (const row of rows) kept.delete(rowId(lane, row)) })),
        Effect.tapError(({ _tag }) => Effect.sync(() => { if (_tag !== "FencedError") for (const { lane, rows } of commits) for (const row of rows) kept.set(rowId(lane, row), row) }))
      )
    }
  }
}

/** Deltas are merged into hours twice. */
const doubleRollUp: PlantedBug = {
  name: "double-roll-up",
  wrapStore: (store, disk, tookEffect) => ({
    ...store,
    commit: (commits) => Effect.suspend(() => store.commit(commits.map((commit) => ({
      ...commit,
      rows: commit.rows.map((row) => {
        if (row.resolution !== 1) return row
        tookEffect(laneKey(commit.lane))
        return { ...addDelta(row, storedRow(disk, commit.lane, row), row), revision: row.revision }
      })
    }))))
  })
}

/** Imports move M, by the way that moves it for live events. */
const backfillMovesM: PlantedBug = {
  name: "backfill-moves-m",
  plant: (_nowMs, tookEffect) => {
    const { observe } = PartitionState.prototype
    const moveTenant: unknown = Reflect.get(PartitionState.prototype, "moveTenant")
    if (typeof moveTenant !== "function") throw new Error("M is moved in another way than this bug knows")
    return replaceMethod(PartitionState.prototype, "observe", function (this: PartitionState, decoded: DecodedRecord, into?: Observation) {
      const observed = observe.call(this, decoded, into)
      if (decoded.kind === "event" && decoded.event.backfill !== undefined) {
        const { tenantId, timeMs } = decoded.event
        const beforeMs = this.tenantMaxMs().get(tenantId) ?? -Infinity
        moveTenant.call(this, tenantId, timeMs)
        const afterMs = this.tenantMaxMs().get(tenantId) ?? -Infinity
        if (Number.isFinite(afterMs) && afterMs > beforeMs) tookEffect(partitionOf(this))
      }
      return observed
    })
  }
}

const timeOf = (decoded: DecodedRecord): number | undefined => {
  if (decoded.kind === "undecodable") return undefined
  return decoded.kind === "event" ? decoded.event.receivedAtMs : decoded.record.timeMs
}

/** R is the receive time of the last record: right as long as one clock gives them all. */
const clockOfLastRecord: PlantedBug = {
  name: "clock-of-last-record",
  plant: (_nowMs, tookEffect) => {
    const { observe } = PartitionState.prototype
    return replaceMethod(PartitionState.prototype, "observe", function (this: PartitionState, decoded: DecodedRecord, into?: Observation) {
      const observed = observe.call(this, decoded, into)
      const timeMs = timeOf(decoded)
      if (timeMs === undefined || timeMs >= this.receivedMaxMs) return observed
      tookEffect(partitionOf(this))
      Reflect.set(this, "receivedMs", timeMs)
      if (this.receivedMaxMs !== timeMs) throw new Error("R is kept in another place than this bug knows")
      return observed
    })
  }
}

/** A read of several records that was cut to its size hands out the last one without its last byte. */
const cutRecord: PlantedBug = {
  name: "cut-record",
  wrapLog: (log, _disk, tookEffect) => ({
    ...log,
    read: (from, options) => Effect.map(log.read(from, options), (batches) => batches.map((batch) => {
      if (!batch.more || batch.ends.length < 2) return batch
      tookEffect(`partition ${batch.partition}`)
      const ends = batch.ends.map((end, at) => (at === batch.ends.length - 1 ? end - 1 : end))
      return { ...batch, ends, bytes: batch.bytes.subarray(0, -1) }
    }))
  })
}

/** What is held in memory is not counted: no lane ever reaches its limit of rows. */
const rowsNotCounted: PlantedBug = {
  name: "rows-not-counted",
  plant: (_nowMs, tookEffect) => {
    const { count } = DeltaTable.prototype
    return replaceMethod(DeltaTable.prototype, "count", function (this: DeltaTable, ...counted: Parameters<typeof count>) {
      const accumulators = count.apply(this, counted)
      if (this.size > 0) tookEffect("a row")
      this.size = 0
      return accumulators
    })
  }
}

/** Of each log that bug has seen. */
const firstIdentities = new WeakMap<MemoryLogDisk, LogIdentity>()

/** Nobody looks whose log it is: another one is taken for the one that was there first. */
const identityTrusted: PlantedBug = {
  name: "identity-trusted",
  wrapLog: (log, disk, tookEffect) => {
    const first = firstIdentities.get(disk) ?? log.identity
    firstIdentities.set(disk, first)
    if (first !== log.identity) tookEffect(`log ${log.identity.logId}`)
    return { ...log, identity: first }
  }
}

/** Bugs of runtime, log and ingest. Those of the window index, of rebuilds and of the command that accepts events are planted in worlds that have one. */
export const plantedBugs: readonly PlantedBug[] = [
  noEpochFence, deltasReapplied, checkpointOutside, dedupeOff, earlyAck, resetToLatest, wallClockLateness, floatSums, deltasDropped, cacheKept, doubleRollUp, backfillMovesM,
  clockOfLastRecord, cutRecord, rowsNotCounted, identityTrusted
]
