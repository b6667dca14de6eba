/**
 * Connections to Postgres: pools with their limits, transactions, and what an error says about the transaction.
 *
 * Writers and snapshots have pools of their own, so that readers who hold snapshots never keep a flush waiting.
 */
import { CommitUnknownError, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { DatabaseError, Pool } from "pg"
import type { PoolClient } from "pg"

export const STORE = "postgres"

export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string
  /** Schema that holds everything; 1 to 40 characters of a–z, 0–9 and _, beginning with a letter. */
  readonly namespace: string
  /** Connections for writing; 4 when absent. */
  readonly writersMax?: number
  /** Connections for snapshots, each held for the time of one request; 12 when absent. */
  readonly snapshotsMax?: number
  /** How long a request waits for a connection, ms; 5,000 when absent. */
  readonly connectTimeoutMs?: number
  /** How long a writer may pause within a transaction before the server ends it, ms; 10,000 when absent. A frozen process holds others up that long. */
  readonly writerIdleMs?: number
  /** Whether this store goes on with what moves of the pointer and dropped generations leave to be done: one of each process does. */
  readonly keepUp?: boolean
}

/** The database cannot be used: not reachable, refused, of unsafe settings, or of a newer version. `reason` is one sentence. */
export class StoreOpenError extends Schema.TaggedError<StoreOpenError>()("StoreOpenError", {
  namespace: Schema.String,
  reason: Schema.String,
  cause: Schema.Defect()
}) {}

const WRITERS_MAX = 4
const SNAPSHOTS_MAX = 12
const CONNECT_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 30_000
/** The client gives up this much after the server should have. */
const REPLY_GRACE_MS = 5_000
const LOCK_TIMEOUT_MS = 5_000
/** A writer never thinks between statements; a snapshot may wait for the log to be read beside it. */
const WRITER_IDLE_MS = 10_000
const SNAPSHOT_IDLE_MS = 600_000
const UNUSED_CONNECTION_MS = 60_000

/** `pipeline`: statements go out at once and are answered in their order (`together`). */
const makePool = (options: PostgresOptions, max: number, idleMs: number, pipeline: boolean): Pool => {
  const pool = new Pool({
    connectionString: options.url,
    max,
    pipeline,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: UNUSED_CONNECTION_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + REPLY_GRACE_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: idleMs,
    keepAlive: true,
    application_name: `tidemark ${options.namespace}`
  })
  // A connection that breaks tells whoever uses it by a failed query; the events must have a listener nevertheless.
  pool.on("error", () => undefined)
  pool.on("connect", (client) => void client.on("error", () => undefined))
  return pool
}

export interface Pools {
  readonly writers: Pool
  readonly snapshots: Pool
}

/** Pools that connect when first used and are closed with the scope. */
export const openPools = (options: PostgresOptions): Effect.Effect<Pools, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => ({
      writers: makePool(options, options.writersMax ?? WRITERS_MAX, options.writerIdleMs ?? WRITER_IDLE_MS, true),
      snapshots: makePool(options, options.snapshotsMax ?? SNAPSHOTS_MAX, SNAPSHOT_IDLE_MS, false)
    })),
    ({ writers, snapshots }) => Effect.promise(() => Promise.all([writers.end(), snapshots.end()]))
  )

/**
 * The server answered with an error and goes on serving the session. Anything else (a broken connection, a session that
 * the server ends, no reply in time) leaves the connection useless, and the outcome of a COMMIT open.
 */
export const wasRefused = (cause: unknown): cause is DatabaseError => cause instanceof DatabaseError && cause.severity === "ERROR"

/** Our own errors carry a tag and leave the connection as it was. */
const isUsableAfter = (cause: unknown): boolean => wasRefused(cause) || (cause instanceof Error && "_tag" in cause)

/** Ends the transaction of a connection without keeping anything: back to the pool if the server does it, else closed. */
export const abandon = async (client: PoolClient, cause?: unknown): Promise<void> => {
  if (cause !== undefined && !isUsableAfter(cause)) return client.release(true)
  try {
    await client.query("ROLLBACK")
    client.release()
  } catch {
    client.release(true)
  }
}

const commit = async (client: PoolClient): Promise<void> => {
  let command: string
  try {
    command = (await client.query("COMMIT")).command
  } catch (cause) {
    if (!wasRefused(cause)) {
      client.release(true)
      throw new CommitUnknownError({ store: STORE, cause })
    }
    await abandon(client)
    throw new StoreUnavailableError({ store: STORE, cause })
  }
  client.release()
  // COMMIT of a transaction that had failed answers ROLLBACK without an error.
  if (command !== "COMMIT") throw new StoreUnavailableError({ store: STORE, cause: new Error(`COMMIT was answered ${command}`) })
}

/**
 * Runs `body` in one READ COMMITTED transaction. Throws what `body` throws after a rollback; `CommitUnknownError` when
 * COMMIT was sent and its outcome is not known.
 */
export const transact = async <A>(pool: Pool, body: (client: PoolClient) => Promise<A>): Promise<A> => {
  const client = await pool.connect()
  let result: A
  try {
    await client.query("BEGIN")
    result = await body(client)
  } catch (cause) {
    await abandon(client, cause)
    throw cause
  }
  await commit(client)
  return result
}

/**
 * Waits for statements of one transaction that were sent without waiting for each other; throws what the first of them
 * that failed threw. The server runs them in order, and after one that failed none within the transaction.
 */
export const together = async <A>(sent: readonly Promise<A>[]): Promise<A[]> => {
  const settled = await Promise.allSettled(sent)
  return settled.map((one) => {
    if (one.status === "rejected") throw one.reason
    return one.value
  })
}

const unavailable = (cause: unknown): StoreUnavailableError =>
  cause instanceof StoreUnavailableError ? cause : new StoreUnavailableError({ store: STORE, cause })

/** A promise of the client as an effect; every failure is `StoreUnavailableError`. */
export const attempt = <A>(action: () => Promise<A>): Effect.Effect<A, StoreUnavailableError> => Effect.tryPromise({ try: action, catch: unavailable })

/** As `attempt`, for actions that throw errors of the port themselves. */
export const attemptOr = <A, E>(action: () => Promise<A>, isOwn: (cause: unknown) => cause is E): Effect.Effect<A, E | StoreUnavailableError> =>
  Effect.tryPromise({ try: action, catch: (cause): E | StoreUnavailableError => (isOwn(cause) ? cause : unavailable(cause)) })
