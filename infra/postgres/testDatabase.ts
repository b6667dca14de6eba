/** A database for specs: the one that `npm run engines` prints, and a namespace of its own for each suite. */
import { randomBytes } from "node:crypto"
import { Client } from "pg"

/** Fails with what to do when there is no database. */
export const databaseUrl = (): string => {
  const url = process.env["TIDEMARK_POSTGRES_URL"]
  if (url === undefined) throw new Error("TIDEMARK_POSTGRES_URL is not set: run `npm run engines -- up --only postgres` and export what it prints")
  return url
}

/** A connection of the specification's own, closed afterwards. */
export const withClient = async <A>(use: (client: Client) => Promise<A>, url = databaseUrl()): Promise<A> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** A namespace that nobody else uses. */
export const freshNamespace = (): string => `spec_${randomBytes(6).toString("hex")}`

/** Removes a namespace with its roles. */
export const dropNamespace = (namespace: string): Promise<void> =>
  withClient(async (client) => {
    await client.query(`DROP SCHEMA IF EXISTS "${namespace}" CASCADE`)
    for (const role of [`${namespace}_serving`, `${namespace}_bi`]) {
      const { rowCount } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [role])
      if (rowCount === 1) await client.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
    }
  })
