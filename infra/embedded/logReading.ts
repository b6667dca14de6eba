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
    if (firstOffset > expected) throw new LogCorruptError({ partition, offset: expected, detail: `offsets ${expected} to ${firstOffset - 1n} are missing` })
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

/** Checks every block of a partition: checksum, hash chain, dense offsets. */
export const verifyPartition = (blocks: BlockStore, partition: number): { records: bigint; blocks: number } => {
  let chain = CHAIN_START
  let expected: bigint | undefined
  let count = 0
  for (const { key, value } of blocks.getRange({ start: keyOf(partition, 0n), end: lastKey(partition) })) {
    const offset = offsetOfKey(key)
    const block = decodeBlock(value, expected === undefined && offset > 0n ? undefined : chain)
    if (typeof block === "string") throw new LogCorruptError({ partition, offset, detail: block })
    if (expected !== undefined && offset !== expected) throw new LogCorruptError({ partition, offset, detail: `expected offset ${expected}` })
    chain = block.chain
    expected = offset + BigInt(block.count)
    count += 1
  }
  return { records: (expected ?? 0n) - boundsOf(blocks, partition).start, blocks: count }
}
