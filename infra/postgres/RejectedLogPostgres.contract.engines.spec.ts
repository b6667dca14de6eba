import { rejectedLogContract } from "@tidemark/domain/ports/RejectedLog.contract"
import { rejectedLogPostgres } from "./RejectedLogPostgres.ts"
import { databaseUrl, dropNamespace, freshNamespace } from "./testDatabase.ts"

rejectedLogContract("Postgres", () => {
  const namespace = freshNamespace()
  return { open: () => rejectedLogPostgres({ url: databaseUrl(), namespace }), dispose: () => dropNamespace(namespace) }
})
