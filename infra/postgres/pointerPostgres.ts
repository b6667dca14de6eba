/** The pointer to the active generation, moved by compare-and-set together with the view that BI tools read. */
import { CommitUnknownError, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { Pointer } from "@tidemark/domain/ports/ReadModelStore"
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

const move = async (store: Store, client: PoolClient, pointer: Pointer): Promise<Pointer | number> => {
  const { projection, generation, pointerVersion } = pointer
  const stored = await storedPointer(store, client, projection, "FOR UPDATE")
  const version = stored?.pointer_version ?? 0
  const next = await findGeneration(store, client, projection, generation)
  if (version !== pointerVersion - 1 || next === undefined) return version
  // Another process may insert the first pointer at the same time.
  if (!(await setPointer(store, client, pointer))) return (await storedPointer(store, client, projection, ""))?.pointer_version ?? version
  const before = stored === undefined || stored.generation === generation ? undefined : await findGeneration(store, client, projection, stored.generation)
  await replaceView(store, client, projection, next, before)
  return pointer
}

/**
 * Moves the pointer if it has `expectedVersion`; answers the stored version otherwise. An unknown outcome is read back:
 * the stored pointer says whether it was moved.
 */
export const flip = async (store: Store, projection: string, generation: number, expectedVersion: number): Promise<Pointer | number> => {
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
