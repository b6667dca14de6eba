/**
 * Copies a log record by record, same partition and same offset, into another engine. What is folded from the copy has
 * the same rows and ledgers, byte for byte. Rules: docs/semantics.md §9 (11).
 */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { AppendRejectedError, AppendUnknownError, EventLogShape, LogBatch, LogReadError, LogRecord } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const READ_BYTES_MAX = 1 << 20

/** The copy cannot be made or went wrong; `reason` is a sentence. What is already copied is right and stays. */
export class CopyRefusedError extends Schema.TaggedError<CopyRefusedError>()("CopyRefusedError", { reason: Schema.String }) {}

export interface CopyOptions {
  readonly source: EventLogShape
  /** Made with the identity of the source: same log id, partitions, lanes and time of creation. Nobody else appends to it. */
  readonly target: EventLogShape
  /** After each batch: records of all partitions copied so far, of how many. */
  readonly progress: (copied: bigint, total: bigint) => void
}

type CopyError = CopyRefusedError | LogReadError | AppendRejectedError | AppendUnknownError

const refuse = (reason: string) => Effect.fail(new CopyRefusedError({ reason }))

const recordAt = (batch: LogBatch, at: number): Uint8Array => batch.bytes.subarray(at === 0 ? 0 : batch.ends[at - 1], batch.ends[at])

const keyOf = (value: Uint8Array): string => {
  const decoded = decodeRecord(value)
  return decoded.kind === "event" ? decoded.event.partitionKey : ""
}

const lastRecord = Effect.fn("lastRecord")(function* (log: EventLogShape, partition: number, end: bigint) {
  const [batch] = yield* log.read([{ partition, nextOffset: end - 1n }], { bytesMax: 1, waitMaxMs: 0 })
  return batch === undefined ? undefined : recordAt(batch, 0)
})

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean => a !== undefined && b !== undefined && Buffer.compare(a, b) === 0

/** Where the copy of a partition goes on, and where it ends. */
const stretch = Effect.fn("stretch")(function* ({ source, target }: CopyOptions, partition: number) {
  const from = yield* source.bounds(partition)
  const to = yield* target.bounds(partition)
  if (from.start > 0n) return yield* refuse(`Partition ${partition} of the source begins at offset ${from.start}: its head has expired, so no copy has the same offsets.`)
  if (to.start > 0n) return yield* refuse(`Partition ${partition} of the target begins at offset ${to.start}: its head has expired.`)
  if (to.end > from.end) return yield* refuse(`Partition ${partition} of the target has ${to.end} records, more than the ${from.end} of the source: it is no copy.`)
  if (to.end > 0n && !same(yield* lastRecord(source, partition, to.end), yield* lastRecord(target, partition, to.end))) {
    return yield* refuse(`Record ${to.end - 1n} of partition ${partition} differs between source and target: the target is no copy of this log.`)
  }
  return { partition, from: to.end, to: from.end }
})

/** Appends the part of a batch below `to`; answers how many records. */
const append = Effect.fn("append")(function* (target: EventLogShape, batch: LogBatch, to: bigint) {
  const count = Math.min(batch.ends.length, Number(to - batch.firstOffset))
  const records = Array.from({ length: count }, (_, at): LogRecord => {
    const value = recordAt(batch, at)
    return { partition: batch.partition, key: keyOf(value), value }
  })
  const stored = yield* target.append(records)
  const strayed = stored.findIndex(({ offset }, at) => offset !== batch.firstOffset + BigInt(at))
  if (strayed >= 0) {
    return yield* refuse(`Record ${batch.firstOffset + BigInt(strayed)} of partition ${batch.partition} was stored at offset ${stored[strayed]?.offset}: somebody else appends to the target. Stop them, remove the target and copy again.`)
  }
  return count
})

/** Copies what the source holds now; called again it goes on where it ended. Answers the records copied by this call. */
export const copyLog = (options: CopyOptions): Effect.Effect<bigint, CopyError> =>
  Effect.gen(function* () {
    const { source, target, progress } = options
    const identities = [source, target].map(({ identity: { logId, partitions, lanes } }) => `${logId} with ${partitions} partitions and ${lanes} lanes`)
    if (identities[0] !== identities[1]) return yield* refuse(`The target holds another log: ${identities[1]}, the source is ${identities[0]}.`)
    const stretches = []
    for (let partition = 0; partition < source.identity.partitions; partition++) stretches.push(yield* stretch(options, partition))
    const total = stretches.reduce((sum, { from, to }) => sum + to - from, 0n)
    let copied = 0n
    for (const { partition, from, to } of stretches) {
      for (let next = from; next < to;) {
        const [batch] = yield* source.read([{ partition, nextOffset: next }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
        if (batch === undefined || batch.firstOffset !== next) return yield* refuse(`The source does not give record ${next} of partition ${partition}.`)
        const count = BigInt(yield* append(target, batch, to))
        next += count
        copied += count
        progress(copied, total)
      }
    }
    return copied
  })
