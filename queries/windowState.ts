/** State of a window, watermark and position: derived when read, never stored. Rules: docs/semantics.md §3, §5. */
import type { PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import type { LaneCheckpoint, PartitionCheckpoint } from "@tidemark/domain/ports/ReadModelStore"

export type WindowState = "PROVISIONAL" | "FINAL" | "REVISED"

/** Next offset of a partition. */
export interface PositionPart {
  readonly partition: number
  readonly nextOffset: bigint
}

/** What the state of a window depends on. */
export interface WindowCounts {
  readonly events: bigint
  readonly lateEvents: bigint
  readonly backfillEvents: bigint
}

/** `watermarkMs`: the tenant's, null when there is none. */
export const windowState = (endMs: number, watermarkMs: number | null, counts: WindowCounts): WindowState => {
  if (watermarkMs === null || watermarkMs < endMs) return "PROVISIONAL"
  const { events, lateEvents, backfillEvents } = counts
  return lateEvents > 0n || (backfillEvents > 0n && backfillEvents < events) ? "REVISED" : "FINAL"
}

/** Late and imported events of a revised window; none of any other. */
export const correctionsOf = (state: WindowState, counts: WindowCounts): bigint => (state === "REVISED" ? counts.lateEvents + counts.backfillEvents : 0n)

/** M(p, t), Unix ms; null while nothing was seen. */
export const maxEventTimeMs = (checkpoint: PrefixClocks, tenantId: string): number | null => {
  const tenantMs = checkpoint.tenantMaxMs.get(tenantId) ?? -Infinity
  const ms = Math.max(tenantMs, checkpoint.heartbeatMaxMs ?? -Infinity)
  return ms === -Infinity ? null : ms
}

/** Partition checkpoints of all lanes, by partition. */
export const partitionsOf = (lanes: readonly LaneCheckpoint[]): readonly PartitionCheckpoint[] =>
  lanes.flatMap(({ partitions }) => partitions).sort((a, b) => a.partition - b.partition)

/** The tenant's watermark, Unix ms; null while a partition has none. */
export const watermarkOf = (partitions: readonly PrefixClocks[], tenantId: string, outOfOrdernessMs: number): number | null => {
  let lowest = Infinity
  for (const partition of partitions) lowest = Math.min(lowest, maxEventTimeMs(partition, tenantId) ?? -Infinity)
  return Number.isFinite(lowest) ? lowest - outOfOrdernessMs : null
}

/** Next offsets, by partition. */
export const positionOf = (partitions: readonly PrefixClocks[]): readonly PositionPart[] =>
  partitions.map(({ partition, nextOffset }) => ({ partition, nextOffset }))

const DAY_MS = 86_400_000

/** Windows that start before this are hidden, Unix ms; −Infinity without retention. */
export const retainedFromMs = (partitions: readonly PrefixClocks[], retentionDays: number | undefined): number => {
  if (retentionDays === undefined) return -Infinity
  let highest = -Infinity
  for (const { receivedMaxMs } of partitions) {
    if (receivedMaxMs !== null) highest = Math.max(highest, Math.floor((receivedMaxMs - retentionDays * DAY_MS) / DAY_MS) * DAY_MS)
  }
  return highest
}
