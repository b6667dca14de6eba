/**
 * One REPEATABLE READ transaction on a connection of its own, held for a scope: every answer of a request comes from the
 * same state.
 */
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, Halt, LedgerPage, LedgerRange, Pointer, ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PoolClient } from "pg"
import { unixMs } from "./arrayParameters.ts"
import { readCheckpoints } from "./commitPostgres.ts"
import { STORE, abandon, attempt } from "./connection.ts"
import type { GenerationTables } from "./generationTables.ts"
import { findGeneration, readGenerations } from "./generations.ts"
import type { Store } from "./generations.ts"
import { DEAD_LETTERS, DUPLICATES, LATE, ledgerPage, ledgerRange, scanKeyCounts } from "./ledgers.ts"
import type { Ledger } from "./ledgers.ts"
import { TENANT_SETTING } from "./migrations.ts"
import { unreadOutbox } from "./outboxPostgres.ts"
import { POINTER_COLUMNS, pointerOf } from "./pointerPostgres.ts"
import type { PointerRow } from "./pointerPostgres.ts"
import { partialsByKey, scanRows, windowPage } from "./rowReading.ts"
import { originalText, storedText } from "./sqlText.ts"

/** The snapshot is taken by the first statement after BEGIN, so one is sent with it. */
const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"

const begin = async ({ snapshots }: Store): Promise<PoolClient> => {
  const client = await snapshots.connect()
  try {
    await client.query(BEGIN)
    return client
  } catch (cause) {
    await abandon(client, cause)
    throw cause
  }
}

/** Shows a user who may not see all tenants the rows of this one, until the transaction ends. */
const showTenant = async (store: Store, client: PoolClient, tenantId: string): Promise<void> => {
  if (!store.seesAllTenants) await client.query("SELECT set_config($1, $2, true)", [TENANT_SETTING, storedText(tenantId)])
}

const demandAllTenants = (store: Store): void => {
  if (!store.seesAllTenants) throw new StoreUnavailableError({ store: STORE, cause: new Error("this user sees one tenant at a time, and a range of offsets belongs to all") })
}

const readPointers = async ({ schema }: Store, client: PoolClient, projection?: string): Promise<Pointer[]> => {
  const { rows } = await client.query<PointerRow>(
    `SELECT ${POINTER_COLUMNS} FROM ${schema}.pointers WHERE $1::text IS NULL OR projection = $1 ORDER BY projection`, [projection ?? null])
  return rows.map(pointerOf)
}

const readHalts = async ({ schema }: Store, client: PoolClient): Promise<Halt[]> => {
  const { rows } = await client.query<{ projection: string; generation: number; lane: number; code: string; detail: string; at_ms: string }>(
    `SELECT projection, generation, lane, code, detail, ${unixMs("at")} AS at_ms FROM ${schema}.halts ORDER BY projection, generation, lane`)
  return rows.map(({ detail, at_ms: atMs, ...halt }) => ({ ...halt, detail: originalText(detail), atMs: Number(atMs) }))
}

const readFollowing = async ({ schema }: Store, client: PoolClient): Promise<GenerationId[]> =>
  (await client.query<GenerationId>(`SELECT projection, generation FROM ${schema}.generations WHERE is_followed ORDER BY projection, generation`)).rows

/** One operation after the other: the tenant shown must still be the same when the rows are read. */
type Exclusive = <A>(action: () => Promise<A>) => Effect.Effect<A, StoreUnavailableError>

const makeExclusive = (): Exclusive => {
  let last: Promise<unknown> = Promise.resolve()
  return (action) =>
    attempt(() => {
      const result = last.then(action)
      last = result.catch(() => undefined)
      return result
    })
}

const pageReader = <T>(run: Exclusive, store: Store, client: PoolClient, ledger: Ledger<T>, table: (tables: GenerationTables) => string) => (page: LedgerPage) =>
  run(async (): Promise<readonly T[]> => {
    const found = await findGeneration(store, client, page.projection, page.generation)
    if (found === undefined) return []
    await showTenant(store, client, page.tenantId)
    return ledgerPage(client, table(found.tables), ledger, page)
  })

