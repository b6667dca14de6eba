/**
 * View `rm_<projection>` on the active generation, for BI tools: one row per tenant, window and key, whatever the number
 * of lanes. Columns that no query names cost nothing, so the estimates may stand beside the figures that add up.
 */
import type { StaleView } from "@tidemark/domain/ports/staleView"
import { DatabaseError } from "pg"
import type { PoolClient } from "pg"
import { projectionStem } from "./columns.ts"
import type { TableLayout } from "./columns.ts"
import { transact, wasRefused } from "./connection.ts"
import { findGeneration } from "./generations.ts"
import type { Store, StoredGeneration } from "./generations.ts"
import { biRole, servingRole } from "./migrations.ts"
import { quoted } from "./sqlText.ts"

/** How long the transaction of the pointer waits for those who read the view, ms: flushes of both generations and every new reader wait with it. */
const MOVE_WAIT_MS = 100
/** How long a later try waits, ms: new readers of the view wait with it, and nothing else. */
const REPAIR_WAIT_MS = 500
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

const listed = (names: readonly string[]): string => [...names.slice(0, -2), names.slice(-2).join(" and ")].join(", ")

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

/** Why Postgres refused, with who stands against it now. Outside the transaction that was refused, which can be asked nothing more. */
const reasonOf = async ({ schema, writers }: Store, projection: string, { code, message }: DatabaseError): Promise<string> => {
  if (code !== DEPENDED_ON && code !== LOCK_NOT_AVAILABLE) return message
  const { rows } = await writers.query<{ readonly holder: string }>(`${code === DEPENDED_ON ? DEPENDANTS : READERS} LIMIT ${HOLDERS_NAMED}`, [`${schema}.${quoted(viewName(projection))}`])
  if (rows.length === 0) return "somebody held it a moment ago"
  const holders = listed(rows.map(({ holder }) => holder))
  const [holds, are] = rows.length === 1 ? ["holds", "is"] : ["hold", "are"]
  return code === DEPENDED_ON ? `${holders} ${are} built on its columns, which change` : `${holders} ${holds} it`
}

/** In place where the columns allow it, so that views which others built on it live on; else dropped and made anew. */
const putView = async (client: PoolClient, view: string, query: string): Promise<void> => {
  await client.query("SAVEPOINT columns")
  try {
    await client.query(`CREATE OR REPLACE VIEW ${view} WITH (security_invoker = true) AS ${query}`)
  } catch (cause) {
    if (!(cause instanceof DatabaseError) || cause.code !== OTHER_COLUMNS) throw cause
    await client.query(`ROLLBACK TO SAVEPOINT columns; DROP VIEW ${view}; CREATE VIEW ${view} WITH (security_invoker = true) AS ${query}`)
  }
}

/** The BI role may read the rows of the generation that the view shows and of no other. */
const grantView = async (store: Store, client: PoolClient, view: string, next: StoredGeneration, before: StoredGeneration | undefined): Promise<void> => {
  const [bi, serving] = [biRole(store.namespace), servingRole(store.namespace)]
  if (await hasRole(client, bi)) {
    const isLeft = before !== undefined && (await client.query("SELECT to_regclass($1) AS found", [before.tables.rows])).rows[0]?.found !== null
    if (isLeft) await client.query(`REVOKE SELECT ON ${before.tables.rows} FROM ${quoted(bi)}`)
    await client.query(`GRANT SELECT ON ${view}, ${next.tables.rows} TO ${quoted(bi)}`)
  }
  if (await hasRole(client, serving)) await client.query(`GRANT SELECT ON ${view} TO ${quoted(serving)}`)
}

/**
 * Points the view at a generation, unless it is there. The view asks with its reader's rights, so row-level security holds
 * for whoever owns it. The lock on its row in `bi_views` keeps everybody else from the view until the transaction ends.
 */
const show = async (store: Store, client: PoolClient, projection: string, generation: number): Promise<void> => {
  const { schema } = store
  const view = `${schema}.${quoted(viewName(projection))}`
  const { rows } = await client.query<{ generation: number; exists: boolean }>(`SELECT generation, to_regclass($2) IS NOT NULL AS exists FROM ${schema}.bi_views WHERE projection = $1 FOR UPDATE`, [projection, view])
  const shown = rows[0]?.generation ?? 0
  if (shown === generation && rows[0]?.exists === true) return
  const next = await findGeneration(store, client, projection, generation)
  if (next === undefined) return
  await putView(client, view, viewQuery(schema, next))
  await grantView(store, client, view, next, shown === generation ? undefined : await findGeneration(store, client, projection, shown))
  await client.query(`INSERT INTO ${schema}.bi_views (projection, generation) VALUES ($1, $2) ON CONFLICT (projection) DO UPDATE SET generation = EXCLUDED.generation, reason = NULL`, [projection, generation])
}

