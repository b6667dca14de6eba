/** Which generations are served, followed and dropped. The pointer moves together with the view that BI tools read. */
import {
  CommitUnknownError, GenerationInUseError, GenerationMissingError, PointerConflictError, StoreUnavailableError, TargetBehindError
} from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import type { PoolClient } from "pg"
import { replaceView } from "./activeView.ts"
import { STORE, transact } from "./connection.ts"
import { findGeneration } from "./generations.ts"
import type { Store } from "./generations.ts"

interface PointerRow {
  readonly generation: number
  readonly pointer_version: number
}

const storedPointer = async ({ schema }: Store, client: PoolClient | Store["writers"], projection: string, lock: string): Promise<PointerRow | undefined> =>
  (await client.query<PointerRow>(`SELECT generation, pointer_version FROM ${schema}.pointers WHERE projection = $1 ${lock}`, [projection])).rows[0]

const setPointer = async ({ schema }: Store, client: PoolClient, { projection, generation, pointerVersion }: Pointer): Promise<boolean> => {
  const { rowCount } = pointerVersion === 1
    ? await client.query(`INSERT INTO ${schema}.pointers (projection, generation, pointer_version) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING`, [projection, generation])
    : await client.query(`UPDATE ${schema}.pointers SET generation = $2, pointer_version = $3 WHERE projection = $1 AND pointer_version = $3 - 1`, [projection, generation, pointerVersion])
  return rowCount === 1
}

/** Holds the flushes of both generations until the transaction ends, in the order in which flushes lock them. */
const demandReached = async ({ schema }: Store, client: PoolClient, active: number, { projection, generation }: GenerationId): Promise<void> => {
  const { rows } = await client.query<{ generation: number; partitions: number[]; next_offsets: string[] }>(
    `SELECT generation, partitions, next_offsets FROM ${schema}.lane_checkpoints WHERE projection = $1 AND generation = ANY($2::int[]) ORDER BY generation, lane FOR SHARE`,
    [projection, [active, generation]])
  const positionOf = (wanted: number) =>
    new Map(rows.filter((row) => row.generation === wanted).flatMap((row) => row.partitions.map((partition, at) => [partition, BigInt(row.next_offsets[at] ?? "0")] as const)))
  const reached = positionOf(generation)
  for (const [partition, activeOffset] of positionOf(active)) {
    const nextOffset = reached.get(partition) ?? 0n
    if (nextOffset < activeOffset) throw new TargetBehindError({ projection, generation, partition, nextOffset, activeOffset })
  }
}

const isKept = async ({ schema }: Store, client: PoolClient, { projection, generation }: GenerationId): Promise<boolean> =>
  (await client.query(`SELECT FROM ${schema}.generations WHERE projection = $1 AND generation = $2 AND NOT is_dropped FOR UPDATE`, [projection, generation])).rowCount === 1

const move = async (store: Store, client: PoolClient, pointer: Pointer): Promise<Pointer> => {
  const { projection, generation, pointerVersion } = pointer
  const stored = await storedPointer(store, client, projection, "FOR UPDATE")
  const version = stored?.pointer_version ?? 0
  const next = await findGeneration(store, client, projection, generation)
  if (version !== pointerVersion - 1 || next === undefined || !(await isKept(store, client, pointer))) throw new PointerConflictError({ projection, pointerVersion: version })
  if (stored !== undefined) await demandReached(store, client, stored.generation, pointer)
  // Another process may insert the first pointer at the same time.
  if (!(await setPointer(store, client, pointer))) throw new PointerConflictError({ projection, pointerVersion: (await storedPointer(store, client, projection, ""))?.pointer_version ?? version })
  if (stored !== undefined) {
    await client.query(`UPDATE ${store.schema}.generations SET is_followed = true WHERE projection = $1 AND generation = ANY($2::int[])`, [projection, [stored.generation, generation]])
  }
  const before = stored === undefined || stored.generation === generation ? undefined : await findGeneration(store, client, projection, stored.generation)
  await replaceView(store, client, projection, next, before)
  return pointer
}

/** Moves the pointer if it has `expectedVersion`. An unknown outcome is read back: the stored pointer says whether it was moved. */
export const flip = async (store: Store, { projection, generation }: GenerationId, expectedVersion: number): Promise<Pointer> => {
  const pointer: Pointer = { projection, generation, pointerVersion: expectedVersion + 1 }
  try {
    return await transact(store.writers, (client) => move(store, client, pointer))
  } catch (cause) {
    if (!(cause instanceof CommitUnknownError)) throw cause
    const stored = await storedPointer(store, store.writers, projection, "")
    if (stored?.generation === generation && stored.pointer_version === pointer.pointerVersion) return pointer
    throw new StoreUnavailableError({ store: STORE, cause })
  }
}

/** Has a generation followed, or not any more. */
export const follow = async ({ schema, writers }: Store, { projection, generation }: GenerationId, isFollowed: boolean): Promise<void> => {
  const { rowCount } = await writers.query(`UPDATE ${schema}.generations SET is_followed = $3 WHERE projection = $1 AND generation = $2 AND NOT is_dropped`, [projection, generation, isFollowed])
  if (rowCount !== 1) throw new GenerationMissingError({ projection, generation })
}

/** Empties the generation's tables and removes its checkpoints in one transaction; the record and the empty tables stay. */
export const dropGeneration = (store: Store, id: GenerationId): Promise<void> =>
  transact(store.writers, async (client) => {
    const { projection, generation } = id
    const found = await findGeneration(store, client, projection, generation)
    if (found === undefined) return
    const active = await storedPointer(store, client, projection, "FOR SHARE")
    const { rowCount } = await client.query(
      `UPDATE ${store.schema}.generations SET is_dropped = true WHERE projection = $1 AND generation = $2 AND NOT is_followed`, [projection, generation])
    if (active?.generation === generation || rowCount !== 1) throw new GenerationInUseError({ projection, generation })
    for (const table of ["lane_checkpoints", "halts"]) await client.query(`DELETE FROM ${store.schema}.${table} WHERE projection = $1 AND generation = $2`, [projection, generation])
    await client.query(`TRUNCATE ${Object.values(found.tables).join(", ")}`)
  })
