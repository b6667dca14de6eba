/**
 * View `rm_<projection>` on the active generation, for BI tools: one row per tenant, window and key, whatever the number
 * of lanes. Columns that no query names cost nothing, so the estimates may stand beside the figures that add up.
 */
import { ViewInUseError } from "@tidemark/domain/ports/ReadModelStore"
import { DatabaseError } from "pg"
import type { PoolClient } from "pg"
import { projectionStem } from "./columns.ts"
import type { TableLayout } from "./columns.ts"
import type { Store, StoredGeneration } from "./generations.ts"
import { biRole, servingRole } from "./migrations.ts"
import { quoted } from "./sqlText.ts"

/** Flushes of both generations and every new reader of the view wait as long as one try waits for those who read it. */
const VIEW_LOCK_TIMEOUT_MS = 1_000
const HOLDERS_NAMED = 10
const PERCENTILES: readonly (readonly [part: string, q: number])[] = [["p50", 0.5], ["p95", 0.95], ["p99", 0.99]]
const MERGES = { count: "sum", sum: "sum", min: "min", max: "max" } as const

/** Name of a projection's view. */
export const viewName = (projection: string): string => `rm_${projectionStem(projection)}`

const shownName = ({ namespace }: Store, projection: string): string => `${namespace}.${viewName(projection)}`

const READERS = `SELECT concat('session ', pid, ' (', concat_ws(', ', usename, nullif(application_name, '')), ')') AS holder
  FROM pg_locks JOIN pg_stat_activity USING (pid)
  WHERE locktype = 'relation' AND granted AND relation = to_regclass($1) AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY pid`
/** Views by their names; whatever else uses the view, or the type of its rows, as Postgres describes it. */
const DEPENDANTS = `SELECT DISTINCT coalesce('view ' || rule.ev_class::regclass::text, pg_describe_object(used.classid, used.objid, used.objsubid)) AS holder
  FROM pg_class AS named
  JOIN pg_depend AS used ON used.deptype = 'n' AND (used.refclassid, used.refobjid) IN (('pg_class'::regclass, named.oid), ('pg_type'::regclass, named.reltype))
  LEFT JOIN pg_rewrite AS rule ON used.classid = 'pg_rewrite'::regclass AND rule.oid = used.objid
  WHERE named.oid = to_regclass($1) AND rule.ev_class IS DISTINCT FROM named.oid ORDER BY holder`
const HOLDERS = { readers: READERS, dependants: DEPENDANTS } as const

/** The error with who holds the view now, at most `HOLDERS_NAMED` of them. Outside the transaction that was refused, which can be asked nothing more. */
export const nameHolders = async ({ schema, writers }: Store, { projection, view, by }: ViewInUseError): Promise<ViewInUseError> => {
  const { rows } = await writers.query<{ readonly holder: string }>(`${HOLDERS[by]} LIMIT ${HOLDERS_NAMED}`, [`${schema}.${quoted(viewName(projection))}`])
  return new ViewInUseError({ projection, view, by, holders: rows.map(({ holder }) => holder) })
}

const measureColumns = (schema: string, { measures, dimensions }: TableLayout): string[] => {
  const taken = new Set([...dimensions, ...measures.flatMap(({ state, parts }) => [state, ...parts.map(({ column }) => column)])])
  const named = (expression: string, name: string): string[] => (taken.has(name) || name.length > 63 ? [] : [`${expression} AS ${quoted(name)}`])
  return measures.flatMap(({ name, kind, scale, state, parts }) => {
    const merged = `string_agg(${schema}.partial(${quoted(state)}), ''::bytea ORDER BY lane)`
    const figures = parts.map(({ column, additive }) => `${MERGES[additive]}(${quoted(column)})${additive === "count" ? "::bigint" : ""} AS ${quoted(column)}`)
    if (kind === "uniques") return [...named(`${schema}.uniques(ARRAY[${merged}])`, name), `${merged} AS ${quoted(state)}`]
    if (kind === "quantiles") {
      return [...figures, ...PERCENTILES.flatMap(([part, q]) => named(`${schema}.quantile(ARRAY[${merged}], ${q}, ${scale})`, `${name}_${part}`)), `${merged} AS ${quoted(state)}`]
    }
    return figures
  })
}

