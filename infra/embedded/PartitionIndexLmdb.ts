/**
 * What is derived from each partition, on LMDB beside the log: segments of live entries and clocks, runs of imports.
 *
 * Live entries nobody can need any more are dropped; import entries and, at a distance, clocks stay for ever. A directory that belongs to
 * another log is emptied when it is opened: losing the index costs time, a wrong one would cost numbers.
 */
import { HORIZON_MS } from "@tidemark/domain/events/partitionState"
import { PartitionIndex, PartitionIndexError, areNear } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment, PrefixClocks, StoredPrefix } from "@tidemark/domain/ports/PartitionIndex"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { open } from "lmdb"
import type { Database, RootDatabase } from "lmdb"
import { addRun, makeImportLookup } from "./importRuns.ts"
import type { RunStores } from "./importRuns.ts"
import { makeLocalDirectory } from "./localDirectory.ts"
import { keyOf, offsetOfKey } from "./logKeys.ts"
import { decodeClocks, decodeSegment, encodeClocks, encodeSegment, segmentFrom } from "./segmentCodec.ts"
import { gateWrites } from "./writeGate.ts"

export interface PartitionIndexOptions {
  /** A directory of its own. */
  readonly directory: string
  /** The log this index is derived from. */
  readonly logId: string
}

interface Stores extends RunStores {
  readonly root: RootDatabase<string, string>
  /** Packed segments by (partition, to). */
  readonly segments: Database<Buffer, Buffer>
  /** R at `to` by (partition, to), f64. Under (partition, 0): R of the last dropped segment. */
  readonly ends: Database<Buffer, Buffer>
  /** Clocks by (partition, to). */
  readonly clocks: Database<Buffer, Buffer>
}

interface SegmentEnd {
  readonly to: bigint
  readonly receivedMaxMs: number
}

const MAP_BYTES = 1024 * 1024 * 1024
const LOG_ID_KEY = "logId"
/** Readers this many segments behind the newest can still load their prefix. */
const PREFIXES_KEPT = 64
const OFFSET_MAX = 0xffff_ffff_ffff_fffen

const openStores = ({ directory, logId }: PartitionIndexOptions): Stores => {
  makeLocalDirectory(directory)
  const root = open<string, string>({ path: directory, encoding: "string", maxDbs: 8, mapSize: MAP_BYTES, overlappingSync: false, noMemInit: true })
  gateWrites(root)
  const openDb = (name: string) => root.openDB<Buffer, Buffer>({ name, encoding: "binary", keyEncoding: "binary" })
  const stores: Stores = { root, segments: openDb("segments"), ends: openDb("ends"), clocks: openDb("clocks"), runs: openDb("runs"), pages: openDb("pages") }
  if (root.get(LOG_ID_KEY) === logId) return stores
  root.transactionSync(() => {
    for (const db of [stores.segments, stores.ends, stores.clocks, stores.runs, stores.pages]) for (const key of Array.from(db.getKeys())) db.removeSync(key)
    root.putSync(LOG_ID_KEY, logId)
  })
  return stores
}

const encodeMs = (ms: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(ms, 0)
  return bytes
}

/** Ends of the stored segments at or below `atMost`, newest first. */
function* endsBelow({ ends }: Stores, partition: number, atMost: bigint): Generator<SegmentEnd> {
  for (const { key, value } of ends.getRange({ start: keyOf(partition, atMost), end: keyOf(partition, 0n), reverse: true })) yield { to: offsetOfKey(key), receivedMaxMs: value.readDoubleLE(0) }
}

const beyondHorizon = (nowMs: number, receivedMs: number): boolean => nowMs - receivedMs > HORIZON_MS

const readPrefix = (stores: Stores, partition: number, atMost: bigint): Omit<StoredPrefix, "imports"> => {
  const wanted: SegmentEnd[] = []
  for (const end of endsBelow(stores, partition, atMost)) {
    const [last] = wanted
    if (last !== undefined && beyondHorizon(last.receivedMaxMs, end.receivedMaxMs)) break
    wanted.push(end)
  }
  const [last] = wanted
  const dropped = stores.ends.get(keyOf(partition, 0n))
  if (last === undefined || (dropped !== undefined && !beyondHorizon(last.receivedMaxMs, dropped.readDoubleLE(0)))) return { nextOffset: 0n, segments: [] }
  const segments = wanted.reverse().map(({ to }) => {
    const stored = stores.segments.get(keyOf(partition, to))
    if (stored === undefined) throw new Error(`the segment of partition ${partition} that ends at ${to} is missing`)
    return decodeSegment(partition, stored)
  })
  return { nextOffset: last.to, segments }
}

