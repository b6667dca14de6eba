/** Reads rows: by key, by range of windows, and the windows themselves. */
import type { KeyTexts, OffsetRange, ResolutionCode, Row, RowKey, RowScan, StoredRow, WindowPage } from "@tidemark/domain/ports/ReadModelStore"
import { keepsKey } from "@tidemark/domain/ports/rowScan"
import type { PoolClient, QueryArrayResult } from "pg"
import { int2Array, textArray, timeArray, timeParameter, unixMs } from "./arrayParameters.ts"
import type { TableLayout } from "./columns.ts"
import { RANGE_BYTES } from "./rowWriting.ts"
import { originalText, quoted, storedText } from "./sqlText.ts"

/** Keys asked for in one statement, and rows of one chunk of a scan. */
const KEYS_MAX = 5_000
const CHUNK_ROWS = 1_000
/** Windows of one key probed by one statement. */
const PROBES_MAX = 2_000

/** Every column as the text that the server sent: rows are decoded here, without a parser per type. */
const AS_SENT = { getTypeParser: () => (value: string) => value }

type Sent = readonly (string | null)[]

/** Runs a statement, prepared when it has a name, and answers its rows as sent. */
export const queryRows = async (client: PoolClient, name: string | undefined, text: string, values: readonly unknown[]): Promise<readonly Sent[]> => {
  const prepared = name === undefined ? {} : { name }
  const result: QueryArrayResult<(string | null)[]> = await client.query({ ...prepared, text, values: [...values], rowMode: "array", types: AS_SENT })
  return result.rows
}

/** Bytes of a `bytea` as sent: `\x` and hexadecimal digits. */
export const bytesOf = (sent: string | null | undefined): Uint8Array => new Uint8Array(Buffer.from((sent ?? "\\x").slice(2), "hex"))

const FIXED = ["lane", "events", "late_events", "backfill_events", "revision", "fingerprint", "offset_ranges"] as const

/** What a row consists of, besides its key, in the order `rowOf` expects. */
export const selectList = (layout: TableLayout): string =>
  [...FIXED, ...layout.dimensions.map(quoted), ...layout.measures.map(({ state }) => quoted(state))].map((column) => `r.${column}`).join(", ")

const rangesOf = (sent: string | null | undefined): OffsetRange[] => {
  const bytes = Buffer.from((sent ?? "\\x").slice(2), "hex")
  const ranges: OffsetRange[] = []
  for (let at = 0; at < bytes.length; at += RANGE_BYTES) {
    ranges.push({ partition: bytes.readUInt32BE(at), min: bytes.readBigUInt64BE(at + 4), max: bytes.readBigUInt64BE(at + 12) })
  }
  return ranges
}

/** The row whose columns start at `from`. */
export const rowOf = ({ tenantId, resolution, windowStartMs, keyId }: RowKey, sent: Sent, from: number, layout: TableLayout): StoredRow => {
  const field = (index: number): string => sent[from + index] ?? ""
  const dimensionsAt = FIXED.length
  const measuresAt = dimensionsAt + layout.dimensions.length
  return {
    tenantId, resolution, windowStartMs, keyId, lane: Number(field(0)), events: BigInt(field(1)), lateEvents: BigInt(field(2)), backfillEvents: BigInt(field(3)),
    revision: BigInt(field(4)), fingerprint: BigInt(`0x${field(5).slice(2)}`), offsets: rangesOf(field(6)),
    key: layout.dimensions.map((_, index) => originalText(field(dimensionsAt + index))),
    measures: layout.measures.map((_, index) => bytesOf(field(measuresAt + index)))
  }
}

const keyParameters = (keys: readonly RowKey[]): Buffer[] => [
  textArray(keys.map(({ tenantId }) => storedText(tenantId))), int2Array(keys.map(({ resolution }) => resolution)),
  timeArray(keys.map(({ windowStartMs }) => windowStartMs)), Buffer.from(keys.map(({ keyId }) => keyId).join(""), "hex")
]

