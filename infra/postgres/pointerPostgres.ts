/**
 * Which generations are served, followed and dropped. The view that BI tools read moves with the pointer where nobody holds
 * it, else later; tables of dropped generations are removed once nobody reads them. Both in `keepUp.ts`.
 */
import {
  CommitUnknownError, GenerationInUseError, GenerationMissingError, PointerConflictError, StoreUnavailableError, TargetBehindError
} from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { showAtOnce } from "./activeView.ts"
import { STORE, transact } from "./connection.ts"
import type { Store } from "./generations.ts"
import { removeTables } from "./keepUp.ts"

/** As it is stored; without a hand-over before the first move, and after moves of earlier versions. */
export interface PointerRow {
  readonly projection: string
  readonly generation: number
  readonly pointer_version: number
  readonly hand_over_partitions: readonly number[] | null
  readonly hand_over_offsets: readonly string[] | null
}

export const POINTER_COLUMNS = "projection, generation, pointer_version, hand_over_partitions, hand_over_offsets"

export const pointerOf = ({ projection, generation, pointer_version: pointerVersion, hand_over_partitions: partitions, hand_over_offsets: offsets }: PointerRow): Pointer => ({
  projection, generation, pointerVersion, ...(partitions === null ? {} : { handOver: partitions.map((partition, at) => ({ partition, nextOffset: BigInt(offsets?.[at] ?? "0") })) })
})

const storedPointer = async ({ schema }: Store, client: PoolClient | Store["writers"], projection: string, lock: string): Promise<PointerRow | undefined> =>
  (await client.query<PointerRow>(`SELECT ${POINTER_COLUMNS} FROM ${schema}.pointers WHERE projection = $1 ${lock}`, [projection])).rows[0]

const setPointer = async ({ schema }: Store, client: PoolClient, { projection, generation, pointerVersion, handOver = [] }: Pointer): Promise<boolean> => {
  const { rowCount } = pointerVersion === 1
    ? await client.query(`INSERT INTO ${schema}.pointers (projection, generation, pointer_version) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING`, [projection, generation])
    : await client.query(`UPDATE ${schema}.pointers SET generation = $2, pointer_version = $3, hand_over_partitions = $4, hand_over_offsets = $5 WHERE projection = $1 AND pointer_version = $3 - 1`,
      [projection, generation, pointerVersion, handOver.map(({ partition }) => partition), handOver.map(({ nextOffset }) => nextOffset.toString())])
  return rowCount === 1
}

/**
 * Holds the flushes of both generations until the transaction ends, in the order in which flushes lock them; answers where
 * the active one stands.
 */
const demandReached = async ({ schema }: Store, client: PoolClient, active: number, { projection, generation }: GenerationId): Promise<NonNullable<Pointer["handOver"]>> => {
  const { rows } = await client.query<{ generation: number; partitions: number[]; next_offsets: string[] }>(
    `SELECT generation, partitions, next_offsets FROM ${schema}.lane_checkpoints WHERE projection = $1 AND generation = ANY($2::int[]) ORDER BY generation, lane FOR SHARE`,
    [projection, [active, generation]])
  const positionOf = (wanted: number) =>
    new Map(rows.filter((row) => row.generation === wanted).flatMap((row) => row.partitions.map((partition, at) => [partition, BigInt(row.next_offsets[at] ?? "0")] as const)))
  const reached = positionOf(generation)
  const handOver: { readonly partition: number; readonly nextOffset: bigint }[] = []
  for (const [partition, activeOffset] of positionOf(active)) {
    const nextOffset = reached.get(partition) ?? 0n
    if (nextOffset < activeOffset) throw new TargetBehindError({ projection, generation, partition, nextOffset, activeOffset })
    handOver.push({ partition, nextOffset: activeOffset })
  }
  return handOver.sort((a, b) => a.partition - b.partition)
}