/**
 * Has the view follow the pointer, as the last step of the pointer's own transaction, which goes on whatever stands against
 * it: what is served does not depend on the view. Answers whether it has followed.
 */
export const showAtOnce = async (store: Store, client: PoolClient, projection: string, generation: number): Promise<boolean> => {
  await client.query(`SAVEPOINT view; SET LOCAL lock_timeout = ${MOVE_WAIT_MS}`)
  try {
    await show(store, client, projection, generation)
    return true
  } catch (cause) {
    if (!wasRefused(cause)) throw cause
    await client.query("ROLLBACK TO SAVEPOINT view")
    return false
  }
}

/** The view with its pointer, whether they agree or not. */
const SHOWN = (schema: string): string => `FROM ${schema}.pointers AS p LEFT JOIN ${schema}.bi_views AS v USING (projection)`

/** Views that show another generation than the pointer names, as the session of `client` sees it. */
export const readStaleViews = async ({ schema, namespace }: Store, client: PoolClient): Promise<StaleView[]> => {
  const { rows } = await client.query<{ projection: string; generation: number; reason: string }>(
    `SELECT projection, coalesce(v.generation, 0) AS generation, coalesce(v.reason, 'it has not been tried again yet') AS reason ${SHOWN(schema)}
WHERE v.generation IS DISTINCT FROM p.generation ORDER BY projection`)
  return rows.map(({ projection, generation, reason }) => ({ projection, view: `${namespace}.${viewName(projection)}`, generation, reason }))
}

/** Somebody else is at it: theirs to finish. */
const isBusy = async ({ schema }: Store, client: PoolClient, projection: string): Promise<boolean> => {
  await client.query(`INSERT INTO ${schema}.bi_views (projection, generation) VALUES ($1, 0) ON CONFLICT DO NOTHING`, [projection])
  return (await client.query(`SELECT FROM ${schema}.bi_views WHERE projection = $1 FOR UPDATE SKIP LOCKED`, [projection])).rowCount === 0
}

/** One try; what stands against it is kept for who asks. Answers that, undefined when the view shows what is served. */
const repair = async (store: Store, projection: string): Promise<string | undefined> => {
  const { schema, writers } = store
  try {
    await transact(writers, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${REPAIR_WAIT_MS}`)
      if (await isBusy(store, client, projection)) return
      // Looked at under the lock; should it move now, the move finds the lock, and leaves the view to the next pass.
      const { rows } = await client.query<{ generation: number }>(`SELECT generation FROM ${schema}.pointers WHERE projection = $1`, [projection])
      if (rows[0] !== undefined) await show(store, client, projection, rows[0].generation)
    })
    return undefined
  } catch (cause) {
    if (!wasRefused(cause)) throw cause
    const reason = await reasonOf(store, projection, cause)
    await writers.query(`UPDATE ${schema}.bi_views SET reason = $2 WHERE projection = $1 AND reason IS DISTINCT FROM $2`, [projection, reason])
    return `${shownName(store, projection)} shows an earlier generation: ${reason}`
  }
}

/** Tries each view once that is not there or does not show what is served. Answers what stands against those that still do not, a sentence each. */
export const repairViews = async (store: Store): Promise<string[]> => {
  const { rows } = await store.writers.query<{ projection: string; is_stale: boolean }>(`SELECT projection, v.generation IS DISTINCT FROM p.generation AS is_stale ${SHOWN(store.schema)} ORDER BY projection`)
  const faults: string[] = []
  for (const { projection, is_stale: isStale } of rows) {
    const { rows: found } = await store.writers.query<{ exists: boolean }>("SELECT to_regclass($1) IS NOT NULL AS exists", [`${store.schema}.${quoted(viewName(projection))}`])
    const fault = isStale || found[0]?.exists !== true ? await repair(store, projection) : undefined
    if (fault !== undefined) faults.push(fault)
  }
  return faults
}
