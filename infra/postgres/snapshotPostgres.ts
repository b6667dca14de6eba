/**
 * One REPEATABLE READ transaction on a connection of its own, held for a scope: every answer of a request comes from the
 * same state.
 */
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, Halt, LedgerPage, LedgerRange, Pointer, ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PoolClient, QueryResult } from "pg"
import { readStaleViews } from "./activeView.ts"
import { unixMs } from "./arrayParameters.ts"
import { readCheckpoints } from "./commitPostgres.ts"
import { STORE, abandon, attempt } from "./connection.ts"
import type { GenerationTables } from "./generationTables.ts"
import { findGeneration, readGenerations } from "./generations.ts"
import type { Store, StoredGeneration } from "./generations.ts"
import { DEAD_LETTERS, DUPLICATES, LATE, ledgerPage, ledgerRange, scanKeyCounts } from "./ledgers.ts"
import type { Ledger } from "./ledgers.ts"
import { TENANT_SETTING } from "./migrations.ts"
import { unreadOutbox } from "./outboxPostgres.ts"
import { POINTER_COLUMNS, pointerOf } from "./pointerPostgres.ts"
import type { PointerRow } from "./pointerPostgres.ts"
import { partialsByKey, scanRows, windowPage } from "./rowReading.ts"
import { originalText, storedText } from "./sqlText.ts"

/** A snapshot that has begun. */
interface Begun {
  readonly client: PoolClient
  /** Generations that are dropped in this snapshot, by number and projection: their tables may be gone. Of one dropped later they are asked, and answer or fail. */
  readonly dropped: ReadonlySet<string>
}

const nameOf = (projection: string, generation: number): string => `${generation} ${projection}`

/** The snapshot is taken by the first statement after BEGIN, which is sent with it. */
const begin = async ({ schema, snapshots }: Store): Promise<Begun> => {
  const client = await snapshots.connect()
  try {
    const answers: unknown = await client.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT projection, generation FROM ${schema}.generations WHERE is_dropped`)
    const [, { rows } = { rows: [] }] = answers as readonly QueryResult<GenerationId>[]
    return { client, dropped: new Set(rows.map(({ projection, generation }) => nameOf(projection, generation))) }
  } catch (cause) {
    await abandon(client, cause)
    throw cause
  }
}

/** The tables of a generation that is there in this snapshot. */
const tablesIn = async (store: Store, { client, dropped }: Begun, projection: string, generation: number): Promise<StoredGeneration | undefined> =>
  dropped.has(nameOf(projection, generation)) ? undefined : findGeneration(store, client, projection, generation)

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

const pageReader = <T>(run: Exclusive, store: Store, begun: Begun, ledger: Ledger<T>, table: (tables: GenerationTables) => string) => (page: LedgerPage) =>
  run(async (): Promise<readonly T[]> => {
    const found = await tablesIn(store, begun, page.projection, page.generation)
    if (found === undefined) return []
    await showTenant(store, begun.client, page.tenantId)
    return ledgerPage(begun.client, table(found.tables), ledger, page)
  })

const rangeReader = <T>(run: Exclusive, store: Store, begun: Begun, ledger: Ledger<T>, table: (tables: GenerationTables) => string) => (range: LedgerRange) =>
  run(async (): Promise<readonly T[]> => {
    demandAllTenants(store)
    const found = await tablesIn(store, begun, range.projection, range.generation)
    return found === undefined ? [] : ledgerRange(begun.client, table(found.tables), ledger, range)
  })

/** Keys of several tenants are read tenant by tenant where only one is visible at a time. */
const readPartials = async (store: Store, begun: Begun, projection: string, generation: number, keys: Parameters<ReadSnapshot["partials"]>[2]): Promise<StoredRow[][]> => {
  const found = await tablesIn(store, begun, projection, generation)
  if (found === undefined) return keys.map(() => [])
  const { client } = begun
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

const makeSnapshot = (run: Exclusive, store: Store, begun: Begun): ReadSnapshot => ({
  pointer: (projection) => run(async () => (await readPointers(store, begun.client, projection))[0]),
  pointers: run(() => readPointers(store, begun.client)),
  generation: (projection, generation) => run(async () => (await readGenerations(store, begun.client, projection, generation))[0]),
  generations: (projection) => run(() => readGenerations(store, begun.client, projection)),
  following: run(() => readFollowing(store, begun.client)),
  checkpoints: (projection, generation) => run(() => readCheckpoints(store, begun.client, projection, generation)),
  scan: (query, visit) =>
    run(async () => {
      const found = await tablesIn(store, begun, query.projection, query.generation)
      if (found === undefined) return
      await showTenant(store, begun.client, query.tenantId)
      await scanRows(begun.client, found.tables.rows, found.layout, query, visit)
    }),
  partials: (projection, generation, keys) => run(() => readPartials(store, begun, projection, generation, keys)),
  windows: (page) =>
    run(async () => {
      const found = await tablesIn(store, begun, page.projection, page.generation)
      if (found === undefined) return []
      await showTenant(store, begun.client, page.tenantId)
      return windowPage(begun.client, found.tables.rows, found.layout, page)
    }),
  late: pageReader(run, store, begun, LATE, ({ late }) => late),
  deadLetters: pageReader(run, store, begun, DEAD_LETTERS, ({ deadLetters }) => deadLetters),
  lateIn: rangeReader(run, store, begun, LATE, ({ late }) => late),
  duplicatesIn: rangeReader(run, store, begun, DUPLICATES, ({ duplicates }) => duplicates),
  deadLettersIn: rangeReader(run, store, begun, DEAD_LETTERS, ({ deadLetters }) => deadLetters),
  keyCounts: (scan, visit) =>
    run(async () => {
      const found = await tablesIn(store, begun, scan.projection, scan.generation)
      if (found === undefined) return
      await showTenant(store, begun.client, scan.tenantId)
      await scanKeyCounts(begun.client, found.tables.keyCounts, scan, visit)
    }),
  halts: run(() => readHalts(store, begun.client)),
  unread: (consumer, entriesMax) => run(() => unreadOutbox(store, begun.client, consumer, entriesMax)),
  staleViews: run(() => readStaleViews(store, begun.client))
})

/** Opens a snapshot of the latest committed state; the scope ends it. */
export const readSnapshot = (store: Store): Effect.Effect<ReadSnapshot, StoreUnavailableError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(attempt(() => begin(store)), ({ client }) => Effect.promise(() => abandon(client))),
    (begun) => makeSnapshot(makeExclusive(), store, begun)
  )