/** Drops the segments that are beyond the horizon of every prefix kept. R never falls, so they are the oldest. */
const dropExpired = (stores: Stores, partition: number): void => {
  const newest: SegmentEnd[] = []
  for (const end of endsBelow(stores, partition, OFFSET_MAX)) if (newest.push(end) === PREFIXES_KEPT) break
  const oldestKept = newest[PREFIXES_KEPT - 1]
  if (oldestKept === undefined) return
  const expired: SegmentEnd[] = []
  for (const { key, value } of stores.ends.getRange({ start: keyOf(partition, 1n), end: keyOf(partition, oldestKept.to) })) {
    const end = { to: offsetOfKey(key), receivedMaxMs: value.readDoubleLE(0) }
    if (!beyondHorizon(oldestKept.receivedMaxMs, end.receivedMaxMs)) break
    expired.push(end)
  }
  for (const { to, receivedMaxMs } of expired) {
    stores.segments.removeSync(keyOf(partition, to))
    stores.ends.removeSync(keyOf(partition, to))
    stores.ends.putSync(keyOf(partition, 0n), encodeMs(receivedMaxMs))
  }
}

/** Stored clocks of prefixes that end at or below `atMost`, longest first. */
function* clocksBelow({ clocks }: Stores, partition: number, atMost: bigint): Generator<PrefixClocks> {
  for (const { value } of clocks.getRange({ start: keyOf(partition, atMost), end: keyOf(partition, 0n), reverse: true })) yield decodeClocks(partition, value)
}

const isWithin = (clocks: PrefixClocks, receivedMaxMs: number): boolean => (clocks.receivedMaxMs ?? -Infinity) <= receivedMaxMs

/** R never falls along a partition, so the last clocks within it are found by halving the offsets. */
const findClocks = (stores: Stores, partition: number, atMost: bigint, receivedMaxMs: number): PrefixClocks | undefined => {
  const [longest] = clocksBelow(stores, partition, atMost)
  if (longest === undefined || isWithin(longest, receivedMaxMs)) return longest
  let found: PrefixClocks | undefined
  let [low, high] = [0n, longest.nextOffset - 1n]
  while (low < high) {
    const middle = (low + high + 1n) / 2n
    const [clocks] = clocksBelow(stores, partition, middle)
    if (clocks !== undefined && !isWithin(clocks, receivedMaxMs)) high = clocks.nextOffset - 1n
    else {
      if (clocks !== undefined) found = clocks
      low = middle
    }
  }
  return found
}

/** Stores clocks; those between them and their last but one neighbour go where all three are near to each other. */
const saveClocks = (stores: Stores, segment: PartitionSegment): void => {
  const { partition, to, receivedMaxMs } = segment
  const [last, lastButOne] = clocksBelow(stores, partition, to)
  if (last !== undefined && lastButOne !== undefined && areNear(lastButOne, { nextOffset: to, receivedMaxMs })) stores.clocks.removeSync(keyOf(partition, last.nextOffset))
  stores.clocks.putSync(keyOf(partition, to), encodeClocks(segment))
}

const saveSegment = (stores: Stores, whole: PartitionSegment): void =>
  stores.root.transactionSync(() => {
    const { partition } = whole
    const [last] = endsBelow(stores, partition, OFFSET_MAX)
    const end = last?.to ?? whole.from
    if (whole.to <= end) return
    if (whole.from > end) throw new Error(`a segment of partition ${partition} starts at ${whole.from}, the stored ones end at ${end}`)
    const segment = segmentFrom(whole, end)
    stores.segments.putSync(keyOf(partition, segment.to), encodeSegment(segment))
    stores.ends.putSync(keyOf(partition, segment.to), encodeMs(segment.receivedMaxMs))
    saveClocks(stores, segment)
    addRun(stores, partition, segment.imports)
    dropExpired(stores, partition)
  })

const attempt = <A>(action: () => A): Effect.Effect<A, PartitionIndexError> => Effect.try({ try: action, catch: (cause) => new PartitionIndexError({ cause }) })

const openIndex = (options: PartitionIndexOptions): Effect.Effect<PartitionIndexShape, PartitionIndexError, Scope.Scope> =>
  Effect.gen(function* () {
    const stores = yield* Effect.acquireRelease(attempt(() => openStores(options)), ({ root }) => Effect.promise(() => root.close()))
    const lookup = makeImportLookup(stores)
    return {
      load: (partition, atMost) =>
        attempt(() => {
          stores.root.resetReadTxn()
          lookup.forget(partition)
          return { ...readPrefix(stores, partition, atMost), imports: { has: (hi, lo, before) => lookup.has(partition, hi, lo, before) } }
        }),
      save: (segment) =>
        attempt(() => {
          saveSegment(stores, segment)
          stores.root.resetReadTxn()
          lookup.forget(segment.partition)
        }),
      clocks: (partition, atMost, receivedMaxMs) =>
        attempt(() => {
          stores.root.resetReadTxn()
          return findClocks(stores, partition, atMost, receivedMaxMs)
        })
    }
  })

/** The index in `options.directory`, closed with the scope. */
export const partitionIndexLmdb = (options: PartitionIndexOptions): Layer.Layer<PartitionIndex, PartitionIndexError> => Layer.effect(PartitionIndex, openIndex(options))
