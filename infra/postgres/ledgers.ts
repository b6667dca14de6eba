/** Ledgers of a generation (late, duplicates, dead letters) and its key counts: written with the rows, read by place. */
import type { DeadLetter, DuplicateEntry, KeyCount, KeyCountScan, LaneCommit, LateEntry, LedgerPage, LedgerRange } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { int4Array, int8Array, textArray, timeArray, timeParameter, unixMs } from "./arrayParameters.ts"
import type { GenerationTables } from "./generationTables.ts"
import { queryRows } from "./rowReading.ts"
import { originalText, storedText } from "./sqlText.ts"

interface Place {
  readonly partition: number
  readonly offset: bigint
}

/** One entry per place, the last one: a statement may not write a row twice. */
const lastByPlace = <T extends Place>(entries: readonly T[]): T[] => [...new Map(entries.map((entry) => [`${entry.partition} ${entry.offset}`, entry])).values()]

const places = (entries: readonly Place[]): Buffer[] => [int4Array(entries.map(({ partition }) => partition)), int8Array(entries.map(({ offset }) => offset))]

const texts = <T>(entries: readonly T[], text: (entry: T) => string): Buffer => textArray(entries.map((entry) => storedText(text(entry))))

/** Adds entries that are new and replaces those at the same place. */
const upsert = (table: string, columns: readonly (readonly [name: string, type: string])[]): string => `
INSERT INTO ${table} (partition, record_offset, ${columns.map(([name]) => name).join(", ")})
SELECT * FROM unnest($1::int4[], $2::int8[], ${columns.map(([, type], index) => `$${index + 3}::${type}[]`).join(", ")})
ON CONFLICT (partition, record_offset) DO UPDATE SET ${columns.map(([name]) => `${name} = EXCLUDED.${name}`).join(", ")}`

const writeLate = async (client: PoolClient, table: string, all: readonly LateEntry[]): Promise<void> => {
  const entries = lastByPlace(all)
  const text = upsert(table, [
    ["tenant_id", "text"], ["event_id", "text"], ["event_type", "text"], ["event_time", "timestamptz"], ["window_start", "timestamptz"], ["late_by_ms", "int8"],
    ["outcome", "text"], ["key", "text"], ["contribution", "text"]
  ])
  await client.query({ text, values: [
    ...places(entries), texts(entries, ({ tenantId }) => tenantId), texts(entries, ({ eventId }) => eventId), texts(entries, ({ eventType }) => eventType),
    timeArray(entries.map(({ eventTimeMs }) => eventTimeMs)), timeArray(entries.map(({ windowStartMs }) => windowStartMs)),
    int8Array(entries.map(({ lateByMs }) => BigInt(lateByMs))), texts(entries, ({ outcome }) => outcome), texts(entries, ({ key }) => JSON.stringify(key)),
    texts(entries, ({ contribution }) => JSON.stringify(contribution))
  ] })
}

const writeDuplicates = async (client: PoolClient, table: string, all: readonly DuplicateEntry[]): Promise<void> => {
  const entries = lastByPlace(all)
  await client.query({ text: upsert(table, [["tenant_id", "text"]]), values: [...places(entries), texts(entries, ({ tenantId }) => tenantId)] })
}

const writeDeadLetters = async (client: PoolClient, table: string, all: readonly DeadLetter[]): Promise<void> => {
  const entries = lastByPlace(all)
  await client.query({ text: upsert(table, [["tenant_id", "text"], ["code", "text"], ["pointer", "text"]]), values: [
    ...places(entries), texts(entries, ({ tenantId }) => tenantId), texts(entries, ({ code }) => code), texts(entries, ({ pointer }) => pointer)
  ] })
}

const writeKeyCounts = async (client: PoolClient, table: string, lane: number, all: readonly KeyCount[]): Promise<void> => {
  const counts = [...new Map(all.map((count) => [`${count.partition} ${count.windowStartMs} ${count.tenantId}`, count])).values()]
  const text = `
INSERT INTO ${table} (tenant_id, window_start, lane, partition, keys)
SELECT u.tenant_id, u.window_start, $1::int2, u.partition, u.keys
FROM unnest($2::text[], $3::timestamptz[], $4::int4[], $5::int4[]) AS u(tenant_id, window_start, partition, keys)
ON CONFLICT (tenant_id, window_start, lane, partition) DO UPDATE SET keys = EXCLUDED.keys`
  await client.query({ text, values: [
    lane, texts(counts, ({ tenantId }) => tenantId), timeArray(counts.map(({ windowStartMs }) => windowStartMs)),
    int4Array(counts.map(({ partition }) => partition)), int4Array(counts.map(({ keys }) => keys))
  ] })
}

/** Sends what a flush adds beside the rows: wait for all of it. Within its transaction. */
export const writeLedgers = (client: PoolClient, tables: GenerationTables, { lane, late, duplicates, deadLetters, keyCounts }: LaneCommit): readonly Promise<unknown>[] => [
  ...(late.length > 0 ? [writeLate(client, tables.late, late)] : []),
  ...(duplicates.length > 0 ? [writeDuplicates(client, tables.duplicates, duplicates)] : []),
  ...(deadLetters.length > 0 ? [writeDeadLetters(client, tables.deadLetters, deadLetters)] : []),
  ...(keyCounts.length > 0 ? [writeKeyCounts(client, tables.keyCounts, lane.lane, keyCounts)] : [])
]

