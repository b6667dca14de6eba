import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { SCHEMA_VERSION } from "./migrations.ts"
import { readModelStorePostgres } from "./ReadModelStorePostgres.ts"
import { prepare, withStore } from "./specStore.ts"
import { startCluster } from "./testCluster.ts"
import { databaseUrl, dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

describe("opening the store on Postgres", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))
  const refusal = (url: string, of = namespace) =>
    Effect.runPromise(Effect.flip(Effect.scoped(Effect.provide(Effect.void, readModelStorePostgres({ url, namespace: of, connectTimeoutMs: 2_000 }))))).then((error) => error.reason)

  it("makes the schema once, however many processes start at the same time, and creates a generation once too", async () => {
    const names = await Promise.all(Array.from({ length: 6 }, () => withStore(namespace, (store) => Effect.andThen(prepare(store, "p", { lanes: 3 }), store.incarnation))))
    expect(new Set(names).size).toBe(1)
    await withClient(async (client) => {
      expect((await client.query(`SELECT version FROM "${namespace}".schema_migrations`)).rows).toEqual(Array.from({ length: SCHEMA_VERSION }, (_, at) => ({ version: at + 1 })))
      expect((await client.query(`SELECT lane, epoch FROM "${namespace}".lane_checkpoints ORDER BY lane`)).rows).toEqual([0, 1, 2].map((lane) => ({ lane, epoch: "6" })))
    })
  })

  it("refuses a schema of a newer version", async () => {
    await withStore(namespace, () => Effect.void)
    await withClient((client) => client.query(`INSERT INTO "${namespace}".schema_migrations (version) VALUES (99)`))
    expect(await refusal(databaseUrl())).toMatch(/version 99, of a newer Tidemark/)
  })

  it("refuses a server that answers commits before they are durable", async () => {
    const url = new URL(databaseUrl())
    url.searchParams.set("options", "-c synchronous_commit=off")
    expect(await refusal(url.toString())).toBe("Postgres has synchronous_commit = off: a committed window could be lost; set it to on.")
  })

  it("refuses a server whose disk may forget", async () => {
    const cluster = await startCluster(["fsync=off"])
    try {
      expect(await refusal(cluster.url)).toBe("Postgres has fsync = off: a committed window could be lost; set it to on.")
    } finally {
      cluster.dispose()
    }
  })

  it("says in one sentence that the server cannot be reached, or that the namespace is none", async () => {
    expect(await refusal("postgres://nobody@127.0.0.1:1/none")).toMatch(/^Postgres cannot be used: .*ECONNREFUSED/)
    expect(await refusal(databaseUrl(), "Robert'); DROP TABLE x")).toMatch(/is no namespace/)
  })

  it("names another history after what may lose commits", async () => {
    const before = await withStore(namespace, (store) => store.incarnation)
    await withClient((client) => client.query(`UPDATE "${namespace}".store SET incarnation = 'f00d'`))
    expect(await withStore(namespace, (store) => store.incarnation)).not.toBe(before)
  })
})
