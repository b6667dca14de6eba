/** One generation in one lane, as its owner holds it between two flushes. */
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import type { GenerationRecord, LaneCheckpoint, LaneId, PartitionCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import { KeyCounts } from "./keyCounts.ts"
import { PartitionFold } from "./partitionFold.ts"
import { RowDigest } from "./rowDigest.ts"
import { RowStates } from "./rowStates.ts"

export interface GenerationLane {
  readonly id: LaneId
  readonly epoch: bigint
  readonly compiled: CompiledProjection
  /** First offset folded, by partition. */
  readonly coverage: ReadonlyMap<number, bigint>
  /** As committed last, by partition. */
  checkpoints: ReadonlyMap<number, PartitionCheckpoint>
  readonly folds: ReadonlyMap<number, PartitionFold>
  readonly rows: RowStates
  readonly keyCounts: KeyCounts
  readonly digest: RowDigest
}

/** Continues at the checkpoint. `seed`: the log's hash seed. */
export const createGenerationLane = (record: GenerationRecord, compiled: CompiledProjection, checkpoint: LaneCheckpoint, seed: number): GenerationLane => ({
  id: checkpoint.lane,
  epoch: checkpoint.epoch,
  compiled,
  coverage: new Map(record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset])),
  checkpoints: new Map(checkpoint.partitions.map((part) => [part.partition, part])),
  folds: new Map(checkpoint.partitions.map(({ partition, nextOffset }) => [partition, new PartitionFold(compiled, partition, Number(nextOffset), seed)])),
  rows: new RowStates(compiled),
  keyCounts: new KeyCounts(),
  digest: RowDigest.decode(checkpoint.digest)
})

/** Records folded and not yet committed. */
export const pendingRecords = ({ folds }: GenerationLane): number => {
  let records = 0
  for (const { tally } of folds.values()) records += tally.records
  return records
}

/** Base rows folded and not yet committed. */
export const pendingRows = ({ folds }: GenerationLane): number => {
  let rows = 0
  for (const { deltas } of folds.values()) rows += deltas.size
  return rows
}
