/**
 * What moves of the pointer and dropped generations leave to be done, because others read: views that show an earlier
 * generation, tables that nobody needs any more. Every process goes on with it; two at once do no harm.
 *
 * Tables are removed as such and never emptied: a snapshot of before the drop sees no rows of an emptied table, and would
 * answer that there is nothing. Of one that is gone it gets an error; while it has read of it, or the view does, it stays.
 */
import type { GenerationId } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { repairViews } from "./activeView.ts"
import { attempt, transact, wasRefused } from "./connection.ts"
import { findGeneration } from "./generations.ts"
import type { Store } from "./generations.ts"

/** How long the removal of tables waits for who reads them, ms. Nobody else wants them. */
const TABLES_WAIT_MS = 500
/** Between two tries of what others stand against, ms; and between two looks at whether another process has left something. */
const AGAIN_MS = 3_000
const LOOK_MS = 15_000

/** Removes the tables of a dropped generation, once more or anew. Answers what stands against it, undefined when they are gone. */
export const removeTables = async (store: Store, { projection, generation }: GenerationId): Promise<string | undefined> => {
  const found = await findGeneration(store, store.writers, projection, generation)
  if (found === undefined) return undefined
  try {
    await transact(store.writers, async (client) => {
      await client.query(`SET LOCAL lock_timeout = ${TABLES_WAIT_MS}`)
      await client.query(`DROP TABLE IF EXISTS ${Object.values(found.tables).join(", ")}`)
      await client.query(`UPDATE ${store.schema}.generations SET is_removed = true WHERE projection = $1 AND generation = $2`, [projection, generation])
    })
    return undefined
  } catch (cause) {
    if (!wasRefused(cause)) throw cause
    return `the tables of generation ${generation} of ${projection}, which is dropped, cannot be removed: ${cause.message}`
  }
}

/** Dropped generations whose tables are there and that no view shows: what shows them is told of for itself. */
const leftTables = async ({ schema, writers }: Store): Promise<readonly GenerationId[]> =>
  (await writers.query<{ projection: string; generation: number }>(`SELECT projection, generation FROM ${schema}.generations AS g WHERE is_dropped AND NOT is_removed
AND NOT EXISTS (SELECT FROM ${schema}.bi_views AS v WHERE v.projection = g.projection AND v.generation = g.generation) ORDER BY projection, generation`)).rows

/** One pass. Answers what is left and why, a sentence each. */
const pass = async (store: Store): Promise<readonly string[]> => {
  const faults = await repairViews(store)
  for (const id of await leftTables(store)) {
    const fault = await removeTables(store, id)
    if (fault !== undefined) faults.push(fault)
  }
  return faults
}

/** Goes on with what is left until the scope closes; says what stands against it whenever that changes. Needs the rights of the schema's owner. */
export const keepUp = Effect.fn("keepUp")(function* (store: Store) {
  const bell = yield* Queue.sliding<true>(1)
  const told = new Set<string>()
  const round = Effect.gen(function* () {
    const faults = yield* attempt(() => pass(store))
    for (const fault of faults) if (!told.has(fault)) yield* Effect.logWarning(fault)
    told.clear()
    for (const fault of faults) told.add(fault)
    return faults.length === 0 ? LOOK_MS : AGAIN_MS
  })
  // A database that is away is told of by whoever asks it.
  const careful = Effect.catch(round, () => Effect.succeed(AGAIN_MS))
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(careful, (waitMs) => Effect.timeoutOption(Queue.take(bell), waitMs))))
  return { ...store, wake: () => void Queue.offerUnsafe(bell, true) } satisfies Store
})
