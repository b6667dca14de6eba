import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readModelStoreContract } from "@tidemark/domain/ports/ReadModelStore.contract"
import { readModelStoreLmdb } from "./ReadModelStoreLmdb.ts"

readModelStoreContract("LMDB", () => {
  const directory = mkdtempSync(join(tmpdir(), "tidemark-models-"))
  return { open: () => readModelStoreLmdb({ directory }), dispose: async () => rmSync(directory, { recursive: true, force: true }) }
})
