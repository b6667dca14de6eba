/** Generations and their layouts. A generation never changes and its number is never used again, so layouts are cached. */
import type { GenerationRecord } from "@tidemark/domain/ports/ReadModelStore"
import type { Pool, PoolClient } from "pg"
import { timeParameter, unixMs } from "./arrayParameters.ts"
import type { TableLayout } from "./columns.ts"
import { createTables, tablesOf } from "./generationTables.ts"
import type { GenerationTables } from "./generationTables.ts"
import { checkpointText, emptyPartition } from "./stateText.ts"

const DIGEST_BYTES = 4_096

export interface StoredGeneration {
  readonly layout: TableLayout
  readonly tables: GenerationTables
}

/** What every part of the adapter works with. */
export interface Store {
  readonly namespace: string
  /** The namespace's schema, quoted. */
  readonly schema: string
  readonly writers: Pool
  readonly snapshots: Pool
  /** Whether this user sees the rows of all tenants. */
  readonly seesAllTenants: boolean
  readonly generations: Map<string, StoredGeneration>
  /** Tells that something was left to be done. */
  readonly wake: () => void
}

/** The tables of a generation; undefined when there is none. */
export const findGeneration = async (store: Store, client: Pool | PoolClient, projection: string, generation: number): Promise<StoredGeneration | undefined> => {
  const name = `${generation} ${projection}`
  const known = store.generations.get(name)
  if (known !== undefined) return known
  const { rows } = await client.query<{ layout: string }>(`SELECT layout FROM ${store.schema}.generations WHERE projection = $1 AND generation = $2`, [projection, generation])
  const text = rows[0]?.layout
  if (text === undefined) return undefined
  const layout = JSON.parse(text) as TableLayout
  const found = { layout, tables: tablesOf(store.namespace, layout) }
  store.generations.set(name, found)
  return found
}

interface GenerationRow {
  readonly projection: string
  readonly generation: number
  readonly definition: string
  readonly definition_hash: string
  readonly created_at_ms: string
  readonly log_id: string
  readonly coverage: string
  readonly is_dropped: boolean
}

const recordOf = (row: GenerationRow): GenerationRecord => ({
  projection: row.projection, generation: row.generation, definition: row.definition, definitionHash: row.definition_hash, createdAtMs: Number(row.created_at_ms),
  logId: row.log_id,
  coverage: (JSON.parse(row.coverage) as readonly (readonly [number, string])[]).map(([partition, nextOffset]) => ({ partition, nextOffset: BigInt(nextOffset) })),
  ...(row.is_dropped ? { isDropped: true as const } : {})
})

/** Records of a projection by number, or the one asked for. */
export const readGenerations = async (store: Store, client: PoolClient, projection: string, generation?: number): Promise<GenerationRecord[]> => {
  const { rows } = await client.query<GenerationRow>(
    `SELECT projection, generation, definition, definition_hash, ${unixMs("created_at")} AS created_at_ms, log_id, coverage, is_dropped FROM ${store.schema}.generations
WHERE projection = $1 AND ($2::int IS NULL OR generation = $2) ORDER BY generation`, [projection, generation ?? null])
  return rows.map(recordOf)
}

/** Stores the record, its tables and a zero checkpoint per lane. Within a transaction. */
export const createGeneration = async (
  store: Store, client: PoolClient, record: GenerationRecord, layout: TableLayout, lanes: readonly { readonly lane: number; readonly partitions: readonly number[] }[]
): Promise<void> => {
  const { projection, generation, coverage } = record
  const values = [
    projection, generation, record.definition, record.definitionHash, timeParameter(record.createdAtMs), record.logId,
    JSON.stringify(coverage.map(({ partition, nextOffset }) => [partition, nextOffset.toString()])), JSON.stringify(layout)
  ]
  // A second creator waits here for the first, and then finds the generation.
  const { rowCount } = await client.query(`INSERT INTO ${store.schema}.generations (projection, generation, definition, definition_hash, created_at, log_id, coverage, layout)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`, values)
  if (rowCount === 0) return
  await client.query(createTables(store.namespace, layout))
  const starts = new Map(coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
  for (const { lane, partitions } of lanes) {
    const empty = partitions.map((partition) => emptyPartition(partition, starts.get(partition) ?? 0n))
    const sorted = [...empty].sort((a, b) => a.partition - b.partition)
    await client.query(`INSERT INTO ${store.schema}.lane_checkpoints VALUES ($1, $2, $3, 0, $4::int[], $5::bigint[], $6, $7)`, [
      projection, generation, lane, sorted.map(({ partition }) => partition), sorted.map(({ nextOffset }) => nextOffset.toString()), checkpointText(empty), Buffer.alloc(DIGEST_BYTES)
    ])
  }
}
