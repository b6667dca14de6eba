/** Reading stored blocks: batches, verification. Throws the port's tagged errors. */
import { LogCorruptError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { LogBatch, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { CHAIN_START, decodeBlock, trimBlock } from "./logBlock.ts"
import { keyOf, offsetOfKey } from "./logKeys.ts"
import { blockAt, boundsOf, lastKey } from "./logPlaces.ts"
import type { BlockStore } from "./logPlaces.ts"

/** Whether the offset lies between the first and the last block's first offset: told by keys alone, without a block's value. */
const isWithin = (blocks: BlockStore, partition: number, offset: bigint): boolean => {
  const [first] = blocks.getKeys({ start: keyOf(partition, 0n), end: lastKey(partition), limit: 1 })
  if (first === undefined || offset < offsetOfKey(first)) return false
  const [last] = blocks.getKeys({ start: keyOf(partition, offset), end: lastKey(partition), limit: 1 })
  return last !== undefined
}

const missing = (partition: number, from: bigint, to: bigint) => new LogCorruptError({ partition, offset: from, detail: `offsets ${from} to ${to - 1n} are missing` })

/** Batches of one partition from `nextOffset`, about `bytesMax` bytes, at least one block. */
const readPartition = (blocks: BlockStore, { partition, nextOffset }: PartitionPosition, bytesMax: number): LogBatch[] => {
  const batches: LogBatch[] = []
  const first = blockAt(blocks, partition, nextOffset)
  if (first === undefined) return batches
  let expected = nextOffset
  let bytes = 0
  for (const { key, value } of blocks.getRange({ start: keyOf(partition, first[0]), end: lastKey(partition) })) {
    if (bytes >= bytesMax) return batches
    const firstOffset = offsetOfKey(key)
    const block = decodeBlock(value)
    if (typeof block === "string") throw new LogCorruptError({ partition, offset: firstOffset, detail: block })
    if (firstOffset > expected) throw missing(partition, expected, firstOffset)
    const skip = Number(expected - firstOffset)
    if (skip >= block.count) continue
    batches.push({ partition, firstOffset: expected, ...trimBlock(block, skip), more: true })
    expected = firstOffset + BigInt(block.count)
    bytes += block.bytes.length
  }
  const last = batches.pop()
  return last === undefined ? batches : [...batches, { ...last, more: false }]
}

/** Batches from all positions, the byte budget shared evenly. */
export const readBlocks = (blocks: BlockStore, from: readonly PartitionPosition[], bytesMax: number): readonly LogBatch[] => {
  const share = Math.max(1, Math.floor(bytesMax / Math.max(1, from.length)))
  return from.flatMap((position) => {
    const { partition, nextOffset } = position
    if (isWithin(blocks, partition, nextOffset)) return readPartition(blocks, position, share)
    const { start, end } = boundsOf(blocks, partition)
    if (nextOffset < start || nextOffset > end) throw new OffsetOutOfRangeError({ partition, wanted: nextOffset, start, end })
    return nextOffset === end ? [] : readPartition(blocks, position, share)
  })
}

/** What the block at `offset` must follow: chain hash and end of the one before it, where that is stored. */
const before = (blocks: BlockStore, partition: number, offset: bigint): { readonly chain: Uint8Array; readonly end: bigint } | undefined => {
  if (offset === 0n) return { chain: CHAIN_START, end: 0n }
  const previous = blockAt(blocks, partition, offset - 1n)
  if (previous === undefined) return undefined
  const block = decodeBlock(previous[1])
  if (typeof block === "string") throw new LogCorruptError({ partition, offset: previous[0], detail: block })
  return { chain: block.chain, end: previous[0] + BigInt(block.count) }
}

/** Checks the blocks of a partition from the one that holds `from` on: checksum, hash chain, dense offsets. */
export const verifyPartition = (blocks: BlockStore, partition: number, from = 0n): { records: bigint; blocks: number } => {
  const first = blockAt(blocks, partition, from)?.[0] ?? boundsOf(blocks, partition).start
  let last = before(blocks, partition, first)
  let count = 0
  for (const { key, value } of blocks.getRange({ start: keyOf(partition, first), end: lastKey(partition) })) {
    const offset = offsetOfKey(key)
    if (last !== undefined && offset > last.end) throw missing(partition, last.end, offset)
    if (last !== undefined && offset < last.end) throw new LogCorruptError({ partition, offset, detail: `the block before it holds records to offset ${last.end - 1n}` })
    const block = decodeBlock(value, last?.chain)
    if (typeof block === "string") throw new LogCorruptError({ partition, offset, detail: block })
    last = { chain: block.chain, end: offset + BigInt(block.count) }
    count += 1
  }
  return { records: count === 0 ? 0n : (last?.end ?? first) - first, blocks: count }
}
