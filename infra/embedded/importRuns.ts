/**
 * Import entries of a partition on disk: sorted runs of (hash, offset), merged by size.
 *
 * A run is cut into pages of 16-byte entries (hash big endian, then offset as f64), so that a question reads one
 * page a run and searches its bytes; only the first hash of each page is kept in memory. Run numbers are never used
 * twice, so whoever holds an old list misses a page, reads the list again and asks again.
 */
import type { PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"
import type { Database } from "lmdb"

const ENTRY_BYTES = 16
/** A page fits one 4 KiB page of the store, its header included. */
const PAGE_ENTRIES = 254
const TIER_FACTOR = 4
const TIER_BASE_ENTRIES = 1_024
/** A run that a merge would make larger than this stays apart, which bounds how long one save can take. */
const RUN_ENTRIES_MAX = 1 << 21

export interface RunStores {
  /** Fence of a run by (partition, run): the first 8 bytes (hash) of each of its pages. */
  readonly runs: Database<Buffer, Buffer>
  /** Pages by (partition, run, page). */
  readonly pages: Database<Buffer, Buffer>
}

interface Run {
  readonly id: number
  readonly entries: number
  readonly fence: Buffer
}

const runKey = (partition: number, run: number): Buffer => {
  const key = Buffer.alloc(8)
  key.writeUInt32BE(partition, 0)
  key.writeUInt32BE(run, 4)
  return key
}

const pageKey = (partition: number, run: number, page: number): Buffer => {
  const key = Buffer.alloc(12)
  key.writeUInt32BE(partition, 0)
  key.writeUInt32BE(run, 4)
  key.writeUInt32BE(page, 8)
  return key
}

/** The runs of a partition, oldest first. A stored run is its entry count (u32, 4 bytes free) and its fence. */
const listRuns = ({ runs }: RunStores, partition: number): Run[] => {
  const list: Run[] = []
  for (const { key, value } of runs.getRange({ start: runKey(partition, 0), end: runKey(partition, 0xffff_ffff) })) {
    const stored = Buffer.from(value)
    list.push({ id: key.readUInt32BE(4), entries: stored.readUInt32LE(0), fence: stored.subarray(8) })
  }
  return list
}

/** Sign of the hash at byte `at` against (hi, lo). */
const compareAt = (bytes: Buffer, at: number, hi: number, lo: number): number => bytes.readUInt32BE(at) - hi || bytes.readUInt32BE(at + 4) - lo

/** Index of the last of `count` entries, `stride` bytes each, whose hash is ≤ (hi, lo); -1 if none. */
const lastAtMost = (bytes: Buffer, count: number, stride: number, hi: number, lo: number): number => {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareAt(bytes, middle * stride, hi, lo) <= 0) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Offset stored for the hash, Infinity when the run does not hold it, undefined when the run is gone. */
const offsetIn = ({ pages }: RunStores, partition: number, run: Run, hi: number, lo: number): number | undefined => {
  const page = lastAtMost(run.fence, run.fence.length / 8, 8, hi, lo)
  if (page < 0) return Infinity
  const bytes = pages.get(pageKey(partition, run.id, page))
  if (bytes === undefined) return undefined
  const index = lastAtMost(bytes, bytes.length / ENTRY_BYTES, ENTRY_BYTES, hi, lo)
  return index >= 0 && compareAt(bytes, index * ENTRY_BYTES, hi, lo) === 0 ? bytes.readDoubleLE(index * ENTRY_BYTES + 8) : Infinity
}

/** Answers for all partitions from the stored runs. `forget` after every change of a partition's runs. */
export const makeImportLookup = (stores: RunStores) => {
  const known = new Map<number, Run[]>()
  const runsOf = (partition: number): Run[] => {
    const runs = known.get(partition) ?? listRuns(stores, partition).reverse()
    known.set(partition, runs)
    return runs
  }
  const look = (partition: number, hi: number, lo: number, before: number): boolean | undefined => {
    for (const run of runsOf(partition)) {
      const offset = offsetIn(stores, partition, run, hi, lo)
      if (offset === undefined) return undefined
      if (offset < before) return true
    }
    return false
  }
  const has = (partition: number, hi: number, lo: number, before: number): boolean => {
    const found = look(partition, hi, lo, before)
    if (found !== undefined) return found
    known.delete(partition)
    const again = look(partition, hi, lo, before)
    if (again === undefined) throw new Error(`a page of the import entries of partition ${partition} is missing`)
    return again
  }
  return { has, forget: (partition: number) => void known.delete(partition) }
}

/** Collects entries in hash order into the pages of one new run. */
const makeRunWriter = ({ runs, pages }: RunStores, partition: number, id: number) => {
  const fence: Buffer[] = []
  let page = Buffer.alloc(PAGE_ENTRIES * ENTRY_BYTES)
  let used = 0
  let entries = 0
  const flush = () => {
    if (used === 0) return
    pages.putSync(pageKey(partition, id, fence.length), page.subarray(0, used))
    fence.push(page.subarray(0, 8))
    page = Buffer.alloc(PAGE_ENTRIES * ENTRY_BYTES)
    used = 0
  }
  const add = (entry: Buffer) => {
    page.set(entry, used)
    used += ENTRY_BYTES
    entries += 1
    if (used === page.length) flush()
  }
  const finish = () => {
    flush()
    const head = Buffer.alloc(8)
    head.writeUInt32LE(entries, 0)
    runs.putSync(runKey(partition, id), Buffer.concat([head, ...fence]))
  }
  return { add, finish }
}

/** The entries of a run in hash order. */
function* entriesOf({ pages }: RunStores, partition: number, run: Run): Generator<Buffer> {
  for (let page = 0; page < run.fence.length / 8; page++) {
    const stored = pages.get(pageKey(partition, run.id, page))
    if (stored === undefined) throw new Error(`a page of the import entries of partition ${partition} is missing`)
    const bytes = Buffer.from(stored)
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) yield bytes.subarray(at, at + ENTRY_BYTES)
  }
}

