import { rejectedLogPostgres } from "./RejectedLogPostgres.ts"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { commitOf, prepare, rowOf, withStore } from "./specStore.ts"
import { databaseUrl, dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const namespace = freshNamespace()
const PASSWORD = "spec"
const userUrl = (user: string): string => {
  const url = new URL(databaseUrl())
  url.username = user
  url.password = PASSWORD
  return url.toString()
}
const [serving, bi, owner] = [`${namespace}_api`, `${namespace}_tool`, `${namespace}_owner`]

const asUser = (user: string, text: string): Promise<Record<string, unknown>[]> =>
  withClient(async (client) => {
    const results: unknown = await client.query(text.replaceAll("@", `"${namespace}".`))
    return ((Array.isArray(results) ? results.at(-1) : results) as { rows: Record<string, unknown>[] }).rows
  }, userUrl(user))

const scan = (snapshot: ReadSnapshot, tenantId: string) =>
  Effect.gen(function* () {
    const rows: StoredRow[] = []
    yield* snapshot.scan({ projection: "p", generation: 1, tenantId, resolution: 0, fromMs: -1e9, toMs: 1e9 }, (chunk) => rows.push(...chunk))
    return rows.map((row) => row.tenantId)
  })

describe("tenants apart on Postgres", () => {
  beforeAll(async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      const late = { partition: 0, offset: 1n, tenantId: "acme", eventId: "e", eventType: "x", eventTimeMs: 1, windowStartMs: 0, key: ["/"], lateByMs: 7, outcome: "held" as const, contribution: {} }
      yield* store.commit([commitOf("p", 0, 1n, 0n, 9n, { rows: [rowOf("acme", ["/"], 1), rowOf("other", ["/"], 2), rowOf("", ["/"], 3)], late: [late, { ...late, offset: 2n, tenantId: "other" }] })])
      yield* store.flip("p", 1, 0)
    }))
    await withClient(async (client) => {
      for (const [user, role] of [[serving, `${namespace}_serving`], [bi, `${namespace}_bi`]]) await client.query(`CREATE ROLE "${user}" LOGIN PASSWORD '${PASSWORD}' IN ROLE "${role}"`)
    })
  })
  afterAll(async () => {
    await dropNamespace(namespace)
    await withClient(async (client) => {
      await client.query(`DROP ROLE "${serving}"; DROP ROLE "${bi}"`)
    })
  })

  it("shows a BI tool the rows of the tenant it names and of no other, and none when it names none or nothing", async () => {
    const rows = "SELECT tenant_id, views::int FROM @rm_p"
    expect(await asUser(bi, rows)).toEqual([])
    expect(await asUser(bi, `SET tidemark.tenant = ''; ${rows}`)).toEqual([])
    expect(await asUser(bi, `SET tidemark.tenant = 'acme'; ${rows}`)).toEqual([{ tenant_id: "acme", views: 1 }])
    expect(await asUser(bi, `SET tidemark.tenant = 'acme'; ${rows} WHERE tenant_id = 'other'`)).toEqual([])
    // As in a pool: the next transaction of the same session starts without a tenant.
    expect(await asUser(bi, `BEGIN; SET LOCAL tidemark.tenant = 'acme'; ${rows}; COMMIT; ${rows}`)).toEqual([])
    expect(await asUser(bi, `SET tidemark.tenant = 'acme'; SELECT tenant_id FROM @p_g1`)).toEqual([{ tenant_id: "acme" }])
  })

  it("lets a BI tool read nothing but the active generation", async () => {
    for (const table of ["p_g2", "p_g1_late", "lane_checkpoints", "outbox", "rejected_events", "generations"]) {
      await expect(asUser(bi, `SELECT * FROM @${table}`), table).rejects.toThrow(/permission denied/)
    }
    await expect(asUser(bi, "UPDATE @p_g1 SET views = 0")).rejects.toThrow(/permission denied/)
    await expect(asUser(bi, `SET ROLE "${namespace}_serving"`)).rejects.toThrow(/permission denied/)
  })

  it("answers queries with the serving role one tenant at a time, however its requests overlap, and writes nothing", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      const snapshot = yield* store.snapshot
      const tenants = ["acme", "other", "acme", "nobody", "other"]
      expect(yield* Effect.all(tenants.map((tenant) => scan(snapshot, tenant)), { concurrency: "unbounded" })).toEqual([["acme"], ["other"], ["acme"], [], ["other"]])
      const keys = [rowOf("other", ["/"], 1), rowOf("acme", ["/"], 1), rowOf("nobody", ["/"], 1)]
      expect((yield* snapshot.partials("p", 1, keys)).map((rows) => rows.map(({ tenantId }) => tenantId))).toEqual([["other"], ["acme"], []])
      expect(yield* snapshot.late({ projection: "p", generation: 1, tenantId: "other", limit: 9 })).toMatchObject([{ offset: 2n }])
      expect(yield* Effect.flip(snapshot.lateIn({ projection: "p", generation: 1, partition: 0, min: 0n, max: 9n }))).toMatchObject({ _tag: "StoreUnavailableError" })
      expect(yield* Effect.flip(store.commit([commitOf("p", 0, 1n, 9n, 10n)]))).toMatchObject({ _tag: "StoreUnavailableError", cause: { code: "42501" } })
    }), { url: userUrl(serving) })
  })

  it("pages a tenant's rejected events with the serving role", async () => {
    const entry = { entryId: "e", receivedAtMs: 1, eventId: null, eventType: null, code: "C", pointer: "", detail: "", origin: null, body: "" }
    const run = <A>(url: string, use: (log: RejectedLog["Service"]) => Effect.Effect<A, unknown>) =>
      Effect.runPromise(Effect.gen(function* () { return yield* use(yield* RejectedLog) }).pipe(Effect.provide(rejectedLogPostgres({ url, namespace }))))
    await run(databaseUrl(), (log) => log.put([{ ...entry, tenantId: "acme" }, { ...entry, tenantId: "other" }]))
    expect(await run(userUrl(serving), (log) => log.page("other", 9))).toEqual([{ ...entry, tenantId: "other" }])
  })

  it("guards every table that has a tenant, and every view asks with its reader's rights", async () => {
    await withClient(async (client) => {
      const { rows } = await client.query<{ name: string; guarded: boolean; policies: number }>(
        `SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS guarded, (SELECT count(*)::int FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')`, [namespace])
      expect(rows.length).toBeGreaterThan(10)
      expect(rows.filter(({ guarded, policies }) => !guarded || policies !== 2)).toEqual([])
      const views = await client.query("SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'v' AND NOT coalesce(reloptions @> '{security_invoker=true}', false)", [namespace])
      expect(views.rows).toEqual([])
    })
  })

  it("works for an owner without any special right, who sees all tenants", async () => {
    const other = freshNamespace()
    await withClient((client) => client.query(`CREATE ROLE "${owner}" LOGIN PASSWORD '${PASSWORD}'; CREATE SCHEMA "${other}" AUTHORIZATION "${owner}"`))
    try {
      await withStore(other, (store) => Effect.gen(function* () {
        yield* prepare(store, "p")
        yield* store.commit([commitOf("p", 0, 1n, 0n, 9n, { rows: [rowOf("acme", ["/"], 1), rowOf("other", ["/"], 2)] })])
        yield* store.flip("p", 1, 0)
        const snapshot = yield* store.snapshot
        expect([yield* scan(snapshot, "acme"), yield* scan(snapshot, "other")]).toEqual([["acme"], ["other"]])
        expect(yield* snapshot.lateIn({ projection: "p", generation: 1, partition: 0, min: 0n, max: 9n })).toEqual([])
        expect(yield* store.incarnation).toMatch(/^[a-z0-9]{8,32}$/)
      }), { url: userUrl(owner) })
    } finally {
      await dropNamespace(other)
      await withClient((client) => client.query(`DROP ROLE "${owner}"`))
    }
  })
})
