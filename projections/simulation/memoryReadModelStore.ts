/**
 * The read-model store in memory: a commit is all or nothing under the compare-and-set, a snapshot never moves.
 *
 * What is stored outlives the layer. Writes replace the state by a copy only while a snapshot holds it.
 */
import { CommitUnknownError, FencedError, GenerationMissingError, ReadModelStore, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type {
  GenerationRecord, KeyCount, LaneCheckpoint, LaneCommit, LaneId, PartitionCheckpoint, ReadModelStoreShape
} from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { dropGeneration, flip, follow, generationSize } from "./memoryGenerations.ts"
import { copyState, countId, emptyState, laneKey, ledgerKey, makeSnapshot, rowId } from "./memoryModelState.ts"
import type { ModelState } from "./memoryModelState.ts"

/**
 * What a commit ends as, when the simulation decides: nothing changed, unknown with or without effect, or fenced
 * because another owner takes over the first lane just before it.
 */
export type CommitFault = "unavailable" | "unknown, stored" | "unknown, not stored" | "fenced"

/**
 * What is stored. `commitFault` is asked before each commit, `onCommit` told after each that took effect.
 * `isDown` true: everything but commits ends in `StoreUnavailableError`, with nothing changed.
 */
export interface MemoryModelDisk {
  state: ModelState
  /** True while a snapshot may hold `state`. */
  shared: boolean
  commitFault: (commits: readonly LaneCommit[]) => CommitFault | undefined
  onCommit: (commits: readonly LaneCommit[]) => void
  /** Told after generations were made, dropped, followed or served. */
  onGenerations: () => void
  isDown: () => boolean
  /** Changes when the simulation loses committed transactions. */
  incarnation: string
}

/** An empty disk without faults. */
export const createMemoryModelDisk = (): MemoryModelDisk => ({
  state: emptyState(), shared: false, commitFault: () => undefined, onCommit: () => {}, onGenerations: () => {}, isDown: () => false,
  incarnation: "00000001"
})

/** The state to write to. */
export const writable = (disk: MemoryModelDisk): ModelState => {
  if (disk.shared) {
    disk.state = copyState(disk.state)
    disk.shared = false
  }
  return disk.state
}

const zeroCheckpoint = (partition: number, nextOffset: bigint): PartitionCheckpoint => ({
  partition,
  nextOffset,
  lastRecordHash: "",
  counters: { records: 0n, system: 0n, events: 0n, folded: 0n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n },
  receivedMaxMs: null,
  heartbeatMaxMs: null,
  tenantMaxMs: new Map()
})

const createGeneration = (state: ModelState, record: GenerationRecord, lanes: readonly { readonly lane: number; readonly partitions: readonly number[] }[]): void => {
  const { projection, generation } = record
  const key = `${projection}/${generation}`
  if (state.generations.has(key)) return
  state.generations.set(key, record)
  const starts = new Map(record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
  for (const { lane, partitions } of lanes) {
    const id = { projection, generation, lane }
    const zero = partitions.map((partition) => zeroCheckpoint(partition, starts.get(partition) ?? 0n))
    state.checkpoints.set(laneKey(id), { lane: id, epoch: 0n, partitions: zero, digest: new Uint8Array(4_096) })
  }
}

const holds = (state: ModelState, { lane, epoch, expected }: LaneCommit): boolean => {
  const stored = state.checkpoints.get(laneKey(lane))
  if (stored === undefined || stored.epoch !== epoch || stored.partitions.length !== expected.length) return false
  const offsets = new Map(stored.partitions.map(({ partition, nextOffset }) => [partition, nextOffset]))
  return expected.every(({ partition, nextOffset }) => offsets.get(partition) === nextOffset)
}


/** What is stored shares nothing with its writer, who may go on changing it; no more does what is read. */
const copyBytes = (values: readonly Uint8Array[]): readonly Uint8Array[] => values.map((value) => value.slice())
const copyPartitions = (partitions: readonly PartitionCheckpoint[]): readonly PartitionCheckpoint[] =>
  partitions.map((partition) => ({ ...partition, counters: { ...partition.counters }, tenantMaxMs: new Map(partition.tenantMaxMs) }))

const sameLane = (a: LaneId, b: LaneId): boolean => laneKey(a) === laneKey(b)

const dropBelow = (state: ModelState, lane: LaneId, beforeMs: number): void => {
  for (const [id, { lane: owner, row }] of state.rows) {
    if (!sameLane(owner, lane) || row.windowStartMs >= beforeMs) continue
    state.rows.delete(id)
    state.keyCounts.delete(countId(lane, row))
  }
}

const write = (state: ModelState, commit: LaneCommit): void => {
  const { lane, epoch, next, digest, hints, dropBelowMs } = commit
  if (dropBelowMs !== null) dropBelow(state, lane, dropBelowMs)
  for (const row of commit.rows) state.rows.set(rowId(lane, row), { lane, row: { ...row, measures: copyBytes(row.measures), lane: lane.lane } })
  for (const entry of commit.late) state.late.set(ledgerKey(lane, entry), { lane, entry })
  for (const entry of commit.duplicates) state.duplicates.set(ledgerKey(lane, entry), { lane, entry })
  for (const entry of commit.deadLetters) state.deadLetters.set(ledgerKey(lane, entry), { lane, entry })
  for (const count of commit.keyCounts) {
    const id = countId(lane, count)
    state.keyCounts.set(id, new Map(state.keyCounts.get(id)).set(count.partition, count.keys))
  }
  if (hints.length > 0) {
    state.sequence += 1n
    state.outbox.set(state.sequence, { sequence: state.sequence, lane, hints })
  }
  state.checkpoints.set(laneKey(lane), { lane, epoch, partitions: copyPartitions(next), digest: digest.slice() })
}

const commitNow = (disk: MemoryModelDisk, commits: readonly LaneCommit[]): Effect.Effect<void, FencedError> => {
  const fenced = commits.find((commit) => !holds(disk.state, commit))
  if (fenced !== undefined) return Effect.fail(new FencedError({ ...fenced.lane, epoch: fenced.epoch }))
  const state = writable(disk)
  for (const commit of commits) write(state, commit)
  disk.onCommit(commits)
  return Effect.void
}

const takeOver = (disk: MemoryModelDisk, lane: LaneId): Effect.Effect<LaneCheckpoint, GenerationMissingError> => {
  const stored = disk.state.checkpoints.get(laneKey(lane))
  if (stored === undefined) return Effect.fail(new GenerationMissingError({ projection: lane.projection, generation: lane.generation }))
  const checkpoint = { ...stored, epoch: stored.epoch + 1n }
  writable(disk).checkpoints.set(laneKey(lane), checkpoint)
  return Effect.succeed({ ...checkpoint, partitions: copyPartitions(checkpoint.partitions), digest: checkpoint.digest.slice() })
}

const named = { store: "memory", cause: new Error("simulated") }

const commit = (disk: MemoryModelDisk, commits: readonly LaneCommit[]): Effect.Effect<void, FencedError | StoreUnavailableError | CommitUnknownError> => {
  const fault = disk.commitFault(commits)
  if (fault === undefined) return commitNow(disk, commits)
  if (fault === "unavailable") return Effect.fail(new StoreUnavailableError(named))
  const [first] = commits
  if (fault === "fenced") return first === undefined ? Effect.void : takeOver(disk, first.lane).pipe(Effect.ignore, Effect.andThen(commitNow(disk, commits)))
  const effect = fault === "unknown, stored" ? commitNow(disk, commits) : Effect.void
  return Effect.andThen(effect, Effect.fail(new CommitUnknownError(named)))
}

const registerOutbox = (state: ModelState, consumer: string): { readonly cursor: bigint; readonly created: boolean } => {
  const known = state.outboxCursors.get(consumer)
  if (known !== undefined) return { cursor: known, created: false }
  const [oldest] = state.outbox.keys()
  const cursor = oldest === undefined ? state.sequence : oldest - 1n
  state.outboxCursors.set(consumer, cursor)
  return { cursor, created: true }
}

/** Removes what every registered consumer is done with. */
const trimOutbox = ({ outbox, outboxCursors }: ModelState): void => {
  if (outboxCursors.size === 0) return
  const cursors = [...outboxCursors.values()]
  for (const sequence of outbox.keys()) if (cursors.every((cursor) => cursor >= sequence)) outbox.delete(sequence)
}

const makeStore = (disk: MemoryModelDisk): ReadModelStoreShape => {
  const up = <A, E = never>(effect: () => Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnavailableError> =>
    Effect.suspend((): Effect.Effect<A, E | StoreUnavailableError> => (disk.isDown() ? Effect.fail(new StoreUnavailableError(named)) : effect()))
  const ofGenerations = <A, E>(effect: () => Effect.Effect<A, E>): Effect.Effect<A, E | StoreUnavailableError> => Effect.tap(up(effect), () => Effect.sync(disk.onGenerations))
  const upSync = <A>(act: () => A): Effect.Effect<A, StoreUnavailableError> => up(() => Effect.sync(act))
  return {
    createGeneration: (record, lanes) => ofGenerations(() => Effect.sync(() => createGeneration(writable(disk), record, lanes))),
    takeOver: (lane) => up(() => takeOver(disk, lane)),
    readRows: (lane, keys) => upSync(() => keys.map((key) => {
      const found = disk.state.rows.get(rowId(lane, key))
      if (found === undefined) return undefined
      const { lane: _lane, ...row } = found.row
      return { ...row, measures: copyBytes(row.measures) }
    })),
    visitRowsBelow: (lane, beforeMs, visit) => upSync(() => {
      const found = [...disk.state.rows.values()].filter(({ lane: owner, row }) => sameLane(owner, lane) && row.windowStartMs < beforeMs)
      if (found.length > 0) visit(found.map(({ row: { lane: _lane, ...row } }) => ({ ...row, measures: copyBytes(row.measures) })))
    }),
    readKeyCounts: (lane, windows) => upSync(() => windows.flatMap(({ tenantId, windowStartMs }): KeyCount[] =>
      [...(disk.state.keyCounts.get(countId(lane, { tenantId, windowStartMs })) ?? [])].map(([partition, keys]) => ({ tenantId, windowStartMs, partition, keys })))),
    commit: (commits) => Effect.suspend(() => commit(disk, commits)),
    snapshot: upSync(() => {
      disk.shared = true
      return makeSnapshot(disk.state)
    }),
    flip: (projection, generation, expectedVersion) => ofGenerations(() => flip(disk.state, () => writable(disk), { projection, generation }, expectedVersion)),
    follow: (id, isFollowed) => ofGenerations(() => follow(disk.state, () => writable(disk), id, isFollowed)),
    dropGeneration: (id) => ofGenerations(() => dropGeneration(disk.state, () => writable(disk), id)),
    generationSize: (id) => upSync(() => generationSize(disk.state, id)),
    recordHalt: (halt) => upSync(() => void writable(disk).halts.set(laneKey(halt), halt)),
    clearHalt: (lane) => upSync(() => void writable(disk).halts.delete(laneKey(lane))),
    incarnation: upSync(() => disk.incarnation),
    registerOutbox: (consumer) => upSync(() => registerOutbox(writable(disk), consumer)),
    readOutbox: (consumer, after, limit) => upSync(() => {
      const cursor = disk.state.outboxCursors.get(consumer)
      if (cursor === undefined) return []
      return [...disk.state.outbox.values()].filter(({ sequence }) => sequence > cursor && sequence > after).slice(0, limit)
    }),
    ackOutbox: (consumer, upTo) => upSync(() => {
      const state = writable(disk)
      const cursor = state.outboxCursors.get(consumer)
      if (cursor === undefined || cursor >= upTo) return
      state.outboxCursors.set(consumer, upTo)
      trimOutbox(state)
    }),
    forgetOutbox: (consumer) => upSync(() => {
      const state = writable(disk)
      state.outboxCursors.delete(consumer)
      trimOutbox(state)
    })
  }
}

/** The store on `disk`. */
export const memoryReadModelStore = (disk: MemoryModelDisk): Layer.Layer<ReadModelStore> =>
  Layer.effect(ReadModelStore, Effect.sync(() => makeStore(disk)))
