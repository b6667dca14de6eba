/** Opens the LMDB environment of a small store for the length of a scope. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { open } from "lmdb"
import type { RootDatabase } from "lmdb"
import { commitFault, roomBytesIn } from "./commitFault.ts"
import { makeLocalDirectory } from "./localDirectory.ts"
import type { Key } from "./modelStores.ts"
import { gateWrites } from "./writeGate.ts"

/** The directory cannot be created, written or read as an LMDB environment. */
export class EnvironmentOpenError extends Schema.TaggedError<EnvironmentOpenError>()("EnvironmentOpenError", {
  directory: Schema.String,
  cause: Schema.Defect()
}) {}

const MAP_BYTES = 256 * 1024 * 1024
/** More than a transaction of a small store writes. */
const TRANSACTION_BYTES = 4 * 1024 * 1024

export interface EnvironmentOptions {
  readonly directory: string
  /** Called when the disk did not sync a commit, before the caller hears of it: the process is to end there. */
  readonly onUnsynced?: ((reason: string) => void) | undefined
}

/** Writes all that the action writes or nothing, synced; throws what it throws. */
export type Transact = <A>(action: () => A) => A

export interface Environment {
  readonly root: RootDatabase<string, Key>
  readonly transact: Transact
}

/** `transactionSync` that tells of a disk that failed. */
export const tellingUnsynced = (transactionSync: Transact, { directory, onUnsynced }: EnvironmentOptions): Transact => (action) => {
  try {
    return transactionSync(action)
  } catch (error) {
    const fault = commitFault(error, { written: false, bytes: TRANSACTION_BYTES, roomBytes: () => roomBytesIn(directory) })
    if (fault.kind === "unsynced") onUnsynced?.(fault.reason)
    throw error
  }
}

/** Opens (and creates) the environment in a directory. Threads of one process may each open it. */
export const openRoot = (directory: string): RootDatabase<string, Key> => {
  makeLocalDirectory(directory)
  const root = open<string, Key>({ path: directory, encoding: "string", mapSize: MAP_BYTES, overlappingSync: false })
  gateWrites(root)
  return root
}

/** Opens (and creates) the environment; commits are synced before they return. Closed with the scope. */
export const openEnvironment = (options: EnvironmentOptions): Effect.Effect<Environment, EnvironmentOpenError, Scope.Scope> => {
  const { directory } = options
  return Effect.acquireRelease(
    Effect.try({
      try: () => openRoot(directory),
      catch: (cause) => new EnvironmentOpenError({ directory, cause })
    }),
    (root) => Effect.promise(() => root.close())
  ).pipe(Effect.map((root) => ({ root, transact: tellingUnsynced((action) => root.transactionSync(action), options) })))
}
