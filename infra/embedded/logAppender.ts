/** Group commit: what arrives while a commit is under way goes into the next one, one block per partition. */
import { AppendRejectedError, AppendUnknownError } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogRecord, StoredAt } from "@tidemark/domain/ports/EventLog"
import { Effect } from "effect"
import { CHAIN_START, decodeBlock, encodeBlock } from "./logBlock.ts"
import { keyOf } from "./logKeys.ts"
import { blockAt, boundsOf } from "./logReading.ts"
import type { BlockStore } from "./logReading.ts"

interface Pending {
  readonly batch: readonly LogRecord[]
  readonly done: (outcome: Effect.Effect<readonly StoredAt[], AppendRejectedError | AppendUnknownError>) => void
}

interface Tail {
  end: bigint
  chain: Uint8Array
}

export interface AppenderOptions {
  readonly blocks: BlockStore
  readonly partitions: number
  /** Called after every durable commit. */
  readonly onDurable: () => void
}

/** Records in one commit; bounds memory and the time others wait. */
const GROUP_RECORDS_MAX = 20_000

const tailOf = (blocks: BlockStore, partition: number): Tail => {
  const { end } = boundsOf(blocks, partition)
  const last = blockAt(blocks, partition, end)
  if (last === undefined) return { end, chain: CHAIN_START }
  const block = decodeBlock(last[1])
  if (typeof block === "string") throw new Error(`the last block of partition ${partition}, at offset ${last[0]}, is damaged: ${block}`)
  return { end, chain: block.chain }
}

/** Writes the group into the open transaction; answers the offsets of each pending batch and the new tails. */
const writeGroup = (blocks: BlockStore, group: readonly Pending[], tailFor: (partition: number) => Tail): { readonly offsets: StoredAt[][]; readonly tails: Map<number, Tail> } => {
  const byPartition = new Map<number, Uint8Array[]>()
  const tails = new Map<number, Tail>()
  const offsets = group.map(({ batch }) =>
    batch.map(({ partition, value }) => {
      const tail = tails.get(partition) ?? { ...tailFor(partition) }
      tails.set(partition, tail)
      const records = byPartition.get(partition)
      if (records === undefined) byPartition.set(partition, [value])
      else records.push(value)
      return { partition, offset: tail.end++ }
    }))
  for (const [partition, records] of byPartition) {
    const tail = tails.get(partition) ?? tailFor(partition)
    const { block, chain } = encodeBlock(records, tail.chain)
    blocks.putSync(keyOf(partition, tail.end - BigInt(records.length)), block)
    tail.chain = chain
  }
  return { offsets, tails }
}

/** True when LMDB refused before anything could have been written. */
const isRefusal = (error: unknown): boolean => /ENOSPC|No space|MDB_MAP_FULL|MDB_TXN_FULL|ENOMEM|EDQUOT|EFBIG/.test(String((error as Error).message ?? error))

/** The writer's side of the log. `drain` waits until everything queued is answered. */
export const makeAppender = ({ blocks, partitions, onDurable }: AppenderOptions): { readonly append: EventLogShape["append"]; readonly drain: () => Promise<void> } => {
  const queue: Pending[] = []
  let tails = new Map<number, Tail>()
  let running: Promise<void> | undefined

  const tailFor = (partition: number): Tail => {
    const known = tails.get(partition) ?? tailOf(blocks, partition)
    tails.set(partition, known)
    return known
  }
  const takeGroup = (): Pending[] => {
    let records = 0
    let size = 0
    while (size < queue.length && (size === 0 || records + (queue[size]?.batch.length ?? 0) <= GROUP_RECORDS_MAX)) records += queue[size++]?.batch.length ?? 0
    return queue.splice(0, size)
  }
  const commitGroup = async (group: readonly Pending[]): Promise<void> => {
    let written: ReturnType<typeof writeGroup> | undefined
    try {
      await blocks.transaction(() => {
        written = writeGroup(blocks, group, tailFor)
      })
    } catch (error) {
      tails = new Map()
      const reason = String((error as Error).message)
      const outcome = written === undefined || isRefusal(error) ? new AppendRejectedError({ reason, cause: error }) : new AppendUnknownError({ reason, cause: error })
      for (const pending of group) pending.done(Effect.fail(outcome))
      return
    }
    for (const [partition, tail] of written?.tails ?? []) tails.set(partition, tail)
    group.forEach((pending, index) => pending.done(Effect.succeed(written?.offsets[index] ?? [])))
    onDurable()
  }
  const run = async (): Promise<void> => {
    while (queue.length > 0) await commitGroup(takeGroup())
    running = undefined
  }

  const append: EventLogShape["append"] = (batch) => {
    const wrong = batch.find(({ partition }) => !Number.isInteger(partition) || partition < 0 || partition >= partitions)
    if (wrong !== undefined) return Effect.fail(new AppendRejectedError({ reason: `partition ${wrong.partition} is not one of ${partitions}` }))
    if (batch.length === 0) return Effect.succeed([])
    return Effect.callback<readonly StoredAt[], AppendRejectedError | AppendUnknownError>((resume) => {
      queue.push({ batch, done: resume })
      running ??= run()
    })
  }
  const drain = async (): Promise<void> => {
    while (running !== undefined) await running
  }
  return { append, drain }
}
