/** The LMDB environment of a log; a commit is a real sync before it returns (`overlappingSync: false`). */
import { open } from "lmdb"
import type { RootDatabase } from "lmdb"
import { makeLocalDirectory } from "./localDirectory.ts"
import type { BlockStore } from "./logPlaces.ts"
import { gateWrites } from "./writeGate.ts"

export interface LogStores {
  readonly root: RootDatabase<string, string>
  readonly blocks: BlockStore
}

const MAP_BYTES = 1024 * 1024 * 1024
const DATABASES_MAX = 32

/** Opens (and creates) the environment in `directory`. */
export const openLogStores = (directory: string): LogStores => {
  makeLocalDirectory(directory)
  const root = open<string, string>({ path: directory, encoding: "string", maxDbs: DATABASES_MAX, mapSize: MAP_BYTES, overlappingSync: false, noMemInit: true })
  const blocks = root.openDB<Buffer, Buffer>({ name: "blocks", encoding: "binary", keyEncoding: "binary" })
  for (const database of [root, blocks]) gateWrites(database)
  return { root, blocks }
}
