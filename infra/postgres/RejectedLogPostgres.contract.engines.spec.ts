import { rejectedLogContract } from "@tidemark/domain/ports/RejectedLog.contract"
import { rejectedLogPostgres } from "./RejectedLogPostgres.ts"
import { databaseUrl, dropNamespace, freshNamespace } from "./testDatabase.ts"

rejectedLogContract("Postgres", () => {
  const namespace = freshNamespace()
  return { open: (limits) => rejectedLogPostgres({ url: databaseUrl(), namespace, ...(limits === undefined ? {} : { limits }) }), dispose: () => dropNamespace(namespace) }
})
