/**
 * One transaction a group: a block for each partition, behind the last one stored. It is synchronous, rolls back as a
 * whole and returns after the sync (docs/adr).
 */
import { commitFault, roomBytesIn } from "./commitFault.ts"
import type { CommitFault } from "./commitFault.ts"
import { CHAIN_START, blockCount, decodeBlock, sealBlock } from "./logBlock.ts"
import { keyOf } from "./logKeys.ts"
import { blockAt, boundsOf } from "./logPlaces.ts"
import type { BlockStore } from "./logPlaces.ts"

/** Records of one group in one partition. */
export interface PackedRecords {
  readonly partition: number
  /** From `packBlock`; sealed by the commit. */
  readonly block: Uint8Array
}

/**
 * What became of a group. `rejected`: nothing is stored. `unknown`: all of it or nothing. `unsynced`: the disk failed.
 * What the operating system holds of the file may then differ from the disk, so whoever gets this acknowledges nothing,
 * commits nothing more and ends its process.
 */
export type Committed =
  /** Offset of each partition's first record, in the order of the group. */
  | { readonly kind: "stored"; readonly firsts: readonly bigint[] }
  | { readonly kind: "unknown"; readonly reason: string }
  | CommitFault

interface Tail {
  readonly end: bigint
  readonly chain: Uint8Array
}

const tailOf = (blocks: BlockStore, partition: number): Tail => {
  const { end } = boundsOf(blocks, partition)
  const last = blockAt(blocks, partition, end)
  if (last === undefined) return { end, chain: CHAIN_START }
  const block = decodeBlock(last[1])
  if (typeof block === "string") throw new Error(`the last block of partition ${partition}, at offset ${last[0]}, is damaged: ${block}`)
  return { end, chain: block.chain }
}

export interface CommitOptions {
  readonly blocks: BlockStore
  /** Where the blocks are. */
  readonly directory: string
  /** All is written, nothing committed or synced yet. */
  readonly onWritten?: (() => void) | undefined
}

const bytesOf = (group: readonly PackedRecords[]): number => group.reduce((sum, { block }) => sum + block.length, 0)

/** The log's only writer. `group`: each partition at most once. */
export const makeCommit = ({ blocks, directory, onWritten }: CommitOptions): ((group: readonly PackedRecords[]) => Committed) => {
  /** Of the partitions written since the last failure. */
  let tails = new Map<number, Tail>()
  return (group) => {
    let written: readonly { readonly partition: number; readonly first: bigint; readonly tail: Tail }[] | undefined
    try {
      blocks.transactionSync(() => {
        written = group.map(({ partition, block: { buffer, byteOffset, length } }) => {
          const block = Buffer.from(buffer, byteOffset, length)
          const { end, chain } = tails.get(partition) ?? tailOf(blocks, partition)
          const tail = { end: end + BigInt(blockCount(block)), chain: sealBlock(block, chain) }
          blocks.putSync(keyOf(partition, end), block)
          return { partition, first: end, tail }
        })
        onWritten?.()
      })
    } catch (error) {
      tails = new Map()
      return commitFault(error, { written: written !== undefined, bytes: bytesOf(group), roomBytes: () => roomBytesIn(directory) })
    }
    for (const { partition, tail } of written ?? []) tails.set(partition, tail)
    return { kind: "stored", firsts: (written ?? []).map(({ first }) => first) }
  }
}
