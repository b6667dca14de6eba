import { readModelStoreContract } from "@tidemark/domain/ports/ReadModelStore.contract"
import { readModelStorePostgres } from "./ReadModelStorePostgres.ts"
import { databaseUrl, dropNamespace, freshNamespace } from "./testDatabase.ts"

readModelStoreContract("Postgres", () => {
  const namespace = freshNamespace()
  return { open: () => readModelStorePostgres({ url: databaseUrl(), namespace }), dispose: () => dropNamespace(namespace) }
})
