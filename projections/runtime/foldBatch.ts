/** One batch of one partition through all generations of its lane: decoded, observed and hashed once. */
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { DecodedRecord } from "@tidemark/domain/events/envelope"
import type { ScannedEvent } from "@tidemark/domain/events/scannedEvent"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import type { LogBatch } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { GenerationLane } from "./generationLane.ts"
import { HaltError } from "./halt.ts"
import type { PartitionReader } from "./openLane.ts"
import type { ObservedRecord, PartitionFold } from "./partitionFold.ts"

export interface FoldFailure {
  readonly generation: GenerationLane
  readonly error: HaltError
}

/** A generation that folds the batch's partition. */
interface Folding {
  readonly generation: GenerationLane
  readonly fold: PartitionFold
}

const UNREAD: DecodedRecord = { kind: "undecodable", code: "ENVELOPE", pointer: "" }

class BatchFold {
  readonly failures: FoldFailure[] = []
  folding: Folding[]
  private readonly reader: PartitionReader
  private readonly batch: LogBatch
  private readonly seed: number
  private at = 0
  /** The release at `at` may be folded: the ledger entry of its original is loaded. */
  private isLoaded = false
  private readonly scanned: ScannedEvent
  private readonly event: DecodedRecord
  /** NaN first: a field that begins with a double holds doubles from then on without an object for each. */
  private readonly record: ObservedRecord = { offset: 0, decoded: UNREAD, duplicate: false, maxEventTimeMs: NaN, receivedMaxMs: NaN, hashHi: NaN, hashLo: NaN }
  private readonly hash = new Uint32Array(4)

  constructor(reader: PartitionReader, generations: readonly GenerationLane[], batch: LogBatch, seed: number) {
    this.reader = reader
    this.scanned = reader.scanned
    this.event = { kind: "event", event: this.scanned }
    this.batch = batch
    this.seed = seed
    this.folding = generations.flatMap((generation) => {
      const fold = generation.folds.get(reader.partition)
      return fold === undefined ? [] : [{ generation, fold }]
    })
  }

  /** Folds on; answers the offset of an original whose ledger entries are needed first, undefined at the end of the batch. */
  run(): bigint | undefined {
    const { bytes, ends, firstOffset } = this.batch
    const first = Number(firstOffset)
    for (; this.at < ends.length; this.at++) {
      const from = this.at === 0 ? 0 : ends[this.at - 1]!
      const to = ends[this.at]!
      const decoded = this.scanned.scan(bytes, from, to) ? this.event : decodeRecord(bytes.subarray(from, to))
      if (!this.isLoaded && decoded.kind === "system" && decoded.record.system === "late-applied" && decoded.record.partition === this.reader.partition) return decoded.record.offset
      this.isLoaded = false
      this.observe(decoded, first + this.at)
      this.fold()
    }
    // Copied, or it would keep the whole batch.
    if (ends.length > 0) this.reader.lastRecord = new Uint8Array(bytes.subarray(ends.at(-2) ?? 0, ends.at(-1)))
    return undefined
  }

  loaded(): void {
    this.isLoaded = true
  }

  private observe(decoded: DecodedRecord, offset: number): void {
    const { record, hash, reader: { state } } = this
    state.observe(decoded, record)
    record.offset = offset
    record.decoded = decoded
    record.receivedMaxMs = state.receivedMaxMs
    if (decoded === this.event) this.scanned.hashId(this.seed, hash)
    else if (decoded.kind === "event") hashUtf8(decoded.event.id, this.seed, hash)
    else hash.fill(0)
    record.hashHi = hash[0]!
    record.hashLo = hash[1]!
  }

  /** A generation below whose own checkpoint the record lies is behind it already. */
  private fold(): void {
    const { folding, record } = this
    for (let i = 0; i < folding.length; i++) {
      const { fold, generation } = folding[i]!
      if (record.offset < fold.next) continue
      try {
        fold.take(record)
      } catch (cause) {
        this.failures.push({ generation, error: new HaltError({ code: "FOLD_FAILED", detail: `partition ${this.reader.partition}, offset ${record.offset}: ${String(cause)}` }) })
        this.folding = this.folding.filter((other) => other.generation !== generation)
        return this.fold()
      }
    }
  }
}

/** Gives each generation the committed ledger entry of the held event at `offset`. */
const loadReleased = Effect.fn("loadReleased")(function* (store: ReadModelStoreShape, folding: readonly Folding[], partition: number, offset: bigint) {
  const snapshot = yield* store.snapshot
  for (const { generation: { id }, fold } of folding) {
    const entries = yield* snapshot.lateIn({ projection: id.projection, generation: id.generation, partition, min: offset, max: offset })
    for (const entry of entries) fold.committedLate.set(Number(entry.offset), entry)
  }
})

/**
 * Folds the batch into every generation. A generation that fails is answered and must be dropped: its memory is not
 * what its partitions say. Fails with `HaltError` when the batch does not continue the partition.
 */
export const foldBatch = Effect.fn("foldBatch")(function* (store: ReadModelStoreShape, reader: PartitionReader, generations: readonly GenerationLane[], batch: LogBatch, seed: number) {
  const { partition, state } = reader
  if (batch.firstOffset !== state.nextOffset) {
    return yield* new HaltError({ code: "LOG_GAP", detail: `partition ${partition}: offset ${batch.firstOffset} came where ${state.nextOffset} was expected` })
  }
  const folding = new BatchFold(reader, generations, batch, seed)
  for (let offset = folding.run(); offset !== undefined; offset = folding.run()) {
    yield* Effect.scoped(loadReleased(store, folding.folding, partition, offset))
    folding.loaded()
  }
  return folding.failures
})