const isKept = async ({ schema }: Store, client: PoolClient, { projection, generation }: GenerationId): Promise<boolean> =>
  (await client.query(`SELECT FROM ${schema}.generations WHERE projection = $1 AND generation = $2 AND NOT is_dropped FOR UPDATE`, [projection, generation])).rowCount === 1

/** Answers the pointer, and whether the view has followed it. */
const move = async (store: Store, client: PoolClient, target: Pointer): Promise<readonly [pointer: Pointer, hasFollowed: boolean]> => {
  const { projection, generation, pointerVersion } = target
  const stored = await storedPointer(store, client, projection, "FOR UPDATE")
  const version = stored?.pointer_version ?? 0
  if (version !== pointerVersion - 1 || !(await isKept(store, client, target))) throw new PointerConflictError({ projection, pointerVersion: version })
  const pointer: Pointer = stored === undefined ? target : { ...target, handOver: await demandReached(store, client, stored.generation, target) }
  // Another process may insert the first pointer at the same time.
  if (!(await setPointer(store, client, pointer))) throw new PointerConflictError({ projection, pointerVersion: (await storedPointer(store, client, projection, ""))?.pointer_version ?? version })
  if (stored !== undefined) {
    await client.query(`UPDATE ${store.schema}.generations SET is_followed = true WHERE projection = $1 AND generation = ANY($2::int[])`, [projection, [stored.generation, generation]])
  }
  return [pointer, await showAtOnce(store, client, projection, generation)]
}

/** Moves the pointer if it has `expectedVersion`. An unknown outcome is read back: the stored pointer says whether it was moved. */
export const flip = async (store: Store, { projection, generation }: GenerationId, expectedVersion: number): Promise<Pointer> => {
  const pointer: Pointer = { projection, generation, pointerVersion: expectedVersion + 1 }
  try {
    const [moved, hasFollowed] = await transact(store.writers, (client) => move(store, client, pointer))
    if (!hasFollowed) store.wake()
    return moved
  } catch (cause) {
    if (!(cause instanceof CommitUnknownError)) throw cause
    const stored = await storedPointer(store, store.writers, projection, "")
    if (stored?.generation === generation && stored.pointer_version === pointer.pointerVersion) return pointerOf(stored)
    throw new StoreUnavailableError({ store: STORE, cause })
  }
}

/** Has a generation followed, or not any more. */
export const follow = async ({ schema, writers }: Store, { projection, generation }: GenerationId, isFollowed: boolean): Promise<void> => {
  const { rowCount } = await writers.query(`UPDATE ${schema}.generations SET is_followed = $3 WHERE projection = $1 AND generation = $2 AND NOT is_dropped`, [projection, generation, isFollowed])
  if (rowCount !== 1) throw new GenerationMissingError({ projection, generation })
}

/**
 * Marks the generation as dropped and removes its checkpoints in one transaction, which waits for no reader; then its
 * tables, if nobody holds them. The record stays.
 */
export const dropGeneration = async (store: Store, { projection, generation }: GenerationId): Promise<void> => {
  const { schema, writers } = store
  const isStored = await transact(writers, async (client) => {
    if ((await client.query(`SELECT FROM ${schema}.generations WHERE projection = $1 AND generation = $2`, [projection, generation])).rowCount === 0) return false
    const active = await storedPointer(store, client, projection, "FOR SHARE")
    const { rowCount } = await client.query(`UPDATE ${schema}.generations SET is_dropped = true WHERE projection = $1 AND generation = $2 AND NOT is_followed`, [projection, generation])
    if (active?.generation === generation || rowCount !== 1) throw new GenerationInUseError({ projection, generation })
    for (const table of ["lane_checkpoints", "halts"]) await client.query(`DELETE FROM ${schema}.${table} WHERE projection = $1 AND generation = $2`, [projection, generation])
    return true
  })
  if (isStored && (await removeTables(store, { projection, generation })) !== undefined) store.wake()
}