const rangeReader = <T>(run: Exclusive, store: Store, client: PoolClient, ledger: Ledger<T>, table: (tables: GenerationTables) => string) => (range: LedgerRange) =>
  run(async (): Promise<readonly T[]> => {
    demandAllTenants(store)
    const found = await findGeneration(store, client, range.projection, range.generation)
    return found === undefined ? [] : ledgerRange(client, table(found.tables), ledger, range)
  })

/** Keys of several tenants are read tenant by tenant where only one is visible at a time. */
const readPartials = async (store: Store, client: PoolClient, projection: string, generation: number, keys: Parameters<ReadSnapshot["partials"]>[2]): Promise<StoredRow[][]> => {
  const found = await findGeneration(store, client, projection, generation)
  if (found === undefined) return keys.map(() => [])
  const { tables, layout } = found
  if (store.seesAllTenants) return partialsByKey(client, tables.rows, layout, keys)
  const rows = keys.map((): StoredRow[] => [])
  for (const tenantId of new Set(keys.map((key) => key.tenantId))) {
    const places = [...keys.keys()].filter((place) => keys[place]?.tenantId === tenantId)
    await showTenant(store, client, tenantId)
    const own = await partialsByKey(client, tables.rows, layout, keys.filter((key) => key.tenantId === tenantId))
    for (const [index, place] of places.entries()) rows[place] = own[index] ?? []
  }
  return rows
}

const makeSnapshot = (run: Exclusive, store: Store, client: PoolClient): ReadSnapshot => ({
  pointer: (projection) => run(async () => (await readPointers(store, client, projection))[0]),
  pointers: run(() => readPointers(store, client)),
  generation: (projection, generation) => run(async () => (await readGenerations(store, client, projection, generation))[0]),
  generations: (projection) => run(() => readGenerations(store, client, projection)),
  following: run(() => readFollowing(store, client)),
  checkpoints: (projection, generation) => run(() => readCheckpoints(store, client, projection, generation)),
  scan: (query, visit) =>
    run(async () => {
      const found = await findGeneration(store, client, query.projection, query.generation)
      if (found === undefined) return
      await showTenant(store, client, query.tenantId)
      await scanRows(client, found.tables.rows, found.layout, query, visit)
    }),
  partials: (projection, generation, keys) => run(() => readPartials(store, client, projection, generation, keys)),
  windows: (page) =>
    run(async () => {
      const found = await findGeneration(store, client, page.projection, page.generation)
      if (found === undefined) return []
      await showTenant(store, client, page.tenantId)
      return windowPage(client, found.tables.rows, found.layout, page)
    }),
  late: pageReader(run, store, client, LATE, ({ late }) => late),
  deadLetters: pageReader(run, store, client, DEAD_LETTERS, ({ deadLetters }) => deadLetters),
  lateIn: rangeReader(run, store, client, LATE, ({ late }) => late),
  duplicatesIn: rangeReader(run, store, client, DUPLICATES, ({ duplicates }) => duplicates),
  deadLettersIn: rangeReader(run, store, client, DEAD_LETTERS, ({ deadLetters }) => deadLetters),
  keyCounts: (scan, visit) =>
    run(async () => {
      const found = await findGeneration(store, client, scan.projection, scan.generation)
      if (found === undefined) return
      await showTenant(store, client, scan.tenantId)
      await scanKeyCounts(client, found.tables.keyCounts, scan, visit)
    }),
  halts: run(() => readHalts(store, client)),
  unread: (consumer, entriesMax) => run(() => unreadOutbox(store, client, consumer, entriesMax))
})

/** Opens a snapshot of the latest committed state; the scope ends it. */
export const readSnapshot = (store: Store): Effect.Effect<ReadSnapshot, StoreUnavailableError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(attempt(() => begin(store)), (client) => Effect.promise(() => abandon(client))),
    (client) => makeSnapshot(makeExclusive(), store, client)
  )
