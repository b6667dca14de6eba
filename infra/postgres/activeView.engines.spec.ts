import { DecimalSum } from "@tidemark/domain/measures/decimal-sum"
import { Count } from "@tidemark/domain/measures/count"
import { Quantiles } from "@tidemark/domain/measures/quantiles"
import { Uniques } from "@tidemark/domain/measures/uniques"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import type { StaleView } from "@tidemark/domain/ports/staleView"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { commitOf, definitionText, prepare, rowOf, withStore } from "./specStore.ts"
import { dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const PAGE_VIEWS = definitionText("page-views", {
  measures: { views: { kind: "count" }, visitors: { kind: "uniques", of: "event.subject" }, duration: { kind: "quantiles", of: "event.data.ms", scale: 3 } }
})

const visitors = (...hashes: readonly number[]): Uniques => {
  const uniques = new Uniques()
  for (const hash of hashes) uniques.addHash(hash, hash)
  return uniques
}
const durations = (...values: readonly number[]): Quantiles => {
  const quantiles = new Quantiles(3)
  for (const value of values) quantiles.add(value)
  return quantiles
}
const count = (n: number): Count => {
  const views = new Count()
  views.add(n)
  return views
}
const measures = (views: number, unique: Uniques, duration: Quantiles) => [duration.encode(), count(views).encode(), unique.encode()]

const pointerOf = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointer("p")))
const staleOf = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.staleViews))
/** Ends once these are the views that do not show what the pointer names. */
const stale = (store: ReadModelStoreShape, wanted: readonly StaleView[]) =>
  Effect.promise(() => expect.poll(() => Effect.runPromise(staleOf(store)), { timeout: 30_000 }).toEqual(wanted))
const KEPT = { keepUp: true }

