/**
 * Versions of the schema. Each is applied once, in order, in one transaction under an advisory lock: any number of
 * processes may start at once. A released version is never edited.
 */
import type { Pool, PoolClient } from "pg"
import { transact } from "./connection.ts"
import { sketchFunctions } from "./sketchFunctions.ts"
import { quoted } from "./sqlText.ts"

/** The session variable that names the tenant whose rows a serving or BI role may see. */
export const TENANT_SETTING = "tidemark.tenant"

/** Rows of the tenant that the session names; none when it names none. Owners see all. */
export const tenantPolicies = (table: string): string => `
ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE ${table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON ${table} TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY tenant_only ON ${table} FOR SELECT TO PUBLIC USING (tenant_id = NULLIF(current_setting('${TENANT_SETTING}', true), ''));`

const readModels = (schema: string): string => `
CREATE TABLE ${schema}.store (incarnation text NOT NULL);
INSERT INTO ${schema}.store VALUES (replace(gen_random_uuid()::text, '-', ''));
CREATE TABLE ${schema}.generations (
  projection text NOT NULL, generation int NOT NULL, definition text NOT NULL, definition_hash text NOT NULL, created_at timestamptz NOT NULL,
  log_id text NOT NULL, coverage text NOT NULL, layout text NOT NULL, PRIMARY KEY (projection, generation));
CREATE TABLE ${schema}.lane_checkpoints (
  projection text NOT NULL, generation int NOT NULL, lane smallint NOT NULL, epoch bigint NOT NULL, partitions int[] NOT NULL,
  next_offsets bigint[] NOT NULL, state text NOT NULL, digest bytea NOT NULL, PRIMARY KEY (projection, generation, lane)) WITH (fillfactor = 50);
ALTER TABLE ${schema}.lane_checkpoints ALTER COLUMN digest SET STORAGE EXTERNAL;
CREATE TABLE ${schema}.pointers (projection text PRIMARY KEY, generation int NOT NULL, pointer_version int NOT NULL);
CREATE TABLE ${schema}.halts (
  projection text NOT NULL, generation int NOT NULL, lane smallint NOT NULL, code text NOT NULL, detail text NOT NULL, at timestamptz NOT NULL,
  PRIMARY KEY (projection, generation, lane));
CREATE TABLE ${schema}.outbox (
  sequence bigint PRIMARY KEY, projection text NOT NULL, generation int NOT NULL, lane smallint NOT NULL, hints bytea NOT NULL);
ALTER TABLE ${schema}.outbox ALTER COLUMN hints SET STORAGE EXTERNAL;
CREATE TABLE ${schema}.outbox_sequence (last bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO ${schema}.outbox_sequence VALUES (0);
CREATE TABLE ${schema}.outbox_consumers (consumer text PRIMARY KEY, cursor bigint NOT NULL) WITH (fillfactor = 10);`

const rejectedEvents = (schema: string): string => `
CREATE TABLE ${schema}.rejected_events (
  tenant_id text COLLATE "C" NOT NULL, entry_id text COLLATE "C" NOT NULL, received_at timestamptz NOT NULL, code text NOT NULL, entry text NOT NULL,
  PRIMARY KEY (tenant_id, entry_id));
CREATE INDEX ON ${schema}.rejected_events (tenant_id, received_at, entry_id);
${tenantPolicies(`${schema}.rejected_events`)}`

/** Clocks of prefixes: −Infinity where there are none yet, tenants as JSON. Found by offset, and by R, which never falls along a partition. */
const prefixClocks = (schema: string): string => `
CREATE TABLE ${schema}.prefix_clocks (
  log_id text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL, received_max_ms double precision NOT NULL, heartbeat_max_ms double precision NOT NULL,
  tenants text NOT NULL, PRIMARY KEY (log_id, partition, next_offset));
CREATE INDEX ON ${schema}.prefix_clocks (log_id, partition, received_max_ms, next_offset);`

