/** Rows that a lane's retention drops, across tenants: their keys begin with the tenant, so it is skipped from one to the next. */
import type { GenerationId, LaneId, ResolutionCode, Row } from "@tidemark/domain/ports/ReadModelStore"
import { OFFSET_END, keyCountKey } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"
import { decodeStoredRow, laneOf, rowRange, tenantEnd, tenantOf } from "./rowCodec.ts"

const CHUNK_ROWS = 1_000
const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]
/** Before every window: the earliest instant a date can have. */
const EARLIEST_MS = -8_640_000_000_000_000

/** Tenants that have any row at all. */
export function* tenantsOf({ rows }: ModelStores): Generator<string> {
  let start: Buffer = Buffer.alloc(1)
  for (;;) {
    const [first] = rows.getKeys({ start, limit: 1 })
    if (first === undefined) return
    const tenantId = tenantOf(first)
    yield tenantId
    start = tenantEnd(tenantId)
  }
}

/** Chunks of the lane's rows that start before `beforeMs`, with their keys. */
function* rowsBelow(stores: ModelStores, lane: LaneId, beforeMs: number): Generator<readonly (readonly [key: Buffer, row: Row])[]> {
  for (const tenantId of tenantsOf(stores)) {
    for (const resolution of RESOLUTIONS) {
      const { start, end } = rowRange({ tenantId, projection: lane.projection, generation: lane.generation, resolution }, EARLIEST_MS, beforeMs)
      let chunk: (readonly [Buffer, Row])[] = []
      for (const { key, value } of stores.rows.getRange({ start, end })) {
        if (laneOf(key) !== lane.lane) continue
        const { lane: _lane, ...row } = decodeStoredRow(tenantId, resolution, key, value)
        if (chunk.push([key, row]) < CHUNK_ROWS) continue
        yield chunk
        chunk = []
      }
      if (chunk.length > 0) yield chunk
    }
  }
}

/** Where the rows of a generation lie: one range for each tenant and resolution. */
export function* generationRowRanges(stores: ModelStores, { projection, generation }: GenerationId): Generator<ReturnType<typeof rowRange>> {
  for (const tenantId of tenantsOf(stores)) {
    for (const resolution of RESOLUTIONS) yield rowRange({ tenantId, projection, generation, resolution }, EARLIEST_MS, -EARLIEST_MS)
  }
}

/** Keys of all rows of a generation. */
export function* generationRowKeys(stores: ModelStores, id: GenerationId): Generator<Buffer> {
  for (const range of generationRowRanges(stores, id)) yield* stores.rows.getKeys(range)
}

/** Keys of all key counts of a generation; of tenants that have rows, since every count stands for a row. */
export function* keyCountKeysOf(stores: ModelStores, { projection, generation }: GenerationId): Generator<Key> {
  for (const tenantId of tenantsOf(stores)) {
    const start: Key = [tenantId, projection, generation]
    yield* stores.keyCounts.getKeys({ start, end: [...start, OFFSET_END] })
  }
}

/** Visits the lane's rows that start before `beforeMs`. */
export const visitRowsBelow = (stores: ModelStores, lane: LaneId, beforeMs: number, visit: (rows: readonly Row[]) => void): void => {
  for (const chunk of rowsBelow(stores, lane, beforeMs)) visit(chunk.map(([, row]) => row))
}

/** Removes the lane's rows that start before `beforeMs`, and the key counts of their windows. Within a transaction. */
export const dropRowsBelow = (stores: ModelStores, lane: LaneId, beforeMs: number): void => {
  const dropped = [...rowsBelow(stores, lane, beforeMs)].flatMap((chunk) => chunk.map(([key, { tenantId, windowStartMs, resolution }]) => ({ key, tenantId, windowStartMs, resolution })))
  for (const { key, tenantId, windowStartMs, resolution } of dropped) {
    stores.rows.removeSync(key)
    if (resolution === 0) stores.keyCounts.removeSync(keyCountKey(lane, { tenantId, windowStartMs }))
  }
}
