/** One LMDB read transaction, held for a scope: every answer of a request comes from the same state. */
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type {
  DeadLetter, GenerationRecord, Halt, KeyCount, KeyCountScan, LaneCheckpoint, LateEntry, LedgerPage, LedgerRange, Pointer, ReadSnapshot, RowKey, RowScan, StoredRow,
  WindowPage
} from "@tidemark/domain/ports/ReadModelStore"
import { keepsKey } from "@tidemark/domain/ports/rowScan"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Database, Transaction } from "lmdb"
import { readDuplicates } from "./duplicateLedger.ts"
import { fromText } from "./jsonCodec.ts"
import { OFFSET_END, keyCountRange, offsetText, renewView } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"
import { unreadOutbox } from "./outboxLmdb.ts"
import { decodeStoredRow, decodeWindow, keyIdOrder, partialRange, rowRange, windowRange } from "./rowCodec.ts"

const CHUNK_ROWS = 1_000
/** Rows of other keys passed over before a scan for one key sets its cursor anew, which costs about as much as passing ten of them. */
const PASSED_MAX = 16

const attempt = <A>(action: () => A): Effect.Effect<A, StoreUnavailableError> => Effect.try({ try: action, catch: (cause) => new StoreUnavailableError({ store: "lmdb", cause }) })

/** Values of the composite keys below `prefix`. */
const below = <T>(store: Database<string, Key>, transaction: Transaction, prefix: Key): T[] =>
  [...store.getRange({ start: prefix, end: [...prefix, OFFSET_END], transaction })].map(({ value }) => fromText<T>(value))

/** Calls with chunks of what was added and is kept by the query. */
class Chunks {
  private rows: StoredRow[] = []
  private left: number
  private readonly where: RowScan["where"]
  private readonly visit: (rows: readonly StoredRow[]) => void

  constructor({ where, rowsMax = Infinity }: RowScan, visit: (rows: readonly StoredRow[]) => void) {
    this.where = where
    this.left = rowsMax
    this.visit = visit
  }

  /** As many rows as were asked for. */
  get isFull(): boolean {
    return this.left <= 0
  }

  add(row: StoredRow): void {
    if (this.isFull || !keepsKey(this.where, row.key)) return
    this.left -= 1
    this.rows.push(row)
    if (this.rows.length === CHUNK_ROWS) this.end()
  }

  end(): void {
    if (this.rows.length > 0) this.visit(this.rows)
    this.rows = []
  }
}

const scanAll = (stores: ModelStores, transaction: Transaction, query: RowScan, chunks: Chunks): void => {
  const { start, end } = rowRange(query, query.fromMs, query.toMs)
  for (const { key, value } of stores.rows.getRange({ start, end, transaction })) {
    if (chunks.isFull) return
    chunks.add(decodeStoredRow(query.tenantId, query.resolution, key, value))
  }
}

/**
 * The rows of one key, which lie apart: between them are those of the other keys of each window. A few are passed over
 * one by one; where there are more, the cursor is set anew, to this key's place in the window or to the next window,
 * so that what is read does not depend on how many keys a window has.
 */
const scanKey = (stores: ModelStores, transaction: Transaction, query: RowScan, keyId: string, chunks: Chunks): void => {
  const { tenantId, resolution, toMs } = query
  const compare = keyIdOrder(keyId)
  const { start, end } = rowRange(query, query.fromMs, toMs)
  let patience = PASSED_MAX
  for (let from: Buffer | undefined = start; from !== undefined;) {
    let passed = 0
    let next: Buffer | undefined
    for (const { key, value } of stores.rows.getRange({ start: from, end, transaction })) {
      if (chunks.isFull) return
      const order = compare(key)
      if (order === 0) {
        passed = 0
        chunks.add(decodeStoredRow(tenantId, resolution, key, value))
      } else if (++passed >= patience) {
        patience = 1
        const { windowStartMs } = decodeWindow(key)
        next = order < 0 ? partialRange(query, { tenantId, resolution, windowStartMs, keyId }).start : rowRange(query, windowStartMs + 1, toMs).start
        break
      }
    }
    from = next
  }
}

const scanRows = (stores: ModelStores, transaction: Transaction, query: RowScan, visit: (rows: readonly StoredRow[]) => void): void => {
  const chunks = new Chunks(query, visit)
  if (query.keyId === undefined) scanAll(stores, transaction, query, chunks)
  else scanKey(stores, transaction, query, query.keyId, chunks)
  chunks.end()
}

const partialsOf = (stores: ModelStores, transaction: Transaction, projection: string, generation: number, keys: readonly RowKey[]): StoredRow[][] =>
  keys.map((key) => {
    const { start, end } = partialRange({ projection, generation }, key)
    return [...stores.rows.getRange({ start, end, transaction })].map(({ key: stored, value }) => decodeStoredRow(key.tenantId, key.resolution, stored, value))
  })

