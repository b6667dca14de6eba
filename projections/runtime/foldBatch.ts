/** One batch of one partition through all generations of its lane: decoded, observed and hashed once. */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import type { LogBatch } from "@tidemark/domain/ports/EventLog"
import type { LateEntry, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { Effect } from "effect"
import type { GenerationLane } from "./generationLane.ts"
import { HaltError } from "./halt.ts"
import type { PartitionReader } from "./openLane.ts"
import type { ObservedRecord } from "./partitionFold.ts"

/** Ledger entries of released originals, by generation. */
type Released = ReadonlyMap<GenerationLane, readonly LateEntry[]>

/** Offsets of the originals that late-applied records of the batch release. */
const releasedOffsets = (decoded: readonly DecodedRecord[], partition: number): readonly bigint[] =>
  decoded.flatMap((record) => (record.kind === "system" && record.record.system === "late-applied" && record.record.partition === partition ? [record.record.offset] : []))

const readReleased = Effect.fn("readReleased")(function* (store: ReadModelStoreShape, generations: readonly GenerationLane[], partition: number, offsets: readonly bigint[]) {
  const released = new Map<GenerationLane, LateEntry[]>()
  if (offsets.length === 0) return released satisfies Released
  const snapshot = yield* store.snapshot
  for (const generation of generations) {
    const { projection, generation: number } = generation.id
    const entries: LateEntry[] = []
    for (const offset of offsets) entries.push(...(yield* snapshot.lateIn({ projection, generation: number, partition, min: offset, max: offset })))
    released.set(generation, entries)
  }
  return released satisfies Released
})

/** Folds the records for one generation; those below its own checkpoint are behind it already. */
const foldFor = (generation: GenerationLane, partition: number, records: readonly ObservedRecord[], released: Released): void => {
  const fold = generation.folds.get(partition)
  if (fold === undefined) return
  for (const entry of released.get(generation) ?? []) fold.committedLate.set(Number(entry.offset), entry)
  for (const record of records) if (record.offset >= fold.next) fold.take(record)
}

export interface FoldFailure {
  readonly generation: GenerationLane
  readonly error: HaltError
}

/**
 * Folds the batch into every generation. A generation that fails is answered and must be dropped: its memory is not
 * what its partitions say. Fails with `HaltError` when the batch does not continue the partition.
 */
export const foldBatch = Effect.fn("foldBatch")(function* (store: ReadModelStoreShape, reader: PartitionReader, generations: readonly GenerationLane[], batch: LogBatch, seed: number) {
  const { partition, state } = reader
  if (batch.firstOffset !== state.nextOffset) {
    return yield* new HaltError({ code: "LOG_GAP", detail: `partition ${partition}: offset ${batch.firstOffset} came where ${state.nextOffset} was expected` })
  }
  const decoded: DecodedRecord[] = []
  for (let at = 0; at < batch.ends.length; at++) decoded.push(decodeRecord(batch.bytes.subarray(at === 0 ? 0 : batch.ends[at - 1], batch.ends[at])))
  const released = yield* Effect.scoped(readReleased(store, generations, partition, releasedOffsets(decoded, partition)))
  const hash = new Uint32Array(4)
  const records = decoded.map((record, at): ObservedRecord => {
    const { duplicate, maxEventTimeMs } = state.observe(record)
    hash.fill(0)
    if (record.kind === "event") hashUtf8(record.event.id, seed, hash)
    return { offset: Number(batch.firstOffset) + at, decoded: record, duplicate, maxEventTimeMs, receivedMaxMs: state.receivedMaxMs, hashHi: hash[0] ?? 0, hashLo: hash[1] ?? 0 }
  })
  reader.lastRecord = batch.bytes.subarray(batch.ends.at(-2) ?? 0, batch.ends.at(-1))
  const failures: FoldFailure[] = []
  for (const generation of generations) {
    try {
      foldFor(generation, partition, records, released)
    } catch (cause) {
      failures.push({ generation, error: new HaltError({ code: "FOLD_FAILED", detail: `partition ${partition}, from offset ${batch.firstOffset}: ${String(cause)}` }) })
    }
  }
  return failures
})
