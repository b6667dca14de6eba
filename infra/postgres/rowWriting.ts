/**
 * Writes the absolute rows of a flush.
 *
 * One statement per batch: small columns are binary arrays, everything that is bytes is one blob that the server cuts
 * with `substring`. Arrays of bytes would be copied once more on the server, and spill to disk beyond `work_mem`.
 */
import type { OffsetRange, Row } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { int2Array, int4Array, int8Array, textArray, timeArray, viewOf } from "./arrayParameters.ts"
import type { TableLayout } from "./columns.ts"
import { figuresOf } from "./measureFigures.ts"
import { quoted, storedText } from "./sqlText.ts"

/** Rows and blob bytes of one statement. */
const BATCH_ROWS = 2_000
const BATCH_BYTES = 8 * 1024 * 1024
const KEY_ID_BYTES = 16
const FINGERPRINT_BYTES = 8
export const RANGE_BYTES = 20

interface Column {
  readonly name: string
  /** Element type of its parameter; absent where its bytes come from the blob. */
  readonly type?: string
  /** What is inserted, of the parameter's column of the same name. */
  readonly value: string
}

const bytesColumn = (name: string, from: string, length: string): Column => ({ name, value: `substring(blob FROM ${from} FOR ${length})` })

/** Columns with a parameter of their own, the lengths of the parts of the blob, and columns of the blob. */
const columnsOf = (layout: TableLayout): { readonly typed: readonly Column[]; readonly lengths: readonly string[]; readonly bytes: readonly Column[] } => {
  const plain = (name: string, type: string): Column => ({ name, type, value: `u.${quoted(name)}` })
  const figures = layout.measures.flatMap(({ parts }) => parts.map(({ column, additive }): Column =>
    additive === "count" ? plain(column, "int8") : { name: column, type: "text", value: `u.${quoted(column)}::numeric` }))
  const typed = [
    plain("tenant_id", "text"), plain("resolution", "int2"), plain("window_start", "timestamptz"), plain("events", "int8"), plain("late_events", "int8"),
    plain("backfill_events", "int8"), plain("revision", "int8"), ...layout.dimensions.map((name) => plain(name, "text")), ...figures
  ]
  const bytes = [bytesColumn("key_id", "u.at", String(KEY_ID_BYTES)), bytesColumn("fingerprint", `u.at + ${KEY_ID_BYTES}`, String(FINGERPRINT_BYTES))]
  let from = `u.at + ${KEY_ID_BYTES + FINGERPRINT_BYTES}`
  const lengths = ["offset_ranges", ...layout.measures.map(({ state }) => state)].map((name, index) => {
    const length = `length_${index}`
    bytes.push(bytesColumn(name, from, `u.${length}`))
    from += ` + u.${length}`
    return length
  })
  return { typed, lengths, bytes }
}

/** The statement for a layout. Parameters: blob, lane, place in the blob, the lengths, then the typed columns. */
export const upsertSql = (table: string, layout: TableLayout): string => {
  const { typed, lengths, bytes } = columnsOf(layout)
  const parameters = ["int4", ...lengths.map(() => "int4"), ...typed.map(({ type }) => type)].map((type, index) => `$${index + 3}::${type}[]`)
  const unnested = ["at", ...lengths, ...typed.map(({ name }) => quoted(name))]
  const columns = [...typed, ...bytes]
  const key = new Set(["tenant_id", "resolution", "window_start", "key_id"])
  const updates = columns.filter(({ name }) => !key.has(name)).map(({ name }) => `${quoted(name)} = EXCLUDED.${quoted(name)}`)
  return `INSERT INTO ${table} (lane, ${columns.map(({ name }) => quoted(name)).join(", ")})
SELECT $2::int2, ${columns.map(({ value }) => value).join(", ")}
FROM (SELECT $1::bytea AS blob) b, unnest(${parameters.join(", ")}) AS u(${unnested.join(", ")})
ON CONFLICT (tenant_id, resolution, window_start, key_id, lane) DO UPDATE SET ${updates.join(", ")}`
}

const blobBytes = (row: Row): number =>
  row.measures.reduce((total, bytes) => total + bytes.length, KEY_ID_BYTES + FINGERPRINT_BYTES + RANGE_BYTES * row.offsets.length)

