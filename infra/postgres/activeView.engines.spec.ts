import { DecimalSum } from "@tidemark/domain/measures/decimal-sum"
import { Count } from "@tidemark/domain/measures/count"
import { Quantiles } from "@tidemark/domain/measures/quantiles"
import { Uniques } from "@tidemark/domain/measures/uniques"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
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

describe("the view on the active generation", () => {
  let namespace: string
  const query = <R extends object>(text: string): Promise<R[]> => withClient(async (client) => (await client.query<R>(text.replaceAll("@", `"${namespace}".`))).rows)
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

  it("keeps what others built on the view while its columns stay, and refuses to break it when they change", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      yield* prepare(store, "p", { generation: 3, definition: definitionText("p", { key: {} }) })
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => query(`CREATE VIEW @mine AS SELECT sum(views) AS views FROM @rm_p`))
      const second = commitOf("p", 0, 1n, 0n, 1n, { rows: [rowOf("acme", ["/"], 4)] })
      yield* store.commit([{ ...second, lane: { projection: "p", generation: 2, lane: 0 } }])
      yield* store.commit([{ ...commitOf("p", 0, 1n, 0n, 1n), lane: { projection: "p", generation: 3, lane: 0 } }])
      const moved = yield* store.flip("p", 2, 1)
      yield* Effect.promise(() => query(`CREATE FUNCTION @ours(@rm_p) RETURNS int LANGUAGE sql RETURN 1`))
      const error = yield* Effect.flip(store.flip("p", 3, 2))
      expect(error).toMatchObject({ _tag: "ViewInUseError", projection: "p", view: `${namespace}.rm_p`, by: "dependants" })
      expect(error).toHaveProperty("holders", [`function ${namespace}.ours(${namespace}.rm_p)`, `view ${namespace}.mine`])
      expect(yield* pointerOf(store)).toEqual(moved)
    }))
    expect(await query("SELECT views::int FROM @mine")).toEqual([{ views: 4 }])
  })

  it("refuses the move after some seconds while a session holds the old view, idle or not, and names it; then nothing has moved", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => withClient(async (reader) => {
        await reader.query(`BEGIN; SELECT * FROM "${namespace}".rm_p`)
        await reader.query("SET application_name = 'charts'")
        const { rows: [session] } = await reader.query<{ pid: number; usename: string }>("SELECT pid, usename FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        const error = await Effect.runPromise(Effect.flip(store.flip("p", 2, 1)))
        expect(error).toMatchObject({ _tag: "ViewInUseError", view: `${namespace}.rm_p`, by: "readers", holders: [`session ${session?.pid} (${session?.usename}, charts)`] })
      }))
      expect(yield* pointerOf(store)).toEqual({ projection: "p", generation: 1, pointerVersion: 1 })
      expect(yield* store.flip("p", 2, 1)).toMatchObject({ pointerVersion: 2 })
    }))
  })

  it("moves once a session that held the old view has ended its transaction", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* prepare(store, "p", { generation: 2 })
      yield* store.flip("p", 1, 0)
      yield* Effect.promise(() => withClient(async (reader) => {
        await reader.query(`BEGIN; SELECT * FROM "${namespace}".rm_p`)
        const moved = Effect.runPromise(store.flip("p", 2, 1))
        // The second transaction that waits for the view is the second try: the first one has given up.
        const waiting = `SELECT min(a.xact_start)::text AS since FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND l.relation = '"${namespace}".rm_p'::regclass`
        const seen = new Set<string>()
        while (seen.size < 2) for (const { since } of await query<{ since: string | null }>(waiting)) if (since !== null) seen.add(since)
        await reader.query("COMMIT")
        expect(await moved).toMatchObject({ generation: 2, pointerVersion: 2 })
      }))
    }))
  })
})

const durationsOfSix = (): Uint8Array => {
  const quantiles = new Quantiles(6)
  quantiles.add(1.5)
  return quantiles.encode()
}
