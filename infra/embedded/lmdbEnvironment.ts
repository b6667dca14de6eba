/** Opens the LMDB environment of a small store for the length of a scope. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { open } from "lmdb"
import type { RootDatabase } from "lmdb"
import { makeLocalDirectory } from "./localDirectory.ts"
import type { Key } from "./modelStores.ts"

/** The directory cannot be created, written or read as an LMDB environment. */
export class EnvironmentOpenError extends Schema.TaggedError<EnvironmentOpenError>()("EnvironmentOpenError", {
  directory: Schema.String,
  cause: Schema.Defect()
}) {}

const MAP_BYTES = 256 * 1024 * 1024

/** Opens (and creates) the environment; commits are synced before they return. Closed with the scope. */
export const openEnvironment = (directory: string): Effect.Effect<RootDatabase<string, Key>, EnvironmentOpenError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        makeLocalDirectory(directory)
        return open<string, Key>({ path: directory, encoding: "string", mapSize: MAP_BYTES, overlappingSync: false })
      },
      catch: (cause) => new EnvironmentOpenError({ directory, cause })
    }),
    (root) => Effect.promise(() => root.close())
  )
