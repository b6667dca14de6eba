/** The partition index in memory. What is stored outlives the layer. */
import { HORIZON_MS } from "@tidemark/domain/events/partitionState"
import { PartitionIndex, PartitionIndexError } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment, PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Segments of each partition, oldest first, and the smallest offset of each import entry. */
export interface MemoryIndexDisk {
  readonly segments: Map<number, PartitionSegment[]>
  readonly imports: Map<string, number>
}

export const createMemoryIndexDisk = (): MemoryIndexDisk => ({ segments: new Map(), imports: new Map() })

const importKey = (partition: number, hi: number, lo: number): string => `${partition}:${hi}:${lo}`

/** The part of a segment's entries at offsets from `end` on. */
const from = (segment: PartitionSegment, end: bigint): PartitionSegment => {
  const kept = (offsets: Float64Array): number[] => Array.from(offsets.keys()).filter((i) => (offsets[i] ?? 0) >= Number(end))
  const words = (values: Uint32Array, indices: readonly number[]) => Uint32Array.from(indices, (i) => values[i] ?? 0)
  const doubles = (values: Float64Array, indices: readonly number[]) => Float64Array.from(indices, (i) => values[i] ?? 0)
  const { live, imports } = segment
  const liveKept = kept(live.offset)
  const importsKept = kept(imports.offset)
  return {
    ...segment,
    from: end,
    live: { hi: words(live.hi, liveKept), lo: words(live.lo, liveKept), receivedMs: doubles(live.receivedMs, liveKept), offset: doubles(live.offset, liveKept) },
    imports: { hi: words(imports.hi, importsKept), lo: words(imports.lo, importsKept), offset: doubles(imports.offset, importsKept) }
  }
}

const NO_IMPORTS = { hi: new Uint32Array(), lo: new Uint32Array(), offset: new Float64Array() }

const save = (disk: MemoryIndexDisk, whole: PartitionSegment): Effect.Effect<void, PartitionIndexError> => {
  const stored = disk.segments.get(whole.partition) ?? []
  const end = stored.at(-1)?.to ?? whole.from
  if (whole.to <= end) return Effect.void
  if (whole.from > end) return Effect.fail(new PartitionIndexError({ cause: new Error(`a segment starts at ${whole.from}, the stored ones end at ${end}`) }))
  const segment = from(whole, end)
  const { hi, lo, offset } = segment.imports
  for (let i = 0; i < hi.length; i++) {
    const key = importKey(segment.partition, hi[i] ?? 0, lo[i] ?? 0)
    disk.imports.set(key, Math.min(disk.imports.get(key) ?? Infinity, offset[i] ?? 0))
  }
  disk.segments.set(segment.partition, [...stored, { ...segment, tenantMaxMs: new Map(segment.tenantMaxMs), imports: NO_IMPORTS }])
  return Effect.void
}

const finite = (ms: number): number | null => (Number.isFinite(ms) ? ms : null)

const clocksOf = ({ partition, to, receivedMaxMs, heartbeatMaxMs, tenantMaxMs }: PartitionSegment): PrefixClocks => ({
  partition, nextOffset: to, receivedMaxMs: finite(receivedMaxMs), heartbeatMaxMs: finite(heartbeatMaxMs), tenantMaxMs
})

const makeIndex = (disk: MemoryIndexDisk): PartitionIndexShape => ({
  load: (partition, atMost) => Effect.sync(() => {
    const below = (disk.segments.get(partition) ?? []).filter(({ to }) => to <= atMost)
    const last = below.at(-1)
    return {
      nextOffset: last?.to ?? 0n,
      segments: last === undefined ? [] : below.filter((segment) => segment === last || last.receivedMaxMs - segment.receivedMaxMs <= HORIZON_MS),
      imports: { has: (hi, lo, before) => (disk.imports.get(importKey(partition, hi, lo)) ?? Infinity) < before }
    }
  }),
  save: (segment) => Effect.suspend(() => save(disk, segment)),
  clocks: (partition, atMost, receivedMaxMs) => Effect.sync(() => {
    const found = (disk.segments.get(partition) ?? []).findLast((segment) => segment.to <= atMost && segment.receivedMaxMs <= receivedMaxMs)
    return found === undefined ? undefined : clocksOf(found)
  })
})

/** The index on `disk`. */
export const memoryPartitionIndex = (disk: MemoryIndexDisk): Layer.Layer<PartitionIndex> =>
  Layer.effect(PartitionIndex, Effect.sync(() => makeIndex(disk)))