/** Key counts of a lane's windows, in the order asked for. */
export const readKeyCounts = async (
  client: PoolClient, table: string, lane: number, windows: readonly { readonly tenantId: string; readonly windowStartMs: number }[]
): Promise<KeyCount[]> => {
  const text = `
SELECT k.place, c.partition, c.keys FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS k(tenant_id, window_start, place)
JOIN ${table} c ON c.tenant_id = k.tenant_id AND c.window_start = k.window_start AND c.lane = $3::int2 ORDER BY k.place, c.partition`
  const rows = await queryRows(client, undefined, text, [
    texts(windows, ({ tenantId }) => tenantId), timeArray(windows.map(({ windowStartMs }) => windowStartMs)), lane
  ])
  return rows.flatMap(([place, partition, keys]): KeyCount[] => {
    const window = windows[Number(place) - 1]
    return window === undefined ? [] : [{ tenantId: window.tenantId, windowStartMs: window.windowStartMs, partition: Number(partition), keys: Number(keys) }]
  })
}

const CHUNK_COUNTS = 1_000

/** Visits a tenant's key counts in one lane, by window start and partition, in chunks. */
export const scanKeyCounts = async (client: PoolClient, table: string, { tenantId, lane }: KeyCountScan, visit: (counts: readonly KeyCount[]) => void): Promise<void> => {
  const text = `
SELECT ${unixMs("window_start")}, partition, keys FROM ${table} WHERE tenant_id = $1 AND lane = $2::int2 AND (window_start, partition) > ($3::timestamptz, $4::int4)
ORDER BY window_start, partition LIMIT $5`
  let after: readonly [windowStartMs: number, partition: number] = [Number.NEGATIVE_INFINITY, -1]
  for (;;) {
    const rows = await queryRows(client, undefined, text, [storedText(tenantId), lane, timeParameter(after[0]), after[1], CHUNK_COUNTS])
    const counts = rows.map(([windowStartMs, partition, keys]): KeyCount => ({ tenantId, windowStartMs: Number(windowStartMs), partition: Number(partition), keys: Number(keys) }))
    const last = counts.at(-1)
    if (last === undefined) return
    visit(counts)
    if (counts.length < CHUNK_COUNTS) return
    after = [last.windowStartMs, last.partition]
  }
}

type Sent = readonly (string | null)[]

/** How a ledger's entries are selected and read back. */
export interface Ledger<T> {
  readonly columns: string
  readonly entryOf: (sent: Sent) => T
}

const field = (sent: Sent, index: number): string => originalText(sent[index] ?? "")
const placeOf = (sent: Sent): { partition: number; offset: bigint; tenantId: string } => ({ partition: Number(sent[0]), offset: BigInt(sent[1] ?? ""), tenantId: field(sent, 2) })

export const LATE: Ledger<LateEntry> = {
  columns: `partition, record_offset, tenant_id, event_id, event_type, ${unixMs("event_time")}, ${unixMs("window_start")}, late_by_ms, outcome, key, contribution`,
  entryOf: (sent) => ({
    ...placeOf(sent), eventId: field(sent, 3), eventType: field(sent, 4), eventTimeMs: Number(sent[5]), windowStartMs: Number(sent[6]), lateByMs: Number(sent[7]),
    outcome: field(sent, 8) === "applied" ? "applied" : "held", key: JSON.parse(field(sent, 9)) as string[],
    contribution: JSON.parse(field(sent, 10)) as Record<string, string>
  })
}

export const DUPLICATES: Ledger<DuplicateEntry> = { columns: "partition, record_offset, tenant_id", entryOf: placeOf }

export const DEAD_LETTERS: Ledger<DeadLetter> = {
  columns: "partition, record_offset, tenant_id, code, pointer",
  entryOf: (sent) => ({ ...placeOf(sent), code: field(sent, 3), pointer: field(sent, 4) })
}

/** A tenant's entries after a place. */
export const ledgerPage = async <T>(client: PoolClient, table: string, ledger: Ledger<T>, page: LedgerPage): Promise<T[]> => {
  const text = `
SELECT ${ledger.columns} FROM ${table} WHERE tenant_id = $1 AND (partition, record_offset) > ($2::int4, $3::int8) ORDER BY partition, record_offset LIMIT $4`
  const values = [storedText(page.tenantId), page.after?.partition ?? -1, (page.after?.offset ?? 0n).toString(), page.limit]
  return (await queryRows(client, undefined, text, values)).map(ledger.entryOf)
}

const INT8_MAX = (1n << 63n) - 1n

/** An offset as a bound: no stored one is larger than an int8. */
const boundText = (offset: bigint): string => (offset > INT8_MAX ? INT8_MAX : offset).toString()

/** All tenants' entries in a range of offsets. */
export const ledgerRange = async <T>(client: PoolClient, table: string, ledger: Ledger<T>, range: LedgerRange): Promise<T[]> => {
  const text = `
SELECT ${ledger.columns} FROM ${table} WHERE partition = $1 AND record_offset >= $2 AND record_offset <= $3 ORDER BY record_offset`
  return (await queryRows(client, undefined, text, [range.partition, boundText(range.min), boundText(range.max)])).map(ledger.entryOf)
}
