/** The tables of one generation: rows, ledgers and key counts, created and dropped together. */
import type { Additive, TableLayout } from "./columns.ts"
import { tenantPolicies } from "./migrations.ts"
import { quoted } from "./sqlText.ts"

/** Qualified, quoted names of a generation's tables. */
export interface GenerationTables {
  readonly rows: string
  readonly late: string
  readonly duplicates: string
  readonly deadLetters: string
  readonly keyCounts: string
}

export const tablesOf = (namespace: string, layout: TableLayout): GenerationTables => {
  const named = (suffix: string): string => `${quoted(namespace)}.${quoted(`${layout.table}${suffix}`)}`
  return { rows: named(""), late: named("_late"), duplicates: named("_duplicates"), deadLetters: named("_dead_letters"), keyCounts: named("_key_counts") }
}

const COLUMN_TYPES: Readonly<Record<Additive, string>> = { count: "bigint NOT NULL", sum: "numeric NOT NULL", min: "numeric", max: "numeric" }

/**
 * Identity of a partial in the order it is scanned: a tenant's windows of one resolution by time, then key, then lane.
 * There is no other index: one by key would cost every flush half as much again, and a series of one key finds its windows
 * by probing this one, since where windows start is known.
 */
const rowsTable = (table: string, layout: TableLayout): string => {
  const columns = [
    ...layout.dimensions.map((name) => `${quoted(name)} text NOT NULL`),
    ...layout.measures.flatMap(({ parts }) => parts.map(({ column, additive }) => `${quoted(column)} ${COLUMN_TYPES[additive]}`)),
    ...layout.measures.map(({ state }) => `${quoted(state)} bytea NOT NULL`)
  ]
  const storages = layout.measures.map(({ state }) => `ALTER TABLE ${table} ALTER COLUMN ${quoted(state)} SET STORAGE EXTERNAL;`)
  return `
CREATE TABLE ${table} (
  tenant_id text COLLATE "C" NOT NULL, resolution smallint NOT NULL, window_start timestamptz NOT NULL, key_id bytea NOT NULL, lane smallint NOT NULL,
  ${columns.map((column) => `${column},`).join("\n  ")}
  events bigint NOT NULL, late_events bigint NOT NULL, backfill_events bigint NOT NULL, fingerprint bytea NOT NULL, offset_ranges bytea NOT NULL,
  revision bigint NOT NULL, PRIMARY KEY (tenant_id, resolution, window_start, key_id, lane)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
${storages.join("\n")}`
}

const ledgers = ({ late, duplicates, deadLetters, keyCounts }: GenerationTables): string => `
CREATE TABLE ${late} (
  partition int NOT NULL, record_offset bigint NOT NULL, tenant_id text COLLATE "C" NOT NULL, event_id text NOT NULL, event_type text NOT NULL,
  event_time timestamptz NOT NULL, window_start timestamptz NOT NULL, late_by_ms bigint NOT NULL, outcome text NOT NULL, key text NOT NULL,
  contribution text NOT NULL, PRIMARY KEY (partition, record_offset));
CREATE INDEX ON ${late} (tenant_id, partition, record_offset);
CREATE TABLE ${duplicates} (
  partition int NOT NULL, record_offset bigint NOT NULL, tenant_id text COLLATE "C" NOT NULL, PRIMARY KEY (partition, record_offset));
CREATE TABLE ${deadLetters} (
  partition int NOT NULL, record_offset bigint NOT NULL, tenant_id text COLLATE "C" NOT NULL, code text NOT NULL, pointer text NOT NULL,
  PRIMARY KEY (partition, record_offset));
CREATE INDEX ON ${deadLetters} (tenant_id, partition, record_offset);
CREATE TABLE ${keyCounts} (
  tenant_id text COLLATE "C" NOT NULL, window_start timestamptz NOT NULL, lane smallint NOT NULL, partition int NOT NULL, keys int NOT NULL,
  PRIMARY KEY (tenant_id, window_start, lane, partition)) WITH (fillfactor = 85);`

/** Statements that create the tables of a generation, with their policies. */
export const createTables = (namespace: string, layout: TableLayout): string => {
  const tables = tablesOf(namespace, layout)
  return [rowsTable(tables.rows, layout), ledgers(tables), ...Object.values(tables).map(tenantPolicies)].join("\n")
}