/** What each view shows, which may be behind the pointer, and why; whether the tables of a dropped generation are gone. Until here views moved with the pointer. */
const keptUp = (schema: string): string => `
CREATE TABLE ${schema}.bi_views (projection text PRIMARY KEY, generation int NOT NULL, reason text);
INSERT INTO ${schema}.bi_views SELECT projection, generation FROM ${schema}.pointers;
ALTER TABLE ${schema}.generations ADD COLUMN is_removed boolean NOT NULL DEFAULT false;`

/** Role for the processes that answer queries, and for BI tools: neither owns anything, neither may log in by itself. */
export const servingRole = (namespace: string): string => `${namespace}_serving`
export const biRole = (namespace: string): string => `${namespace}_bi`

/** Creates what the roles lack, if this user may; without the roles, everything else works. */
const roles = (namespace: string): string => {
  const schema = quoted(namespace)
  const [serving, bi] = [quoted(servingRole(namespace)), quoted(biRole(namespace))]
  const create = (role: string): string => `IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${role.replaceAll("\"", "")}') THEN CREATE ROLE ${role} NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF;`
  return `
DO $$ BEGIN
  IF (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    BEGIN
      ${create(serving)} ${create(bi)}
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '${servingRole(namespace)}') THEN
    GRANT USAGE ON SCHEMA ${schema} TO ${serving};
    GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${serving};
    ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT ON TABLES TO ${serving};
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '${biRole(namespace)}') THEN GRANT USAGE ON SCHEMA ${schema} TO ${bi}; END IF;
END $$;`
}

/** In order; the version is the place, from 1. */
const MIGRATIONS: readonly ((namespace: string) => string)[] = [
  (namespace) => [readModels(quoted(namespace)), rejectedEvents(quoted(namespace)), sketchFunctions(quoted(namespace)), roles(namespace)].join("\n"),
  (namespace) => `ALTER TABLE ${quoted(namespace)}.generations ADD COLUMN is_followed boolean NOT NULL DEFAULT false, ADD COLUMN is_dropped boolean NOT NULL DEFAULT false;`,
  (namespace) => prefixClocks(quoted(namespace)),
  (namespace) => `ALTER TABLE ${quoted(namespace)}.pointers ADD COLUMN hand_over_partitions int[], ADD COLUMN hand_over_offsets bigint[];`,
  (namespace) => keptUp(quoted(namespace))
]

/** The version this binary works with. */
export const SCHEMA_VERSION = MIGRATIONS.length

const storedVersion = async (client: Pool | PoolClient, namespace: string): Promise<number> => {
  // From the catalogue's rows: to_regclass may answer from a cache of before the lock was given.
  const { rowCount } = await client.query("SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'schema_migrations'", [namespace])
  if (rowCount === 0) return 0
  const found = await client.query<{ version: number }>(`SELECT coalesce(max(version), 0)::int AS version FROM ${quoted(namespace)}.schema_migrations`)
  return found.rows[0]?.version ?? 0
}

const apply = async (client: PoolClient, namespace: string): Promise<number> => {
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`tidemark migrations ${namespace}`])
  const from = await storedVersion(client, namespace)
  if (from >= SCHEMA_VERSION) return from
  const schema = quoted(namespace)
  // Asked first: even with IF NOT EXISTS, the statement needs the right to create schemas, which an owner may lack.
  const { rowCount } = await client.query("SELECT FROM pg_namespace WHERE nspname = $1", [namespace])
  if (rowCount === 0) await client.query(`CREATE SCHEMA ${schema}`)
  await client.query(`CREATE TABLE IF NOT EXISTS ${schema}.schema_migrations (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`)
  for (const [at, migration] of MIGRATIONS.entries()) {
    if (at < from) continue
    await client.query(migration(namespace))
    await client.query(`INSERT INTO ${schema}.schema_migrations (version) VALUES ($1)`, [at + 1])
  }
  return SCHEMA_VERSION
}

/** Brings the schema to this binary's version and answers the stored one, which is higher when a newer binary was here. */
export const migrate = async (pool: Pool, namespace: string): Promise<number> => {
  const found = await storedVersion(pool, namespace)
  return found >= SCHEMA_VERSION ? found : transact(pool, (client) => apply(client, namespace))
}