/** The view's query. `resolution`: 0 minute, 1 hour, 2 day. `<measure>_state` goes into `uniques` and `quantile`, any number of rows together. */
const viewQuery = (schema: string, { layout, tables }: StoredGeneration): string => {
  const identity = ["tenant_id", "resolution", "window_start"]
  const dimensions = layout.dimensions.map(quoted)
  const columns = [
    ...identity, ...dimensions, "sum(events)::bigint AS events", "sum(late_events)::bigint AS late_events", "sum(backfill_events)::bigint AS backfill_events",
    ...measureColumns(schema, layout)
  ]
  // The order of the primary key, so that groups come as the index yields them.
  return `SELECT ${columns.join(", ")} FROM ${tables.rows} GROUP BY ${[...identity, "key_id", ...dimensions].join(", ")}`
}

const hasRole = async (client: PoolClient, role: string): Promise<boolean> =>
  (await client.query("SELECT FROM pg_roles WHERE rolname = $1", [role])).rowCount === 1

/** What Postgres says when a view would lose or change columns, when others depend on it, and when a lock was not to be had in time. */
const OTHER_COLUMNS = "42P16"
const DEPENDED_ON = "2BP01"
const LOCK_NOT_AVAILABLE = "55P03"

const IN_USE: ReadonlyMap<string | undefined, ViewInUseError["by"]> = new Map([[LOCK_NOT_AVAILABLE, "readers"], [DEPENDED_ON, "dependants"]])

/** In place where the columns allow it, so that views which others built on it live on; else dropped and made anew. */
const putView = async (client: PoolClient, view: string, query: string): Promise<void> => {
  await client.query("SAVEPOINT view")
  try {
    await client.query(`CREATE OR REPLACE VIEW ${view} WITH (security_invoker = true) AS ${query}`)
  } catch (cause) {
    if (!(cause instanceof DatabaseError) || cause.code !== OTHER_COLUMNS) throw cause
    await client.query(`ROLLBACK TO SAVEPOINT view; DROP VIEW ${view}; CREATE VIEW ${view} WITH (security_invoker = true) AS ${query}`)
  }
}

/**
 * Points the view at another generation. The view asks with its reader's rights, so row-level security holds for whoever
 * owns it; the BI role may read this generation's rows and no other's. Within the transaction of the pointer. Throws
 * `ViewInUseError`, whose holders `nameHolders` finds.
 */
export const replaceView = async (store: Store, client: PoolClient, projection: string, next: StoredGeneration, before: StoredGeneration | undefined): Promise<void> => {
  const view = `${store.schema}.${quoted(viewName(projection))}`
  await client.query(`SET LOCAL lock_timeout = ${VIEW_LOCK_TIMEOUT_MS}`)
  try {
    await putView(client, view, viewQuery(store.schema, next))
  } catch (cause) {
    const by = cause instanceof DatabaseError ? IN_USE.get(cause.code) : undefined
    if (by === undefined) throw cause
    throw new ViewInUseError({ projection, view: shownName(store, projection), by, holders: [] })
  }
  const bi = biRole(store.namespace)
  if (await hasRole(client, bi)) {
    if (before !== undefined) await client.query(`REVOKE SELECT ON ${before.tables.rows} FROM ${quoted(bi)}`)
    await client.query(`GRANT SELECT ON ${view}, ${next.tables.rows} TO ${quoted(bi)}`)
  }
  const serving = servingRole(store.namespace)
  if (await hasRole(client, serving)) await client.query(`GRANT SELECT ON ${view} TO ${quoted(serving)}`)
}