const windowsOf = (stores: ModelStores, transaction: Transaction, page: WindowPage): RowKey[] => {
  const { tenantId, resolution, limit } = page
  const { start, end } = windowRange(page, page.after)
  const found: RowKey[] = []
  let last: RowKey | undefined
  for (const stored of stores.rows.getKeys({ start, end, transaction })) {
    const window = decodeWindow(stored)
    if (last?.windowStartMs === window.windowStartMs && last.keyId === window.keyId) continue
    if (found.length === limit) break
    last = { tenantId, resolution, ...window }
    found.push(last)
  }
  return found
}

const ledgerPage = <T>(store: Database<string, Key>, transaction: Transaction, page: LedgerPage): T[] => {
  const prefix: Key = ["t", page.tenantId, page.projection, page.generation]
  const start: Key = page.after === undefined ? prefix : [...prefix, page.after.partition, offsetText(page.after.offset + 1n)]
  return [...store.getRange({ start, end: [...prefix, OFFSET_END], limit: page.limit, transaction })].map(({ value }) => fromText<T>(value))
}

const ledgerRange = <T>(store: Database<string, Key>, transaction: Transaction, range: LedgerRange): T[] => {
  const prefix: Key = ["p", range.projection, range.generation, range.partition]
  return [...store.getRange({ start: [...prefix, offsetText(range.min)], end: [...prefix, offsetText(range.max + 1n)], transaction })].map(({ value }) => fromText<T>(value))
}

const scanKeyCounts = (stores: ModelStores, transaction: Transaction, scan: KeyCountScan, visit: (counts: readonly KeyCount[]) => void): void => {
  const { tenantId } = scan
  let chunk: KeyCount[] = []
  for (const { key, value } of stores.keyCounts.getRange({ ...keyCountRange(scan, tenantId), transaction })) {
    const windowStartMs = Number(key.at(-1))
    const counts = fromText<[number, number][]>(value).sort(([a], [b]) => a - b)
    chunk.push(...counts.map(([partition, keys]) => ({ tenantId, windowStartMs, partition, keys })))
    if (chunk.length < CHUNK_ROWS) continue
    visit(chunk)
    chunk = []
  }
  if (chunk.length > 0) visit(chunk)
}

const optional = <T>(text: string | undefined): T | undefined => (text === undefined ? undefined : fromText<T>(text))

const makeSnapshot = (stores: ModelStores, transaction: Transaction): ReadSnapshot => ({
  pointer: (projection) => attempt(() => optional<Pointer>(stores.pointers.get([projection], { transaction }))),
  pointers: attempt(() => [...stores.pointers.getRange({ transaction })].map(({ value }) => fromText<Pointer>(value))),
  generation: (projection, generation) => attempt(() => optional<GenerationRecord>(stores.generations.get([projection, generation], { transaction }))),
  generations: (projection) => attempt(() => below<GenerationRecord>(stores.generations, transaction, [projection])),
  following: attempt(() => [...stores.following.getKeys({ transaction })].map((key) => {
    const [projection, generation] = key
    return { projection: String(projection), generation: Number(generation) }
  })),
  checkpoints: (projection, generation) => attempt(() => below<LaneCheckpoint>(stores.checkpoints, transaction, [projection, generation])),
  scan: (query, visit) => attempt(() => scanRows(stores, transaction, query, visit)),
  partials: (projection, generation, keys) => attempt(() => partialsOf(stores, transaction, projection, generation, keys)),
  windows: (page) => attempt(() => windowsOf(stores, transaction, page)),
  late: (page) => attempt(() => ledgerPage<LateEntry>(stores.late, transaction, page)),
  deadLetters: (page) => attempt(() => ledgerPage<DeadLetter>(stores.deadLetters, transaction, page)),
  lateIn: (range) => attempt(() => ledgerRange<LateEntry>(stores.late, transaction, range)),
  duplicatesIn: (range) => attempt(() => readDuplicates(stores, transaction, range)),
  deadLettersIn: (range) => attempt(() => ledgerRange<DeadLetter>(stores.deadLetters, transaction, range)),
  keyCounts: (scan, visit) => attempt(() => scanKeyCounts(stores, transaction, scan, visit)),
  halts: attempt(() => [...stores.halts.getRange({ transaction })].map(({ value }) => fromText<Halt>(value))),
  unread: (consumer, entriesMax) => attempt(() => unreadOutbox(stores, transaction, consumer, entriesMax)),
  staleViews: Effect.succeed([])
})

/** Opens a snapshot of the latest committed state; the scope releases it. */
export const readSnapshot = (stores: ModelStores): Effect.Effect<ReadSnapshot, StoreUnavailableError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.andThen(renewView, attempt(() => stores.root.useReadTransaction())),
      (transaction) => Effect.sync(() => transaction.done())
    ),
    (transaction) => makeSnapshot(stores, transaction)
  )
