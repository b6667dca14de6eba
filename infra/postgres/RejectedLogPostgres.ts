/** The rejected log on Postgres. Entry ids are told apart within a tenant, so that no tenant can hide an entry of another. */
import { RejectedLog, RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent, RejectedLogShape } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { textArray, timeArray } from "./arrayParameters.ts"
import { transact } from "./connection.ts"
import type { PostgresOptions, StoreOpenError } from "./connection.ts"
import type { Store } from "./generations.ts"
import { TENANT_SETTING } from "./migrations.ts"
import { openStore } from "./openStore.ts"
import { originalText, storedText } from "./sqlText.ts"

/** JSON escapes what the event was refused for (NUL, lone surrogates), so the entry is kept exactly as it was. */
const put = async ({ schema, writers }: Store, entries: readonly RejectedEvent[]): Promise<void> => {
  if (entries.length === 0) return
  const values = [
    textArray(entries.map(({ tenantId }) => storedText(tenantId))), textArray(entries.map(({ entryId }) => storedText(entryId))),
    timeArray(entries.map(({ receivedAtMs }) => receivedAtMs)), textArray(entries.map(({ code }) => storedText(code))),
    textArray(entries.map((entry) => storedText(JSON.stringify(entry))))
  ]
  await writers.query(`INSERT INTO ${schema}.rejected_events (tenant_id, entry_id, received_at, code, entry)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING`, values)
}

/** Entries of the tenant, which is $1, by the rest of a query. */
const select = (store: Store, tenantId: string, rest: (table: string) => string, values: readonly unknown[]): Promise<readonly RejectedEvent[]> =>
  transact(store.writers, async (client) => {
    if (!store.seesAllTenants) await client.query("SELECT set_config($1, $2, true)", [TENANT_SETTING, storedText(tenantId)])
    const table = `${store.schema}.rejected_events`
    const { rows } = await client.query<{ entry: string }>(`SELECT entry FROM ${table} WHERE tenant_id = $1 ${rest(table)}`, [storedText(tenantId), ...values])
    return rows.map(({ entry }) => JSON.parse(originalText(entry)) as RejectedEvent)
  })

/** Walks down from the last one seen. Nothing comes after an unknown one. */
const page = (store: Store, tenantId: string, limit: number, after: string | undefined): Promise<readonly RejectedEvent[]> => {
  const behind = (table: string): string => (after === undefined ? "" : `AND (received_at, entry_id) < (SELECT received_at, entry_id FROM ${table} WHERE tenant_id = $1 AND entry_id = $3) `)
  return select(store, tenantId, (table) => `${behind(table)}ORDER BY received_at DESC, entry_id DESC LIMIT $2`, [Math.max(0, limit), ...(after === undefined ? [] : [storedText(after)])])
}

const find = async (store: Store, tenantId: string, entryId: string): Promise<RejectedEvent | undefined> =>
  (await select(store, tenantId, () => "AND entry_id = $2", [storedText(entryId)]))[0]

const attempt = <A>(action: () => Promise<A>): Effect.Effect<A, RejectedLogError> => Effect.tryPromise({ try: action, catch: (cause) => new RejectedLogError({ cause }) })

const makeRejectedLog = (store: Store): RejectedLogShape => ({
  put: (entries) => attempt(() => put(store, entries)),
  page: (tenantId, limit, after) => attempt(() => page(store, tenantId, limit, after)),
  find: (tenantId, entryId) => attempt(() => find(store, tenantId, entryId))
})

/** The rejected log in a namespace of a Postgres database, closed with the scope. */
export const rejectedLogPostgres = (options: PostgresOptions): Layer.Layer<RejectedLog, StoreOpenError> =>
  Layer.effect(RejectedLog, Effect.map(openStore(options), makeRejectedLog))