/** Joined by the primary key; the key ids are one blob, 16 bytes each. */
const byKeysSql = (table: string, layout: TableLayout, condition: string): string => `
SELECT k.place, ${selectList(layout)}
FROM unnest($1::text[], $2::int2[], $3::timestamptz[]) WITH ORDINALITY AS k(tenant_id, resolution, window_start, place)
JOIN ${table} r ON r.tenant_id = k.tenant_id AND r.resolution = k.resolution AND r.window_start = k.window_start
  AND r.key_id = substring($4::bytea FROM 16 * k.place::int - 15 FOR 16)${condition}
ORDER BY k.place, r.lane`

/** The partials of each key, in the order asked for; of one lane when given. */
export const partialsByKey = async (
  client: PoolClient, table: string, layout: TableLayout, keys: readonly RowKey[], lane?: number
): Promise<StoredRow[][]> => {
  const found = keys.map((): StoredRow[] => [])
  const text = byKeysSql(table, layout, lane === undefined ? "" : " AND r.lane = $5::int2")
  for (let from = 0; from < keys.length; from += KEYS_MAX) {
    const values = [...keyParameters(keys.slice(from, from + KEYS_MAX)), ...(lane === undefined ? [] : [lane])]
    for (const sent of await queryRows(client, `${lane === undefined ? "partials" : "rows"} ${layout.table}`, text, values)) {
      const place = from + Number(sent[0]) - 1
      const key = keys[place]
      if (key !== undefined) found[place]?.push(rowOf(key, sent, 1, layout))
    }
  }
  return found
}

/** A row without its lane. */
export const withoutLane = ({ lane: _lane, ...row }: StoredRow): Row => row

type Visit = (rows: readonly StoredRow[]) => void

/** What keeps rows out by the texts of their key, as parameters from `$first` on. */
const whereSql = (layout: TableLayout, where: readonly KeyTexts[], first: number): string =>
  where.map(({ dimension }, at) => ` AND r.${quoted(layout.dimensions[dimension] ?? "")} = ANY($${first + at}::text[])`).join("")

/** Visits chunks by (window start, key id, lane), each from where the last one ended; a small answer takes one statement. */
const scanAll = async (client: PoolClient, table: string, layout: TableLayout, { tenantId, resolution, fromMs, toMs, where = [], rowsMax = Infinity }: RowScan, visit: Visit): Promise<void> => {
  const text = `
SELECT ${unixMs("r.window_start")}, encode(r.key_id, 'hex'), ${selectList(layout)} FROM ${table} r
WHERE r.tenant_id = $1 AND r.resolution = $2 AND r.window_start < $3::timestamptz AND (r.window_start, r.key_id, r.lane) > ($4::timestamptz, $5::bytea, $6::int2)${whereSql(layout, where, 8)}
ORDER BY r.window_start, r.key_id, r.lane LIMIT $7`
  // Below every key: no key id is empty.
  let after: readonly [number, Buffer, number] = [fromMs, Buffer.alloc(0), -1]
  const texts = where.map((one) => textArray(one.in.map(storedText)))
  const name = `scan ${layout.table}${where.map(({ dimension }) => ` ${dimension}`).join("")}`
  for (let left = rowsMax; left > 0;) {
    const [startMs, id, lane] = after
    const limit = Math.min(CHUNK_ROWS, left)
    const values = [storedText(tenantId), resolution, timeParameter(toMs), timeParameter(startMs), id, lane, limit, ...texts]
    const rows = (await queryRows(client, name, text, values)).map((sent) =>
      rowOf({ tenantId, resolution, windowStartMs: Number(sent[0]), keyId: sent[1] ?? "" }, sent, 2, layout))
    const last = rows.at(-1)
    if (last === undefined) return
    visit(rows)
    if (rows.length < limit) return
    left -= rows.length
    after = [last.windowStartMs, Buffer.from(last.keyId, "hex"), last.lane]
  }
}

const HOUR_MS = 3_600_000
const stepOf = (layout: TableLayout, resolution: ResolutionCode): number => (resolution === 0 ? layout.windowMs : resolution === 1 ? HOUR_MS : 24 * HOUR_MS)

