/**
 * The outbox and the cursors of its consumers.
 *
 * Whatever moves a cursor or forgets entries holds one table lock, so a consumer that registers never loses entries to a
 * trim that began before. Readers and flushes do not wait for it.
 */
import type { OutboxEntry } from "@tidemark/domain/ports/ReadModelStore"
import type { Pool, PoolClient } from "pg"
import { transact } from "./connection.ts"
import type { Store } from "./generations.ts"
import { unpackHints } from "./stateText.ts"

const lockCursors = ({ schema }: Store, client: PoolClient): Promise<unknown> => client.query(`LOCK TABLE ${schema}.outbox_consumers IN SHARE ROW EXCLUSIVE MODE`)

const cursorOf = async ({ schema }: Store, client: Pool | PoolClient, consumer: string): Promise<bigint | undefined> => {
  const { rows } = await client.query<{ cursor: string }>(`SELECT cursor FROM ${schema}.outbox_consumers WHERE consumer = $1`, [consumer])
  return rows[0] === undefined ? undefined : BigInt(rows[0].cursor)
}

const register = (store: Store, consumer: string): Promise<{ readonly cursor: bigint; readonly created: boolean }> =>
  transact(store.writers, async (client) => {
    await lockCursors(store, client)
    const known = await cursorOf(store, client, consumer)
    if (known !== undefined) return { cursor: known, created: false }
    // Read together: an entry committed meanwhile is above the sequence as it was.
    const { rows } = await client.query<{ cursor: string }>(
      `SELECT coalesce((SELECT min(sequence) - 1 FROM ${store.schema}.outbox), (SELECT last FROM ${store.schema}.outbox_sequence)) AS cursor`)
    const cursor = BigInt(rows[0]?.cursor ?? "0")
    await client.query(`INSERT INTO ${store.schema}.outbox_consumers (consumer, cursor) VALUES ($1, $2)`, [consumer, cursor.toString()])
    return { cursor, created: true }
  })

/** The cursor of a consumer, made before the oldest entry when it is new. */
export const registerOutbox = async (store: Store, consumer: string): Promise<{ readonly cursor: bigint; readonly created: boolean }> => {
  // Consumers ask before each look; only one that is new has to keep out those who forget entries.
  const known = await cursorOf(store, store.writers, consumer)
  return known === undefined ? register(store, consumer) : { cursor: known, created: false }
}

interface OutboxRow {
  readonly sequence: string
  readonly projection: string
  readonly generation: number
  readonly lane: number
  readonly hints: Buffer
}

const entryOf = ({ sequence, projection, generation, lane, hints }: OutboxRow): OutboxEntry => ({ sequence: BigInt(sequence), lane: { projection, generation, lane }, hints: unpackHints(hints) })

/** Entries after the consumer's cursor and after `after`. */
export const readOutbox = async ({ schema, writers }: Store, consumer: string, after: bigint, limit: number): Promise<OutboxEntry[]> => {
  const { rows } = await writers.query<OutboxRow>(
    `SELECT o.sequence, o.projection, o.generation, o.lane, o.hints FROM ${schema}.outbox_consumers c JOIN ${schema}.outbox o ON o.sequence > greatest(c.cursor, $2::int8)
WHERE c.consumer = $1 ORDER BY o.sequence LIMIT $3`, [consumer, after.toString(), limit])
  return rows.map(entryOf)
}

/** Entries after the consumer's cursor as a transaction sees both; undefined when it is not registered or these are more than `entriesMax`. */
export const unreadOutbox = async (store: Store, client: PoolClient, consumer: string, entriesMax: number): Promise<OutboxEntry[] | undefined> => {
  const cursor = await cursorOf(store, client, consumer)
  if (cursor === undefined) return undefined
  const { rows } = await client.query<OutboxRow>(
    `SELECT sequence, projection, generation, lane, hints FROM ${store.schema}.outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2`, [cursor.toString(), entriesMax + 1])
  return rows.length > entriesMax ? undefined : rows.map(entryOf)
}

/** Removes what every registered consumer is done with; everything is kept while there is none. */
const trim = ({ schema }: Store, client: PoolClient): Promise<unknown> =>
  client.query(`DELETE FROM ${schema}.outbox WHERE sequence <= (SELECT min(cursor) FROM ${schema}.outbox_consumers)`)

/** Moves a registered consumer's cursor forward. */
export const ackOutbox = (store: Store, consumer: string, upTo: bigint): Promise<void> =>
  transact(store.writers, async (client) => {
    await lockCursors(store, client)
    const { rowCount } = await client.query(`UPDATE ${store.schema}.outbox_consumers SET cursor = $2 WHERE consumer = $1 AND cursor < $2`, [consumer, upTo.toString()])
    if (rowCount === 1) await trim(store, client)
  })

/** Ends the registration of a consumer. */
export const forgetOutbox = (store: Store, consumer: string): Promise<void> =>
  transact(store.writers, async (client) => {
    await lockCursors(store, client)
    await client.query(`DELETE FROM ${store.schema}.outbox_consumers WHERE consumer = $1`, [consumer])
    await trim(store, client)
  })
