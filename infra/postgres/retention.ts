/**
 * Rows that a lane's retention drops, of all tenants.
 *
 * The primary key begins with the tenant, so the statements go from one tenant to the next (a few index probes each) and
 * then take the windows below the instant: they never read the rows that stay.
 */
import type { LaneId, ResolutionCode, Row } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { timeParameter, unixMs } from "./arrayParameters.ts"
import type { StoredGeneration } from "./generations.ts"
import { queryRows, rowOf, selectList, withoutLane } from "./rowReading.ts"
import { originalText } from "./sqlText.ts"

const CHUNK_ROWS = 1_000
/** A day's rows of a large tenant are many, and they go with one flush. */
const DROP_TIMEOUT_MS = 600_000

/** `$1` lane, `$2` instant; `t.tenant_id` is each tenant that has a row. */
const tenants = (table: string): string => `
WITH RECURSIVE t AS (
  (SELECT tenant_id FROM ${table} ORDER BY tenant_id LIMIT 1)
  UNION ALL SELECT (SELECT n.tenant_id FROM ${table} n WHERE n.tenant_id > t.tenant_id ORDER BY n.tenant_id LIMIT 1) FROM t WHERE t.tenant_id IS NOT NULL
)`

/** Visits the lane's rows that start before `beforeMs`. Within a transaction. */
export const visitRowsBelow = async (client: PoolClient, { layout, tables }: StoredGeneration, lane: LaneId, beforeMs: number, visit: (rows: readonly Row[]) => void): Promise<void> => {
  await client.query(`DECLARE rows_below NO SCROLL CURSOR FOR ${tenants(tables.rows)}
SELECT r.tenant_id, r.resolution, ${unixMs("r.window_start")}, encode(r.key_id, 'hex'), ${selectList(layout)} FROM t, generate_series(0, 2) AS s(resolution),
LATERAL (SELECT * FROM ${tables.rows} w WHERE w.tenant_id = t.tenant_id AND w.resolution = s.resolution AND w.window_start < $2::timestamptz AND w.lane = $1::int2) r`, [lane.lane, timeParameter(beforeMs)])
  for (;;) {
    const rows = (await queryRows(client, undefined, `FETCH ${CHUNK_ROWS} FROM rows_below`, [])).map((sent) => {
      const key = { tenantId: originalText(sent[0] ?? ""), resolution: Number(sent[1]) as ResolutionCode, windowStartMs: Number(sent[2]), keyId: sent[3] ?? "" }
      return withoutLane(rowOf(key, sent, 4, layout))
    })
    if (rows.length > 0) visit(rows)
    if (rows.length < CHUNK_ROWS) return
  }
}

const dropBelow = (table: string, resolutions: string, join: string): string => `${tenants(table)}
DELETE FROM ${table} r USING t${resolutions} WHERE r.tenant_id = t.tenant_id AND r.window_start < $2::timestamptz AND r.lane = $1::int2${join}`

/** Removes the lane's rows that start before `beforeMs`, and the key counts of their windows. Within a transaction. */
export const dropRowsBelow = async (client: PoolClient, { tables }: StoredGeneration, lane: LaneId, beforeMs: number): Promise<void> => {
  const values = [lane.lane, timeParameter(beforeMs)]
  await client.query(`SET LOCAL statement_timeout = ${DROP_TIMEOUT_MS}`)
  const patient = { query_timeout: DROP_TIMEOUT_MS }
  await client.query({ ...patient, text: dropBelow(tables.rows, ", generate_series(0, 2) AS s(resolution)", " AND r.resolution = s.resolution"), values })
  await client.query({ ...patient, text: dropBelow(tables.keyCounts, "", ""), values })
}