describe("the view on the active generation", () => {
  let namespace: string
  const query = <R extends object>(text: string): Promise<R[]> => withClient(async (client) => (await client.query<R>(text.replaceAll("@", `"${namespace}".`))).rows)
  const tables = async () => (await query<{ name: string }>(`SELECT relname AS name FROM pg_class WHERE relnamespace = '"${namespace}"'::regnamespace AND relkind = 'r' AND relname ~ '^p_g[0-9]+$' ORDER BY 1`)).map(({ name }) => name)
  const columnsOf = async (view: string) =>
    (await query<{ name: string }>(`SELECT column_name AS name FROM information_schema.columns WHERE table_schema = '${namespace}' AND table_name = '${view}'`)).map(({ name }) => name)
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))

  it("shows one row per window and key whatever the number of lanes, with figures that add up and estimates of what does not", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "page-views", { lanes: 2, definition: PAGE_VIEWS })
      const home = (views: number, unique: Uniques, duration: Quantiles, startMs = 0) => rowOf("acme", ["/"], views, { measures: measures(views, unique, duration), windowStartMs: startMs })
      yield* store.commit([
        commitOf("page-views", 0, 1n, 0n, 9n, { rows: [home(2, visitors(1, 2), durations(10, 0.5)), home(1, visitors(7), durations(), -60_000), rowOf("acme", ["/a"], 5, { measures: measures(5, visitors(), durations(2)) })] }),
        commitOf("page-views", 1, 1n, 0n, 9n, { rows: [home(3, visitors(2, 3, 4), durations(100.25))] })
      ])
      yield* store.flip("page-views", 1, 0)
    }))
    const rows = await query(`SELECT page, extract(epoch from window_start)::int AS start, views::int, visitors::int, duration_count::int, duration_sum::text, duration_min::text,
      duration_max::text, duration_p95, events::int FROM @rm_page_views WHERE tenant_id = 'acme' AND resolution = 0 ORDER BY start, page`)
    const all = durations(10, 0.5, 100.25)
    expect(rows).toEqual([
      { page: "/", start: -60, views: 1, visitors: 1, duration_count: 0, duration_sum: "0", duration_min: null, duration_max: null, duration_p95: null, events: 1 },
      { page: "/", start: 0, views: 5, visitors: 4, duration_count: 3, duration_sum: "110.75", duration_min: "0.5", duration_max: "100.25", duration_p95: all.quantile(0.95)?.value, events: 5 },
      { page: "/a", start: 0, views: 5, visitors: 0, duration_count: 1, duration_sum: "2", duration_min: "2", duration_max: "2", duration_p95: 2, events: 5 }
    ])
    const [total] = await query(`SELECT sum(views)::int AS views, @uniques(array_agg(visitors_state))::int AS visitors, @quantile(array_agg(duration_state), 0.5, 3) AS median FROM @rm_page_views`)
    expect(total).toEqual({ views: 11, visitors: 5, median: durations(10, 0.5, 100.25, 2).quantile(0.5)?.value })
  })

  it("moves with the pointer to a generation of other measures, and stays when the pointer does", async () => {
    const amount = new DecimalSum()
    amount.addScaled(-1_234_567n)
    const revenue = definitionText("p", { version: 2, key: {}, measures: { amount: { kind: "sum", of: "event.data.amount" } } })
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2, definition: revenue })
      const second = commitOf("p", 0, 1n, 0n, 1n, { rows: [{ ...rowOf("acme", [], 1), measures: [amount.encode()] }] })
      yield* store.commit([{ ...second, lane: { projection: "p", generation: 2, lane: 0 } }])
      yield* store.flip("p", 1, 0)
      expect(yield* Effect.flip(store.flip("p", 2, 0))).toMatchObject({ _tag: "PointerConflictError", pointerVersion: 1 })
      yield* Effect.promise(async () => expect(await query("SELECT page, views FROM @rm_p")).toEqual([]))
      yield* store.flip("p", 2, 1)
    }))
    expect(await query("SELECT tenant_id, amount::text FROM @rm_p")).toEqual([{ tenant_id: "acme", amount: "-1.234567" }])
  })

  it("gives names that collide or are too long columns of their own", async () => {
    const long = "m".repeat(64)
    const definition = definitionText("names", {
      key: { events: "event.id", select: "event.id", Page: "event.id", page: "event.id", ctid: "event.id" },
      measures: { lane: { kind: "count" }, d: { kind: "quantiles", of: "event.data.d" }, d_count: { kind: "count" }, d_p50: { kind: "count" }, page: { kind: "count" }, [long]: { kind: "count" }, [`${long.slice(1)}n`]: { kind: "count" } }
    })
    const key = ["a", "b", "c", "d", "e"]
    const row = rowOf("acme", key, 1, { measures: [durationsOfSix(), ...[2, 3, 4, 5, 6, 7].map((n) => count(n).encode())] })
    const read = await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "names", { definition })
      yield* store.commit([commitOf("names", 0, 1n, 0n, 1n, { rows: [row] })])
      yield* store.flip("names", 1, 0)
      return yield* store.readRows({ projection: "names", generation: 1, lane: 0 }, [row])
    }))
    expect(read).toEqual([row])
    const [found] = await query<Record<string, unknown>>(`SELECT * FROM @rm_names`)
    expect(found).toMatchObject({ Page: "a", ctid_2: "b", events: "1", events_2: "c", page: "d", select: "e", d_count: "1", d_count_2: "2", d_p50: "3" })
  })

  it("keeps what others built on the view while its columns stay; when they change the pointer moves, and the view once nothing is built on it", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      yield* prepare(store, "p", { generation: 3, definition: definitionText("p", { key: {} }) })
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => query(`CREATE VIEW @mine AS SELECT sum(views) AS views FROM @rm_p`))
      const second = commitOf("p", 0, 1n, 0n, 1n, { rows: [rowOf("acme", ["/"], 4)] })
      yield* store.commit([{ ...second, lane: { projection: "p", generation: 2, lane: 0 } }])
      yield* store.commit([{ ...commitOf("p", 0, 1n, 0n, 1n), lane: { projection: "p", generation: 3, lane: 0 } }])
      yield* store.flip("p", 2, 1)
      yield* Effect.promise(() => query(`CREATE FUNCTION @ours(@rm_p) RETURNS int LANGUAGE sql RETURN 1`))
      expect(yield* store.flip("p", 3, 2)).toMatchObject({ generation: 3, pointerVersion: 3 })
      const reason = `function ${namespace}.ours(${namespace}.rm_p) and view ${namespace}.mine are built on its columns, which change`
      yield* stale(store, [{ projection: "p", view: `${namespace}.rm_p`, generation: 2, reason }])
      yield* Effect.promise(async () => expect(await query("SELECT views::int FROM @mine")).toEqual([{ views: 4 }]))
      yield* Effect.promise(() => query(`DROP FUNCTION @ours(@rm_p); DROP VIEW @mine`))
      yield* stale(store, [])
    }), KEPT)
    expect(await columnsOf("rm_p")).not.toContain("page")
  })

  it("follows the pointer, which waits for nobody, once a session that holds it has ended; until then it is said who that is, and its generation can be dropped and is read nevertheless", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      for (const generation of [1, 2]) yield* store.commit([{ ...commitOf("p", 0, 1n, 0n, 1n, { rows: [rowOf("acme", ["/"], generation)] }), lane: { projection: "p", generation, lane: 0 } }])
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => withClient(async (reader) => {
        await reader.query(`BEGIN; SELECT * FROM "${namespace}".rm_p`)
        await reader.query("SET application_name = 'charts'")
        const { rows: [session] } = await reader.query<{ pid: number; usename: string }>("SELECT pid, usename FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        for (const [generation, version] of [[2, 1], [1, 2], [2, 3]] as const) {
          const startMs = performance.now()
          expect(await Effect.runPromise(store.flip("p", generation, version))).toMatchObject({ generation, pointerVersion: version + 1 })
          expect(performance.now() - startMs, `move ${version}`).toBeLessThan(1_000)
        }
        await Effect.runPromise(stale(store, [{ projection: "p", view: `${namespace}.rm_p`, generation: 1, reason: `session ${session?.pid} (${session?.usename}, charts) holds it` }]))
        await Effect.runPromise(Effect.andThen(store.follow({ projection: "p", generation: 1 }, false), store.dropGeneration({ projection: "p", generation: 1 })))
        expect((await reader.query(`SELECT views::int FROM "${namespace}".rm_p; COMMIT`) as unknown as { rows: unknown[] }[])[0]?.rows).toEqual([{ views: 1 }])
      }))
      yield* stale(store, [])
      expect(yield* pointerOf(store)).toMatchObject({ generation: 2, pointerVersion: 4 })
      yield* Effect.promise(() => expect.poll(tables, { timeout: 30_000 }).toEqual(["p_g2"]))
    }), KEPT)
    expect(await query("SELECT views::int FROM @rm_p")).toEqual([{ views: 2 }])
  })

  it("is put right at the next start where the process ended that moved the pointer, and made anew where it is gone", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => withClient(async (reader) => {
        await reader.query(`BEGIN; SELECT * FROM "${namespace}".rm_p`)
        await Effect.runPromise(store.flip("p", 2, 1))
      }))
      expect(yield* staleOf(store)).toEqual([{ projection: "p", view: `${namespace}.rm_p`, generation: 1, reason: "it has not been tried again yet" }])
    }))
    await withStore(namespace, (store) => stale(store, []), KEPT)
    await query("DROP VIEW @rm_p")
    await withStore(namespace, () => Effect.promise(() => expect.poll(() => columnsOf("rm_p"), { timeout: 30_000 }).toContain("page")), KEPT)
  })
})

const durationsOfSix = (): Uint8Array => {
  const quantiles = new Quantiles(6)
  quantiles.add(1.5)
  return quantiles.encode()
}
