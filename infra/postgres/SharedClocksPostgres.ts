/**
 * A partition index whose clocks are shared through Postgres: whatever process asks for the past finds those that the
 * readers of each partition have saved. Segments stay with the index it is made from, beside their reader.
 */
import { PartitionIndex, PartitionIndexError, areNear } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment, PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { transact } from "./connection.ts"
import type { PostgresOptions, StoreOpenError } from "./connection.ts"
import type { Store } from "./generations.ts"
import { openStore } from "./openStore.ts"

export interface SharedClocksOptions extends PostgresOptions {
  /** The log that the clocks are derived from. */
  readonly logId: string
}

/** One connection is enough: a segment is saved every few seconds. */
const CONNECTIONS_MAX = 1

interface StoredClocks {
  readonly next_offset: string
  readonly received_max_ms: number
  readonly heartbeat_max_ms: number
  readonly tenants: string
}

const COLUMNS = "next_offset, received_max_ms, heartbeat_max_ms, tenants"

const finite = (ms: number): number | null => (ms === -Infinity ? null : ms)

const clocksOf = (partition: number, { next_offset, received_max_ms, heartbeat_max_ms, tenants }: StoredClocks): PrefixClocks => ({
  partition, nextOffset: BigInt(next_offset), receivedMaxMs: finite(received_max_ms), heartbeatMaxMs: finite(heartbeat_max_ms),
  tenantMaxMs: new Map(JSON.parse(tenants) as (readonly [string, number])[])
})

/** Stores clocks, and forgets those between them and their last but one neighbour where these are near to each other. */
const save = ({ schema, writers }: Store, logId: string, { partition, to, receivedMaxMs, heartbeatMaxMs, tenantMaxMs }: PartitionSegment): Promise<void> =>
  transact(writers, async (client) => {
    const table = `${schema}.prefix_clocks`
    const { rows } = await client.query<Pick<StoredClocks, "next_offset" | "received_max_ms">>(
      `SELECT next_offset, received_max_ms FROM ${table} WHERE log_id = $1 AND partition = $2 AND next_offset < $3 ORDER BY next_offset DESC LIMIT 2`, [logId, partition, String(to)])
    const [last, lastButOne] = rows.map(({ next_offset, received_max_ms }) => ({ nextOffset: BigInt(next_offset), receivedMaxMs: received_max_ms }))
    if (last !== undefined && lastButOne !== undefined && areNear(lastButOne, { nextOffset: to, receivedMaxMs })) {
      await client.query(`DELETE FROM ${table} WHERE log_id = $1 AND partition = $2 AND next_offset = $3`, [logId, partition, String(last.nextOffset)])
    }
    await client.query(`INSERT INTO ${table} (log_id, partition, ${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
      [logId, partition, String(to), receivedMaxMs, heartbeatMaxMs, JSON.stringify([...tenantMaxMs])])
  })

/** R never falls along a partition, so the last ones within it are those before the first beyond it. */
const find = async ({ schema, writers }: Store, logId: string, partition: number, atMost: bigint, receivedMaxMs: number): Promise<PrefixClocks | undefined> => {
  const from = `SELECT ${COLUMNS} FROM ${schema}.prefix_clocks WHERE log_id = $1 AND partition = $2`
  const longest = await writers.query<StoredClocks>(`${from} AND next_offset <= $3 ORDER BY next_offset DESC LIMIT 1`, [logId, partition, String(atMost)])
  const [row] = longest.rows
  if (row === undefined || row.received_max_ms <= receivedMaxMs) return row === undefined ? undefined : clocksOf(partition, row)
  const within = await writers.query<StoredClocks>(`${from} AND received_max_ms <= $3 ORDER BY received_max_ms DESC, next_offset DESC LIMIT 1`, [logId, partition, receivedMaxMs])
  return within.rows[0] === undefined ? undefined : clocksOf(partition, within.rows[0])
}

const attempt = <A>(action: () => Promise<A>): Effect.Effect<A, PartitionIndexError> => Effect.tryPromise({ try: action, catch: (cause) => new PartitionIndexError({ cause }) })

const shareClocks = (index: PartitionIndexShape, store: Store, logId: string): PartitionIndexShape => ({
  load: index.load,
  save: (segment) => Effect.andThen(index.save(segment), attempt(() => save(store, logId, segment))),
  clocks: (partition, atMost, receivedMaxMs) => attempt(() => find(store, logId, partition, atMost, receivedMaxMs))
})

/** `index` with clocks in a namespace of a Postgres database, closed with the scope. */
export const sharedClocksPostgres = <E, R>(options: SharedClocksOptions, index: Layer.Layer<PartitionIndex, E, R>): Layer.Layer<PartitionIndex, E | StoreOpenError, R> =>
  Layer.effect(PartitionIndex, Effect.gen(function* () {
    const store = yield* openStore({ ...options, writersMax: CONNECTIONS_MAX, snapshotsMax: CONNECTIONS_MAX })
    return shareClocks(yield* PartitionIndex, store, options.logId)
  })).pipe(Layer.provide(index))
