/** Where the blocks of a partition are. Loaded by the thread that writes the log, so it needs no more than LMDB. */
import type { LogBounds } from "@tidemark/domain/ports/EventLog"
import type { Database } from "lmdb"
import { blockCount } from "./logBlock.ts"
import { keyOf, offsetOfKey } from "./logKeys.ts"

/** Blocks by (partition, first offset). */
export type BlockStore = Database<Buffer, Buffer>

/** Sorts after every block of the partition. */
export const lastKey = (partition: number): Buffer => keyOf(partition, 0xffff_ffff_ffff_ffffn)

/** First block at or below `offset`, as [first offset, block]. */
export const blockAt = (blocks: BlockStore, partition: number, offset: bigint): readonly [bigint, Buffer] | undefined => {
  for (const { key, value } of blocks.getRange({ start: keyOf(partition, offset), end: keyOf(partition, 0n), reverse: true, limit: 1, inclusiveEnd: true } as object)) return [offsetOfKey(key), value]
  return undefined
}

/** Stored range of a partition. */
export const boundsOf = (blocks: BlockStore, partition: number): LogBounds => {
  let start = 0n
  for (const key of blocks.getKeys({ start: keyOf(partition, 0n), end: lastKey(partition), limit: 1 })) start = offsetOfKey(key)
  const last = blockAt(blocks, partition, 0xffff_ffff_ffff_fffen)
  return { start, end: last === undefined ? start : last[0] + BigInt(blockCount(last[1])) }
}
