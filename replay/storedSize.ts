/** How many rows a generation holds and how large they are, from the first of each tenant: for a plan, not for a proof. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { GenerationRecord, LaneCheckpoint, ReadSnapshot, ResolutionCode, RowKey, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"

/** Of minute, hour and day, over all tenants and lanes. */
export interface StoredSize {
  readonly rows: bigint
  readonly bytes: bigint
}

/** Windows looked at of each resolution, over all tenants. */
const WINDOWS_MAX = 20_000
const PAGE = 500
/** Beside its measures and key, a row has its place, counts and offset ranges. */
const ROW_BYTES = 160

interface Seen {
  rows: number
  bytes: number
  events: bigint
  isCut: boolean
}

const sizeOf = ({ measures, key }: StoredRow): number => measures.reduce((sum, { length }) => sum + length, 0) + key.reduce((sum, { length }) => sum + length, 0) + ROW_BYTES

const see = Effect.fn("see")(function* (snapshot: ReadSnapshot, { projection, generation }: GenerationRecord, tenantId: string, resolution: ResolutionCode, windowsMax: number, seen: Seen) {
  let after: RowKey | undefined
  for (let left = windowsMax; ; left -= PAGE) {
    if (left <= 0) {
      seen.isCut = true
      return
    }
    const windows: readonly RowKey[] = yield* snapshot.windows({ projection, generation, tenantId, resolution, limit: PAGE, ...(after === undefined ? {} : { after }) })
    for (const row of (yield* snapshot.partials(projection, generation, windows)).flat()) {
      seen.rows += 1
      seen.bytes += sizeOf(row)
      seen.events += row.events
    }
    after = windows.at(-1)
    if (windows.length < PAGE) return
  }
})

/** What is seen times what it stands for: every event is in one window of each resolution. Retention drops windows and leaves the counters. */
const grown = ({ rows, bytes, events, isCut }: Seen, folded: bigint, isKept: boolean): StoredSize => {
  const scale = events > 0n && (isCut || isKept) ? Number(folded) / Number(events) : 1
  return { rows: BigInt(Math.round(rows * scale)), bytes: BigInt(Math.round(bytes * scale)) }
}

/** `tenants`: those that may have rows, beside those that the checkpoints know. */
export const storedSize = Effect.fn("storedSize")(function* (snapshot: ReadSnapshot, record: GenerationRecord, checkpoints: readonly LaneCheckpoint[], tenants: readonly string[], windowsMax = WINDOWS_MAX) {
  const partitions = checkpoints.flatMap((lane) => lane.partitions)
  const folded = partitions.reduce((sum, { counters }) => sum + counters.folded, 0n)
  const all = new Set([...tenants, ...partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()])])
  const isKept = parseDefinition(record.definition).retentionDays === undefined
  const size = { rows: 0n, bytes: 0n }
  for (const { code } of RESOLUTIONS) {
    const seen: Seen = { rows: 0, bytes: 0, events: 0n, isCut: false }
    for (const tenantId of all) yield* see(snapshot, record, tenantId, code, Math.ceil(windowsMax / all.size), seen)
    const { rows, bytes } = grown(seen, folded, isKept)
    size.rows += rows
    size.bytes += bytes
  }
  return size satisfies StoredSize as StoredSize
})
