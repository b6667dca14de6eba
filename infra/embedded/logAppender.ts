/**
 * Group commit: what has arrived by the next turn of the event loop shares one transaction, one block per partition.
 *
 * The transaction is synchronous: it rolls back as a whole and returns after the sync (docs/adr).
 */
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
  let running = false
  const idle: (() => void)[] = []

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
  const commitGroup = (group: readonly Pending[]): void => {
    let written: ReturnType<typeof writeGroup> | undefined
    try {
      blocks.transactionSync(() => {
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
  /** One group a turn, so that requests are read between two syncs and join the next group. */
  const run = (): void => {
    if (queue.length > 0) commitGroup(takeGroup())
    if (queue.length > 0) setImmediate(run)
    else {
      running = false
      for (const resolve of idle.splice(0)) resolve()
    }
  }

  const append: EventLogShape["append"] = (batch) => {
    const wrong = batch.find(({ partition }) => !Number.isInteger(partition) || partition < 0 || partition >= partitions)
    if (wrong !== undefined) return Effect.fail(new AppendRejectedError({ reason: `partition ${wrong.partition} is not one of ${partitions}` }))
    if (batch.length === 0) return Effect.succeed([])
    return Effect.callback<readonly StoredAt[], AppendRejectedError | AppendUnknownError>((resume) => {
      queue.push({ batch, done: resume })
      if (running) return
      running = true
      setImmediate(run)
    })
  }
  const drain = (): Promise<void> => (running ? new Promise((resolve) => idle.push(resolve)) : Promise.resolve())
  return { append, drain }
}