const writeRanges = (view: DataView, ranges: readonly OffsetRange[], from: number): number => {
  let at = from
  for (const { partition, min, max } of ranges) {
    view.setUint32(at, partition)
    view.setBigUint64(at + 4, min)
    view.setBigUint64(at + 12, max)
    at += RANGE_BYTES
  }
  return at
}

/** The blob of a batch; fills in where each row starts and the lengths of its parts. */
const packBlob = (rows: readonly Row[], places: number[], lengths: readonly number[][]): Buffer => {
  const blob = Buffer.allocUnsafe(rows.reduce((total, row) => total + blobBytes(row), 0))
  const view = viewOf(blob)
  let at = 0
  for (const row of rows) {
    // SQL counts bytes from 1.
    places.push(at + 1)
    at += blob.write(row.keyId, at, KEY_ID_BYTES, "hex")
    view.setBigUint64(at, row.fingerprint)
    at += FINGERPRINT_BYTES
    lengths[0]?.push(RANGE_BYTES * row.offsets.length)
    at = writeRanges(view, row.offsets, at)
    for (const [index, bytes] of row.measures.entries()) {
      lengths[index + 1]?.push(bytes.length)
      blob.set(bytes, at)
      at += bytes.length
    }
  }
  return blob
}

const figureParameters = (rows: readonly Row[], layout: TableLayout): Buffer[] =>
  layout.measures.flatMap((measure, index) => {
    if (measure.parts.length === 0) return []
    const figures = rows.map((row) => figuresOf(measure, row.measures[index] ?? new Uint8Array(0)))
    return measure.parts.map(({ additive }, part) =>
      additive === "count" ? int8Array(figures.map((of) => of[part] as bigint)) : textArray(figures.map((of) => of[part] as string | null)))
  })

const parametersOf = (lane: number, rows: readonly Row[], layout: TableLayout): unknown[] => {
  const places: number[] = []
  const lengths = ["offset_ranges", ...layout.measures].map((): number[] => [])
  const blob = packBlob(rows, places, lengths)
  return [
    blob, lane, int4Array(places), ...lengths.map(int4Array), textArray(rows.map(({ tenantId }) => storedText(tenantId))),
    int2Array(rows.map(({ resolution }) => resolution)), timeArray(rows.map(({ windowStartMs }) => windowStartMs)), int8Array(rows.map(({ events }) => events)),
    int8Array(rows.map(({ lateEvents }) => lateEvents)), int8Array(rows.map(({ backfillEvents }) => backfillEvents)), int8Array(rows.map(({ revision }) => revision)),
    ...layout.dimensions.map((_, index) => textArray(rows.map(({ key }) => storedText(key[index] ?? "")))), ...figureParameters(rows, layout)
  ]
}

const checkShape = (row: Row, layout: TableLayout): void => {
  if (row.key.length !== layout.dimensions.length || row.measures.length !== layout.measures.length) {
    throw new RangeError(`${layout.table}: a row of ${row.key.length} dimensions and ${row.measures.length} measures in a table of ${layout.dimensions.length} and ${layout.measures.length}`)
  }
}

/** A batch of rows with everything its statement needs. */
export interface RowBatch {
  readonly values: unknown[]
}

/** Cuts rows into batches and packs them. Throws `RangeError` or `MeasureBytesError` when rows are not of this layout. */
export const packRows = (lane: number, rows: readonly Row[], layout: TableLayout): readonly RowBatch[] => {
  const batches: RowBatch[] = []
  let from = 0
  let bytes = 0
  for (const [index, row] of rows.entries()) {
    checkShape(row, layout)
    bytes += blobBytes(row)
    if (index + 1 - from < BATCH_ROWS && bytes < BATCH_BYTES && index + 1 < rows.length) continue
    batches.push({ values: parametersOf(lane, rows.slice(from, index + 1), layout) })
    from = index + 1
    bytes = 0
  }
  return batches
}

/** Sends packed batches, in their order: wait for all of them. */
export const writeRows = (client: PoolClient, table: string, layout: TableLayout, batches: readonly RowBatch[]): readonly Promise<unknown>[] => {
  if (batches.length === 0) return []
  const text = upsertSql(table, layout)
  return batches.map(({ values }) => client.query({ name: `upsert ${layout.table}`, text, values }))
}
