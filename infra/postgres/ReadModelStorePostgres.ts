/**
 * Read models on Postgres: one typed table per generation, one transaction per flush.
 *
 * Any number of processes may work with one namespace: nothing a commit depends on is kept in memory. Safety comes from
 * the epoch in the checkpoint's row, never from locks or sessions.
 */
import {
  CommitUnknownError, FencedError, GenerationInUseError, GenerationMissingError, PointerConflictError, ReadModelStore, StoreUnavailableError, TargetBehindError
} from "@tidemark/domain/ports/ReadModelStore"
import type { Halt, LaneId, ReadModelStoreShape, Row, RowKey } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Pool, PoolClient } from "pg"
import { timeParameter } from "./arrayParameters.ts"
import { layoutOf } from "./columns.ts"
import { commitAll, generationsOf, packCommits, takeOver } from "./commitPostgres.ts"
import { STORE, attempt, attemptOr, transact } from "./connection.ts"
import type { PostgresOptions, StoreOpenError } from "./connection.ts"
import { generationSize } from "./generationSize.ts"
import { createGeneration, findGeneration } from "./generations.ts"
import type { Store } from "./generations.ts"
import { keepUp } from "./keepUp.ts"
import { readKeyCounts } from "./ledgers.ts"
import { openStore } from "./openStore.ts"
import { ackOutbox, forgetOutbox, readOutbox, registerOutbox } from "./outboxPostgres.ts"
import { dropGeneration, flip, follow } from "./pointerPostgres.ts"
import { visitRowsBelow } from "./retention.ts"
import { partialsByKey, withoutLane } from "./rowReading.ts"
import { readSnapshot } from "./snapshotPostgres.ts"
import { storedText } from "./sqlText.ts"

/** Borrows a connection for single statements. */
const borrow = async <A>(pool: Pool, body: (client: PoolClient) => Promise<A>): Promise<A> => {
  const client = await pool.connect()
  try {
    return await body(client)
  } finally {
    client.release()
  }
}

const readRows = async (store: Store, lane: LaneId, keys: readonly RowKey[]) => {
  const found = await findGeneration(store, store.writers, lane.projection, lane.generation)
  if (found === undefined || keys.length === 0) return keys.map(() => undefined)
  const rows = await borrow(store.writers, (client) => partialsByKey(client, found.tables.rows, found.layout, keys, lane.lane))
  return rows.map(([row]) => (row === undefined ? undefined : withoutLane(row)))
}

const keyCounts = async (store: Store, lane: LaneId, windows: Parameters<ReadModelStoreShape["readKeyCounts"]>[1]) => {
  const found = await findGeneration(store, store.writers, lane.projection, lane.generation)
  return found === undefined ? [] : borrow(store.writers, (client) => readKeyCounts(client, found.tables.keyCounts, lane.lane, windows))
}

const rowsBelow = async (store: Store, lane: LaneId, beforeMs: number, visit: (rows: readonly Row[]) => void): Promise<void> => {
  const found = await findGeneration(store, store.writers, lane.projection, lane.generation)
  if (found !== undefined) await transact(store.writers, (client) => visitRowsBelow(client, found, lane, beforeMs, visit))
}

const recordHalt = ({ schema, writers }: Store, { projection, generation, lane, code, detail, atMs }: Halt): Promise<unknown> =>
  writers.query(`INSERT INTO ${schema}.halts (projection, generation, lane, code, detail, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (projection, generation, lane) DO UPDATE SET code = EXCLUDED.code, detail = EXCLUDED.detail, at = EXCLUDED.at`,
  [projection, generation, lane, code, storedText(detail), timeParameter(atMs)])

const clearHalt = ({ schema, writers }: Store, { projection, generation, lane }: LaneId): Promise<unknown> =>
  writers.query(`DELETE FROM ${schema}.halts WHERE projection = $1 AND generation = $2 AND lane = $3`, [projection, generation, lane])

