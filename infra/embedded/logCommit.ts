/**
 * One transaction a group: a block for each partition, behind the last one stored. It is synchronous, rolls back as a
 * whole and returns after the sync (docs/adr).
 */
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

/** What became of a group. `rejected`: nothing is stored. `unknown`: all of it or nothing. */
export type Committed =
  /** Offset of each partition's first record, in the order of the group. */
  | { readonly kind: "stored"; readonly firsts: readonly bigint[] }
  | { readonly kind: "rejected" | "unknown"; readonly reason: string }

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

/** True when LMDB refused before anything could have been written. */
const isRefusal = (reason: string): boolean => /ENOSPC|No space|MDB_MAP_FULL|MDB_TXN_FULL|ENOMEM|EDQUOT|EFBIG/.test(reason)

/** The log's only writer. `group`: each partition at most once. `onWritten`: all is written, nothing committed or synced yet. */
export const makeCommit = (blocks: BlockStore, onWritten: () => void = () => {}): ((group: readonly PackedRecords[]) => Committed) => {
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
        onWritten()
      })
    } catch (error) {
      tails = new Map()
      const reason = String((error as Error).message ?? error)
      return { kind: written === undefined || isRefusal(reason) ? "rejected" : "unknown", reason }
    }
    for (const { partition, tail } of written ?? []) tails.set(partition, tail)
    return { kind: "stored", firsts: (written ?? []).map(({ first }) => first) }
  }
}
