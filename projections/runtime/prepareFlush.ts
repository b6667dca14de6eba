/** What one flush of one generation changes: deltas merged into the absolute state of minute, hour and day. */
import type { KeyCount, LaneCommit, PartitionCheckpoint, ReadModelStoreShape, ResolutionCode, Row, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import { hashHex } from "@tidemark/domain/measures/hash"
import type { PartitionState } from "@tidemark/domain/events/partitionState"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import * as Effect from "effect/Effect"
import { admitKeys } from "./admitKeys.ts"
import { addTally, conservationFault } from "./conservation.ts"
import type { WindowDeltas } from "./deltas.ts"
import type { GenerationLane } from "./generationLane.ts"
import { HaltError } from "./halt.ts"
import { BaseSums, longerSums } from "./laneSums.ts"
import type { LevelSums } from "./laneSums.ts"
import type { PartitionFold } from "./partitionFold.ts"
import { dropExpired } from "./retention.ts"
import { addSums, cloneSums } from "./rowSums.ts"
import type { RowState, WindowStates } from "./rowStates.ts"

/** A partition as its reader stands at the flush. */
export interface ReaderState {
  readonly state: PartitionState
  /** Bytes of the last record read; undefined before the first. */
  readonly lastRecord: Uint8Array | undefined
}

interface WindowOf {
  readonly partition: number
  readonly window: WindowDeltas
}

const baseCode: ResolutionCode = RESOLUTIONS[0].code

/** Start of the window of `sizeMs` that holds a base window, which may be shorter than a minute. */
const startOf = ({ windowStartMs }: WindowDeltas, code: ResolutionCode, sizeMs: number): number => (code === baseCode ? windowStartMs : windowStart(windowStartMs, sizeMs))

/**
 * Loads the committed rows and key counts this flush builds on, as far as they are not cached; the overflow row only
 * where a cap may be reached. A minute in which no partition of the lane has admitted a key has no rows.
 */
const loadCommitted = Effect.fn("loadCommitted")(function* (store: ReadModelStoreShape, lane: GenerationLane, windows: readonly WindowOf[]) {
  const missingCounts = lane.keyCounts.missing(windows.map(({ window }) => window))
  if (missingCounts.length > 0) lane.keyCounts.load(missingCounts, yield* store.readKeyCounts(lane.id, missingCounts))
  const { keyMax } = lane.compiled.definition
  const missing = new Map<WindowStates, Map<string, RowKey>>()
  const want = (key: RowKey): void => {
    const states = lane.rows.window(key.resolution, key.windowStartMs)
    if (states.has(key.keyId)) return
    let keys = missing.get(states)
    if (keys === undefined) missing.set(states, (keys = new Map()))
    keys.set(key.keyId, key)
  }
  for (const { partition, window } of windows) {
    const { tenantId } = window
    const mayOverflow = lane.keyCounts.get(window, partition) + window.keys.size > keyMax
    for (const { code, sizeMs } of RESOLUTIONS) {
      if (code === baseCode && lane.keyCounts.isEmpty(window)) continue
      const windowStartMs = startOf(window, code, sizeMs)
      for (const { keyId } of window.keys.values()) want({ tenantId, resolution: code, windowStartMs, keyId })
      if (mayOverflow) want({ tenantId, resolution: code, windowStartMs, keyId: keyIdOf(tenantId, lane.compiled.dimensionNames.map(() => OTHER)) })
    }
  }
  const keys = [...missing.values()].flatMap((wanted) => [...wanted.values()])
  if (keys.length === 0) return
  for (const row of yield* store.readRows(lane.id, keys)) if (row !== undefined) lane.rows.addCommitted(row)
})

/** Rows changed by this flush. */
type Changed = Set<RowState>

/** Merges the sums of one level into its rows. */
const mergeLevel = (lane: GenerationLane, changed: Changed, resolution: ResolutionCode, level: LevelSums): void => {
  for (const [windowStartMs, window] of level) {
    const states = lane.rows.window(resolution, windowStartMs)
    for (const [keyId, { tenantId, sums, isShared }] of window) {
      let state = states.get(keyId)
      if (state !== undefined) addSums(state, sums)
      else state = lane.rows.adopt(states, { tenantId, resolution, windowStartMs, keyId }, isShared ? cloneSums(sums) : sums)
      changed.add(state)
    }
  }
}

/** Merges all deltas; answers the key counts that rose. Events merged must be the events folded. */
const mergeDeltas = (lane: GenerationLane, windows: readonly WindowOf[], changed: Changed): readonly KeyCount[] => {
  const keyCounts: KeyCount[] = []
  const base = new BaseSums()
  let merged = 0
  for (const { partition, window } of windows) {
    const admitted = lane.keyCounts.get(window, partition)
    const minute = lane.rows.window(baseCode, window.windowStartMs)
    const { deltas, newKeys } = admitKeys(window, lane.compiled, admitted, (keyId) => minute.get(keyId)?.offsets.some((range) => range.partition === partition) === true)
    for (const delta of deltas) merged += delta.events
    base.add(window.tenantId, window.windowStartMs, partition, deltas)
    if (newKeys === 0) continue
    const keys = admitted + newKeys
    lane.keyCounts.set(window, partition, keys)
    keyCounts.push({ tenantId: window.tenantId, windowStartMs: window.windowStartMs, partition, keys })
  }
  let level = base.windows
  for (const { code, sizeMs } of RESOLUTIONS) {
    if (code !== baseCode) level = longerSums(level, sizeMs)
    mergeLevel(lane, changed, code, level)
  }
  let folded = 0
  for (const { tally } of lane.folds.values()) folded += tally.folded
  if (merged !== folded) throw new HaltError({ code: "CONSERVATION", detail: `${folded} events folded, ${merged} in the rows of this flush` })
  return keyCounts
}

/** Ledger entries must be as many as were counted. */
const ledgerFault = ({ tally, late, releasedCommitted, duplicates, deadLetters, partition }: PartitionFold): string | undefined => {
  if (late.size - releasedCommitted !== tally.late) return `partition ${partition}: ${tally.late} late events counted, ${late.size - releasedCommitted} entered`
  if (duplicates.length !== tally.duplicate) return `partition ${partition}: ${tally.duplicate} duplicates counted, ${duplicates.length} entered`
  if (deadLetters.length !== tally.deadLettered) return `partition ${partition}: ${tally.deadLettered} dead letters counted, ${deadLetters.length} entered`
  return undefined
}

const finiteOrNull = (ms: number): number | null => (Number.isFinite(ms) ? ms : null)

/** The partition's checkpoint after this flush. Throws `HaltError` when the counters do not add up. */
const nextCheckpoint = (lane: GenerationLane, before: PartitionCheckpoint, fold: PartitionFold, reader: ReaderState): PartitionCheckpoint => {
  const { partition } = before
  if (fold.tally.records === 0) return before
  const nextOffset = BigInt(fold.next)
  if (reader.state.nextOffset !== nextOffset) throw new HaltError({ code: "CONSERVATION", detail: `partition ${partition}: folded to ${nextOffset}, read to ${reader.state.nextOffset}` })
  const counters = addTally(before.counters, fold.tally)
  const fault = ledgerFault(fold) ?? conservationFault(counters, nextOffset - (lane.coverage.get(partition) ?? 0n))
  if (fault !== undefined) throw new HaltError({ code: "CONSERVATION", detail: `partition ${partition} at ${nextOffset}: ${fault}` })
  return {
    partition,
    nextOffset,
    lastRecordHash: reader.lastRecord === undefined ? before.lastRecordHash : hashHex(reader.lastRecord, 0),
    counters,
    receivedMaxMs: finiteOrNull(reader.state.receivedMaxMs),
    heartbeatMaxMs: finiteOrNull(reader.state.heartbeatMaxMs),
    tenantMaxMs: reader.state.tenantMaxMs()
  }
}

const assemble = (lane: GenerationLane, windows: readonly WindowOf[], readers: ReadonlyMap<number, ReaderState>, dropBelowMs: number | null): LaneCommit => {
  const before = [...lane.checkpoints.values()].sort((a, b) => a.partition - b.partition)
  const next: PartitionCheckpoint[] = []
  for (const checkpoint of before) {
    const fold = lane.folds.get(checkpoint.partition)
    const reader = readers.get(checkpoint.partition)
    next.push(fold === undefined || reader === undefined ? checkpoint : nextCheckpoint(lane, checkpoint, fold, reader))
  }
  const changed: Changed = new Set()
  const isKept = ({ windowStartMs }: { readonly windowStartMs: number }): boolean => dropBelowMs === null || windowStartMs >= dropBelowMs
  const keyCounts = mergeDeltas(lane, windows, changed).filter(isKept)
  const rows: Row[] = [...changed].filter(isKept).map((state) => lane.rows.encode(state, lane.digest))
  if (dropBelowMs !== null) lane.rows.dropBelow(dropBelowMs)
  const folds = [...lane.folds.values()]
  return {
    lane: lane.id,
    epoch: lane.epoch,
    expected: before.map(({ partition, nextOffset }) => ({ partition, nextOffset })),
    next,
    digest: lane.digest.encode(),
    dropBelowMs,
    rows,
    late: folds.flatMap(({ late }) => [...late.values()]),
    duplicates: folds.flatMap(({ duplicates }) => duplicates),
    deadLetters: folds.flatMap(({ deadLetters }) => deadLetters),
    keyCounts,
    hints: rows.map(({ tenantId, resolution, windowStartMs, keyId, revision }) => ({ tenantId, resolution, windowStartMs, keyId, revision }))
  }
}

/**
 * The commit of everything folded since the last flush. The states it merges into are changed by it: after a commit that
 * fails, the lane's memory has to go. Fails with `HaltError` when anything does not add up.
 */
export const prepareFlush = Effect.fn("prepareFlush")(function* (store: ReadModelStoreShape, lane: GenerationLane, readers: ReadonlyMap<number, ReaderState>) {
  const windows = [...lane.folds.values()].flatMap(({ partition, deltas }) => deltas.windows().map((window): WindowOf => ({ partition, window })))
  yield* loadCommitted(store, lane, windows)
  const dropBelowMs = yield* dropExpired(store, lane, (partition) => {
    const pending = lane.folds.get(partition)?.tally.records ?? 0
    return (pending > 0 ? readers.get(partition)?.state.receivedMaxMs : lane.checkpoints.get(partition)?.receivedMaxMs) ?? -Infinity
  })
  return yield* Effect.try({
    try: () => assemble(lane, windows, readers, dropBelowMs),
    catch: (cause) => (cause instanceof HaltError ? cause : new HaltError({ code: "FLUSH_FAILED", detail: String(cause) }))
  })
})

/** Takes over what the commit stored: it is the new checkpoint, and nothing is pending. */
export const flushCommitted = (lane: GenerationLane, commit: LaneCommit): void => {
  lane.checkpoints = new Map(commit.next.map((checkpoint) => [checkpoint.partition, checkpoint]))
  for (const fold of lane.folds.values()) fold.clear()
  lane.rows.trim()
  lane.keyCounts.trim()
}
