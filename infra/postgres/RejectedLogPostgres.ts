/** The rejected log on Postgres. Entry ids are told apart within a tenant, so that no tenant can hide an entry of another. */
import { REJECTED_LIMITS } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedLimits } from "@tidemark/domain/ports/rejectedLimits"
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

export interface RejectedLogOptions extends PostgresOptions {
  /** `REJECTED_LIMITS` when absent. */
  readonly limits?: RejectedLimits
}

/** JSON escapes what the event was refused for (NUL, lone surrogates), so the entry is kept exactly as it was. */
const put = async ({ schema, writers }: Store, entries: readonly RejectedEvent[], texts: readonly string[]): Promise<void> => {
  if (entries.length === 0) return
  const values = [
    textArray(entries.map(({ tenantId }) => storedText(tenantId))), textArray(entries.map(({ entryId }) => storedText(entryId))),
    timeArray(entries.map(({ receivedAtMs }) => receivedAtMs)), textArray(entries.map(({ code }) => storedText(code))),
    textArray(texts)
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

/** A tenant keeps this share of its limit whenever it is looked at: the rest is room until it is looked at again. */
const KEPT_SHARE = 0.9

/** Keeps the newest entries of a tenant that fit into so many bytes. */
const dropBeyond = async ({ schema, writers }: Store, tenantId: string, bytes: number): Promise<void> => {
  const table = `${schema}.rejected_events`
  await writers.query(`DELETE FROM ${table} entry USING (
  SELECT entry_id, sum(octet_length(entry)) OVER (ORDER BY received_at DESC, entry_id DESC) AS bytes FROM ${table} WHERE tenant_id = $1
) known WHERE entry.tenant_id = $1 AND entry.entry_id = known.entry_id AND known.bytes > $2`, [storedText(tenantId), Math.floor(bytes)])
}

/** Entries that one statement drops at most when they are too old. */
const PRUNED_MAX = 10_000

const prune = async ({ schema, writers }: Store, beforeMs: number): Promise<number> => {
  const table = `${schema}.rejected_events`
  let pruned = 0
  for (;;) {
    const { rowCount } = await writers.query(`DELETE FROM ${table} WHERE (tenant_id, entry_id) IN (
  SELECT tenant_id, entry_id FROM ${table} WHERE received_at < ($1::timestamptz[])[1] LIMIT ${PRUNED_MAX})`, [timeArray([beforeMs])])
    pruned += rowCount ?? 0
    if ((rowCount ?? 0) < PRUNED_MAX) return pruned
  }
}

/**
 * Looks at what a tenant has whenever this process has put a tenth of the limit, and at its first put: to count it every
 * time would read all entries.
 */
class KeptBytes {
  private readonly store: Store
  private readonly bytesMax: number
  /** Put by this process since the entries of a tenant were looked at. */
  private readonly unseen = new Map<string, number>()

  constructor(store: Store, { bytesMax }: RejectedLimits) {
    this.store = store
    this.bytesMax = bytesMax
  }

  /** After a put. What cannot be dropped now is dropped after the next one: the put is durable. */
  added(entries: readonly RejectedEvent[], texts: readonly string[]): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (const [at, { tenantId }] of entries.entries()) this.unseen.set(tenantId, (this.unseen.get(tenantId) ?? Infinity) + Buffer.byteLength(texts[at] ?? ""))
      for (const [tenantId, bytes] of this.unseen) {
        if (bytes < this.bytesMax * (1 - KEPT_SHARE)) continue
        const drop = Effect.andThen(attempt(() => dropBeyond(this.store, tenantId, this.bytesMax * KEPT_SHARE)), Effect.sync(() => void this.unseen.set(tenantId, 0)))
        yield* Effect.catch(drop, ({ cause }) => Effect.logWarning("rejected events beyond their limit were not dropped", cause))
      }
    })
  }
}

const makeRejectedLog = (store: Store, limits: RejectedLimits): RejectedLogShape => {
  const kept = new KeptBytes(store, limits)
  return {
    put: (entries) => Effect.suspend(() => {
      const texts = entries.map((entry) => storedText(JSON.stringify(entry)))
      return Effect.andThen(attempt(() => put(store, entries, texts)), kept.added(entries, texts))
    }),
    page: (tenantId, limit, after) => attempt(() => page(store, tenantId, limit, after)),
    find: (tenantId, entryId) => attempt(() => find(store, tenantId, entryId)),
    prune: (nowMs) => attempt(() => prune(store, nowMs - limits.keepMs))
  }
}

/** The rejected log in a namespace of a Postgres database, closed with the scope. */
export const rejectedLogPostgres = (options: RejectedLogOptions): Layer.Layer<RejectedLog, StoreOpenError> =>
  Layer.effect(RejectedLog, Effect.map(openStore(options), (store) => makeRejectedLog(store, options.limits ?? REJECTED_LIMITS)))
