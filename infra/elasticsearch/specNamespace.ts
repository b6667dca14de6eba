/** Indices of a specification's own in the Elasticsearch that runs. */
import { randomBytes } from "node:crypto"

/** Where Elasticsearch runs, from the environment. */
export const elasticsearchUrl = (): string => {
  const url = process.env["TIDEMARK_ELASTICSEARCH_URL"]
  if (url === undefined) throw new Error("TIDEMARK_ELASTICSEARCH_URL is not set: npm run engines -- up --only elasticsearch")
  return url
}

/** A namespace nobody else uses. */
export const freshNamespace = (): string => `spec${randomBytes(5).toString("hex")}`

/** Drops all indices of a namespace. */
export const dropNamespace = async (namespace: string): Promise<void> => {
  const found = await fetch(`${elasticsearchUrl()}/${namespace}-*/_settings?filter_path=*.settings.index.provided_name`)
  const names = Object.keys((await found.json()) as object)
  for (const name of names) await fetch(`${elasticsearchUrl()}/${name}`, { method: "DELETE" })
}
