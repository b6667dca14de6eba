/**
 * Group commit: what has arrived by the next turn of the event loop, or while a commit is under way, shares the next
 * one, one block per partition. Nobody is answered before the group is durable.
 */
import { AppendRejectedError, AppendUnknownError } from "@tidemark/domain/ports/EventLog"
import type { AppendedAt, EventLogShape, LogRecord } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { packBlock } from "./logBlock.ts"
import type { Committed, PackedRecords } from "./logCommit.ts"

interface Pending {
  readonly batch: readonly LogRecord[]
  readonly bytes: number
  readonly done: (outcome: Effect.Effect<readonly AppendedAt[], AppendRejectedError | AppendUnknownError>) => void
}

/** Commits a group and tells what became of it, once, now or later. One group at a time. */
export type CommitGroup = (group: readonly PackedRecords[], done: (committed: Committed) => void) => void

export interface AppenderOptions {
  readonly commit: CommitGroup
  readonly partitions: number
  /** The log's clock, Unix ms. */
  readonly nowMs: () => number
  /** Called after every durable commit. */
  readonly onDurable: () => void
  /** Called once when the disk has failed, before anybody is answered: the process is to end. Nothing is committed any more. */
  readonly onUnsynced: (reason: string) => void
}

/** Records in one commit; bounds memory and the time others wait. */
const GROUP_RECORDS_MAX = 20_000
/** And their bytes, unless one batch alone has more. */
const GROUP_BYTES_MAX = 16 * 1024 * 1024
/** Records that wait or are being committed; beyond it appends are refused, so that a disk that stalls does not eat the memory. */
export const QUEUE_BYTES_MAX = 128 * 1024 * 1024

const pack = (group: readonly Pending[]): readonly PackedRecords[] => {
  const byPartition = new Map<number, Uint8Array[]>()
  for (const { batch } of group) {
    for (const { partition, value } of batch) {
      const records = byPartition.get(partition)
      if (records === undefined) byPartition.set(partition, [value])
      else records.push(value)
    }
  }
  return Array.from(byPartition, ([partition, records]) => ({ partition, block: packBlock(records) }))
}

/** Answers every batch of a stored group: in each partition its records follow one another from the first offset on. */
const answerStored = (group: readonly Pending[], partitions: readonly number[], firsts: readonly bigint[], appendedAtMs: number): void => {
  const next = new Map(partitions.map((partition, i) => [partition, firsts[i] ?? 0n]))
  for (const { batch, done } of group) {
    const stored = batch.map(({ partition }): AppendedAt => {
      const offset = next.get(partition) ?? 0n
      next.set(partition, offset + 1n)
      return { partition, offset, appendedAtMs }
    })
    done(Effect.succeed(stored))
  }
}

/** From the head of the queue: what one commit takes. */
const takeGroup = (queue: Pending[]): readonly Pending[] => {
  let records = 0
  let total = 0
  let size = 0
  for (const { batch, bytes } of queue) {
    if (size > 0 && (records + batch.length > GROUP_RECORDS_MAX || total + bytes > GROUP_BYTES_MAX)) break
    records += batch.length
    total += bytes
    size += 1
  }
  return queue.splice(0, size)
}

const failureOf = (committed: Exclude<Committed, { readonly kind: "stored" }>): AppendRejectedError | AppendUnknownError =>
  committed.kind === "rejected" ? new AppendRejectedError({ reason: committed.reason, storageFull: committed.full }) : new AppendUnknownError({ reason: committed.reason })

const refusalOf = (reason: string) => new AppendRejectedError({ reason: `the disk failed before: ${reason}` })

/** The writer's side of the log. `drain` waits until everything queued is answered. */
export const makeAppender = ({ commit, partitions, nowMs, onDurable, onUnsynced }: AppenderOptions): { readonly append: EventLogShape["append"]; readonly drain: () => Promise<void> } => {
  /** Why nothing may be committed any more. */
  let broken: string | undefined
  const queue: Pending[] = []
  /** Bytes of batches that are not answered yet. */
  let waiting = 0
  let running = false
  const idle: (() => void)[] = []

  /** One group a turn, so that requests are read between two commits and join the next group. */
  const run = (): void => {
    if (queue.length === 0) {
      running = false
      for (const resolve of idle.splice(0)) resolve()
      return
    }
    const group = takeGroup(queue)
    if (broken !== undefined) {
      const refusal = refusalOf(broken)
      for (const { done } of group) done(Effect.fail(refusal))
      return void setImmediate(run)
    }
    const packed = pack(group)
    const touched = packed.map(({ partition }) => partition)
    commit(packed, (committed) => {
      if (committed.kind === "stored") {
        answerStored(group, touched, committed.firsts, nowMs())
        onDurable()
      } else {
        if (committed.kind === "unsynced") {
          broken = committed.reason
          onUnsynced(committed.reason)
        }
        const failure = failureOf(committed)
        for (const { done } of group) done(Effect.fail(failure))
      }
      setImmediate(run)
    })
  }

  const append: EventLogShape["append"] = (batch) => {
    const wrong = batch.find(({ partition }) => !Number.isInteger(partition) || partition < 0 || partition >= partitions)
    if (wrong !== undefined) return Effect.fail(new AppendRejectedError({ reason: `partition ${wrong.partition} is not one of ${partitions}` }))
    if (batch.length === 0) return Effect.succeed([])
    return Effect.callback<readonly AppendedAt[], AppendRejectedError | AppendUnknownError>((resume) => {
      const bytes = batch.reduce((sum, { value }) => sum + value.length, 0)
      if (waiting > 0 && waiting + bytes > QUEUE_BYTES_MAX) return resume(Effect.fail(new AppendRejectedError({ reason: `${waiting} bytes wait for the disk already` })))
      waiting += bytes
      const done: Pending["done"] = (outcome) => {
        waiting -= bytes
        resume(outcome)
      }
      queue.push({ batch, bytes, done })
      if (running) return
      running = true
      setImmediate(run)
    })
  }
  const drain = (): Promise<void> => (running ? new Promise((resolve) => idle.push(resolve)) : Promise.resolve())
  return { append, drain }
}
