/** What a generation takes of the database, by its tables' sizes. */
import type { GenerationSize } from "@tidemark/domain/ports/generationSize"
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import type { Pool } from "pg"
import { findGeneration } from "./generations.ts"
import type { Store } from "./generations.ts"

/** Rows of a smaller table are counted, some hundred thousand of them; of a larger one the statistics tell. */
const COUNTED_BYTES_MAX = 128 << 20

interface TableFigures {
  readonly heap_bytes: string
  readonly estimated: string | null
}

/** The last VACUUM's or ANALYSE's rows a page, times the pages of now; null for a table that has seen neither. */
const FIGURES = `SELECT pg_relation_size(c.oid) AS heap_bytes,
  CASE WHEN c.reltuples < 0 OR c.relpages = 0 THEN NULL ELSE round(c.reltuples::numeric / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::bigint)) END AS estimated
FROM pg_class c WHERE c.oid = $1::regclass`

const rowsOf = async (pool: Pool, table: string): Promise<bigint> => {
  const { rows: [figures] } = await pool.query<TableFigures>(FIGURES, [table])
  if (figures !== undefined && figures.estimated !== null && BigInt(figures.heap_bytes) > COUNTED_BYTES_MAX) return BigInt(figures.estimated)
  const { rows: [counted] } = await pool.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${table}`)
  return BigInt(counted?.rows ?? 0)
}

/** Undefined where there is no such generation, or it was dropped. */
export const generationSize = async (store: Store, { projection, generation }: GenerationId): Promise<GenerationSize | undefined> => {
  const { rows } = await store.writers.query(`SELECT 1 FROM ${store.schema}.generations WHERE projection = $1 AND generation = $2 AND NOT is_dropped`, [projection, generation])
  const found = rows.length === 0 ? undefined : await findGeneration(store, store.writers, projection, generation)
  if (found === undefined) return undefined
  const { rows: [size] } = await store.writers.query<{ bytes: string }>("SELECT sum(pg_total_relation_size(name::regclass)) AS bytes FROM unnest($1::text[]) AS name", [Object.values(found.tables)])
  return { rows: await rowsOf(store.writers, found.tables.rows), bytes: BigInt(size?.bytes ?? 0) }
}