const mergeRuns = (stores: RunStores, partition: number, merged: readonly Run[], id: number): void => {
  const cursors = merged.map((run) => {
    const entries = entriesOf(stores, partition, run)
    return { entries, head: entries.next().value as Buffer | undefined }
  })
  const writer = makeRunWriter(stores, partition, id)
  for (;;) {
    let least: (typeof cursors)[number] | undefined
    for (const cursor of cursors) if (cursor.head !== undefined && (least?.head === undefined || cursor.head.compare(least.head, 0, 8, 0, 8) < 0)) least = cursor
    if (least?.head === undefined) break
    writer.add(least.head)
    least.head = least.entries.next().value as Buffer | undefined
  }
  writer.finish()
  for (const run of merged) {
    for (let page = 0; page < run.fence.length / 8; page++) stores.pages.removeSync(pageKey(partition, run.id, page))
    stores.runs.removeSync(runKey(partition, run.id))
  }
}

const tierOf = (entries: number): number => Math.max(0, Math.ceil(Math.log(entries / TIER_BASE_ENTRIES) / Math.log(TIER_FACTOR)))

/** Enough runs of one tier to be merged, or none. */
const mergeable = (runs: readonly Run[]): readonly Run[] => {
  const tiers = new Map<number, Run[]>()
  for (const run of runs) tiers.set(tierOf(run.entries), [...(tiers.get(tierOf(run.entries)) ?? []), run])
  for (const tier of tiers.values())
    if (tier.length >= TIER_FACTOR && tier.reduce((sum, { entries }) => sum + entries, 0) <= RUN_ENTRIES_MAX) return tier
  return []
}

/** Adds a segment's import entries as a run and merges what has become mergeable. Call inside a transaction. */
export const addRun = (stores: RunStores, partition: number, { hi, lo, offset }: PartitionSegment["imports"]): void => {
  if (hi.length === 0) return
  const order = Uint32Array.from(hi, (_, index) => index).sort((a, b) => (hi[a] ?? 0) - (hi[b] ?? 0) || (lo[a] ?? 0) - (lo[b] ?? 0))
  let id = (listRuns(stores, partition).at(-1)?.id ?? 0) + 1
  const writer = makeRunWriter(stores, partition, id)
  const entry = Buffer.alloc(ENTRY_BYTES)
  for (const index of order) {
    entry.writeUInt32BE(hi[index] ?? 0, 0)
    entry.writeUInt32BE(lo[index] ?? 0, 4)
    entry.writeDoubleLE(offset[index] ?? 0, 8)
    writer.add(entry)
  }
  writer.finish()
  for (let merged = mergeable(listRuns(stores, partition)); merged.length > 0; merged = mergeable(listRuns(stores, partition))) mergeRuns(stores, partition, merged, ++id)
}