/** First and last window of a tenant within the bounds; undefined when there is none. */
const windowBounds = async (client: PoolClient, table: string, { tenantId, resolution, fromMs, toMs }: RowScan): Promise<readonly [number, number] | undefined> => {
  const edge = (order: string): string =>
    `(SELECT window_start FROM ${table} WHERE tenant_id = $1 AND resolution = $2 AND window_start >= $3::timestamptz AND window_start < $4::timestamptz ORDER BY window_start ${order} LIMIT 1)`
  const text = `SELECT ${unixMs(edge("ASC"))}, ${unixMs(edge("DESC"))}`
  const [[first, last] = []] = await queryRows(client, undefined, text, [storedText(tenantId), resolution, timeParameter(fromMs), timeParameter(toMs)])
  return first === null || first === undefined ? undefined : [Number(first), Number(last)]
}

/** The rows that are kept, at most `left`. */
const keptOf = (rows: readonly StoredRow[], where: readonly KeyTexts[] | undefined, left: number): readonly StoredRow[] =>
  (where === undefined ? rows : rows.filter(({ key }) => keepsKey(where, key))).slice(0, left)

/** Visits the windows of one key: the primary key is probed at every start a window can have, the bounds narrowed first when these are many. */
const scanKey = async (client: PoolClient, table: string, layout: TableLayout, query: RowScan, keyId: string, visit: Visit): Promise<void> => {
  const { tenantId, resolution } = query
  const step = stepOf(layout, resolution)
  let [fromMs, toMs] = [query.fromMs, query.toMs]
  if ((toMs - fromMs) / step > PROBES_MAX) {
    const bounds = await windowBounds(client, table, query)
    if (bounds === undefined) return
    ;[fromMs, toMs] = [bounds[0], bounds[1] + 1]
  }
  const text = `
SELECT ${unixMs("r.window_start")}, ${selectList(layout)} FROM unnest($3::timestamptz[]) AS w(at)
JOIN ${table} r ON r.tenant_id = $1 AND r.resolution = $2 AND r.window_start = w.at AND r.key_id = $4::bytea ORDER BY r.window_start, r.lane`
  const key = Buffer.from(keyId, "hex")
  let left = query.rowsMax ?? Infinity
  for (let startMs = Math.ceil(fromMs / step) * step; startMs < toMs && left > 0; startMs += PROBES_MAX * step) {
    const starts = Array.from({ length: Math.min(PROBES_MAX, Math.ceil((toMs - startMs) / step)) }, (_, index) => startMs + index * step)
    const found = await queryRows(client, `scan key ${layout.table}`, text, [storedText(tenantId), resolution, timeArray(starts), key])
    const rows = keptOf(found.map((sent) => rowOf({ tenantId, resolution, windowStartMs: Number(sent[0]), keyId }, sent, 1, layout)), query.where, left)
    left -= rows.length
    if (rows.length > 0) visit(rows)
  }
}

/** Visits the rows of a tenant by (window start, key id, lane). */
export const scanRows = (client: PoolClient, table: string, layout: TableLayout, query: RowScan, visit: Visit): Promise<void> =>
  query.keyId === undefined ? scanAll(client, table, layout, query, visit) : scanKey(client, table, layout, query, query.keyId, visit)

/** The next windows of a tenant, each once however many lanes have a partial of it. */
export const windowPage = async (client: PoolClient, table: string, layout: TableLayout, page: WindowPage): Promise<RowKey[]> => {
  const { tenantId, resolution, after, limit } = page
  const text = `
SELECT ${unixMs("window_start")}, encode(key_id, 'hex') FROM ${table}
WHERE tenant_id = $1 AND resolution = $2 AND (window_start, key_id) > ($3::timestamptz, $4::bytea) GROUP BY window_start, key_id ORDER BY window_start, key_id LIMIT $5`
  const id = Buffer.from(after?.keyId ?? "", "hex")
  const values = [storedText(tenantId), resolution, timeParameter(after?.windowStartMs ?? Number.NEGATIVE_INFINITY), id, limit]
  const rows = await queryRows(client, `windows ${layout.table}`, text, values)
  return rows.map((sent) => ({ tenantId, resolution: resolution as ResolutionCode, windowStartMs: Number(sent[0]), keyId: sent[1] ?? "" }))
}