/** A promotion and a restore to a point in time begin a new timeline: what the old one committed last may be gone. */
const incarnationOf = async ({ schema, writers }: Store): Promise<string> => {
  const { rows } = await writers.query<{ incarnation: string; timeline: string }>(
    `SELECT incarnation, to_hex(timeline_id) AS timeline FROM ${schema}.store, pg_control_checkpoint()`)
  return `${rows[0]?.incarnation.slice(0, 20) ?? ""}t${rows[0]?.timeline ?? ""}`
}

type CommitError = FencedError | CommitUnknownError | StoreUnavailableError

const commitErrorOf = (cause: unknown): CommitError =>
  cause instanceof FencedError || cause instanceof CommitUnknownError || cause instanceof StoreUnavailableError ? cause : new StoreUnavailableError({ store: STORE, cause })

const isMoveRefused = (cause: unknown): cause is PointerConflictError | TargetBehindError => cause instanceof PointerConflictError || cause instanceof TargetBehindError

const makeStore = (store: Store): ReadModelStoreShape => ({
  // A definition that cannot be read is a defect of the caller: trying again would not help.
  createGeneration: (record, lanes) =>
    Effect.flatMap(Effect.sync(() => layoutOf(record.projection, record.generation, record.definition)), (layout) =>
      attempt(() => transact(store.writers, (client) => createGeneration(store, client, record, layout, lanes)))),
  takeOver: (lane) =>
    Effect.flatMap(attempt(() => takeOver(store, lane)), (checkpoint) =>
      checkpoint === undefined ? Effect.fail(new GenerationMissingError({ projection: lane.projection, generation: lane.generation })) : Effect.succeed(checkpoint)),
  readRows: (lane, keys) => attempt(() => readRows(store, lane, keys)),
  visitRowsBelow: (lane, beforeMs, visit) => attempt(() => rowsBelow(store, lane, beforeMs, visit)),
  readKeyCounts: (lane, windows) => attempt(() => keyCounts(store, lane, windows)),
  // So are rows that are not of their generation.
  commit: (commits) =>
    Effect.flatMap(attempt(() => generationsOf(store, commits)), (generations) =>
      Effect.flatMap(Effect.sync(() => packCommits(commits, generations)), (packed) => Effect.tryPromise({ try: () => commitAll(store, packed), catch: commitErrorOf }))),
  snapshot: readSnapshot(store),
  flip: (projection, generation, expectedVersion) =>
    attemptOr(() => flip(store, { projection, generation }, expectedVersion), isMoveRefused),
  follow: (id, isFollowed) => attemptOr(() => follow(store, id, isFollowed), (cause) => cause instanceof GenerationMissingError),
  dropGeneration: (id) => attemptOr(() => dropGeneration(store, id), (cause) => cause instanceof GenerationInUseError),
  generationSize: (id) => attempt(() => generationSize(store, id)),
  recordHalt: (halt) => attempt(() => recordHalt(store, halt)),
  clearHalt: (lane) => attempt(() => clearHalt(store, lane)),
  incarnation: attempt(() => incarnationOf(store)),
  registerOutbox: (consumer) => attempt(() => registerOutbox(store, consumer)),
  readOutbox: (consumer, after, limit) => attempt(() => readOutbox(store, consumer, after, limit)),
  ackOutbox: (consumer, upTo) => attempt(() => ackOutbox(store, consumer, upTo)),
  forgetOutbox: (consumer) => attempt(() => forgetOutbox(store, consumer))
})

/** The read models in a namespace of a Postgres database, closed with the scope. */
export const readModelStorePostgres = (options: PostgresOptions): Layer.Layer<ReadModelStore, StoreOpenError> =>
  Layer.effect(ReadModelStore, Effect.gen(function* () {
    const store = yield* openStore(options)
    return makeStore(options.keepUp === true && store.seesAllTenants ? yield* keepUp(store) : store)
  }))
