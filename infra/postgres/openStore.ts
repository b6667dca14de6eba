/** Opens the store: checks what durability rests on, brings the schema up to date, finds out what this user may see. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Pool } from "pg"
import { StoreOpenError, openPools } from "./connection.ts"
import type { PostgresOptions } from "./connection.ts"
import type { Store } from "./generations.ts"
import { SCHEMA_VERSION, migrate } from "./migrations.ts"
import { quoted } from "./sqlText.ts"

const NAMESPACE = /^[a-z][a-z0-9_]{0,39}$/
const VERSION_MIN = 150_000
/** Without these an acknowledged commit can be lost or torn. */
const DURABLE: Readonly<Record<string, readonly string[]>> = { fsync: ["on"], full_page_writes: ["on"], synchronous_commit: ["on", "remote_apply"] }

class Refusal extends Error {}

const checkServer = async (pool: Pool): Promise<void> => {
  const { rows } = await pool.query<{ name: string; setting: string }>("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", [["server_version_num", ...Object.keys(DURABLE)]])
  const settings = new Map(rows.map(({ name, setting }) => [name, setting]))
  if (Number(settings.get("server_version_num")) < VERSION_MIN) throw new Refusal("Postgres 15 or later is needed.")
  for (const [name, accepted] of Object.entries(DURABLE)) {
    const setting = settings.get(name) ?? "unknown"
    if (!accepted.includes(setting)) throw new Refusal(`Postgres has ${name} = ${setting}: a committed window could be lost; set it to ${accepted[0]}.`)
  }
}

/** The owner of the schema, and whoever has its rights, sees all tenants. */
const seesAllTenants = async (pool: Pool, namespace: string): Promise<boolean> => {
  const { rows } = await pool.query<{ sees: boolean }>(
    "SELECT pg_has_role(current_user, n.nspowner, 'USAGE') OR r.rolbypassrls AS sees FROM pg_namespace n, pg_roles r WHERE n.nspname = $1 AND r.rolname = current_user", [namespace])
  return rows[0]?.sees === true
}

const prepare = async (pool: Pool, namespace: string): Promise<boolean> => {
  if (!NAMESPACE.test(namespace)) throw new Refusal(`"${namespace}" is no namespace: 1 to 40 lower-case letters, digits or underscores, beginning with a letter.`)
  await checkServer(pool)
  const version = await migrate(pool, namespace)
  if (version > SCHEMA_VERSION) throw new Refusal(`Schema ${namespace} has version ${version}, of a newer Tidemark; this one knows ${SCHEMA_VERSION}.`)
  return seesAllTenants(pool, namespace)
}

const reasonOf = (cause: unknown): string => (cause instanceof Refusal ? cause.message : `Postgres cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`)

/** The store at `options.url`, closed with the scope. */
export const openStore = (options: PostgresOptions): Effect.Effect<Store, StoreOpenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { namespace } = options
    const pools = yield* openPools(options)
    const sees = yield* Effect.tryPromise({
      try: () => prepare(pools.writers, namespace),
      catch: (cause) => new StoreOpenError({ namespace, reason: reasonOf(cause), cause })
    })
    return { namespace, schema: quoted(namespace), ...pools, seesAllTenants: sees, generations: new Map(), wake: () => {} }
  })
