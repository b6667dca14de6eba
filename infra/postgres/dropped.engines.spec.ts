import type { ReadModelStoreShape, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { commitOf, prepare, rowOf, withStore } from "./specStore.ts"
import { dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const ID = { projection: "p", generation: 1 }
const ROW = rowOf("acme", ["/"], 3)

const scan = (snapshot: ReadSnapshot) =>
  Effect.gen(function* () {
    const found: bigint[] = []
    yield* snapshot.scan({ ...ID, tenantId: "acme", resolution: 0, fromMs: 0, toMs: 60_000 }, (rows) => void found.push(...rows.map(({ events }) => events)))
    return found
  })
/** Every question about the rows and ledgers of a generation, by name. */
const QUESTIONS: Readonly<Record<string, (snapshot: ReadSnapshot) => Effect.Effect<unknown, unknown>>> = {
  scan,
  partials: (snapshot) => Effect.map(snapshot.partials("p", 1, [ROW]), (found) => found.flat()),
  windows: (snapshot) => snapshot.windows({ ...ID, tenantId: "acme", resolution: 0, limit: 9 }),
  deadLetters: (snapshot) => snapshot.deadLetters({ ...ID, tenantId: "acme", limit: 9 }),
  duplicates: (snapshot) => snapshot.duplicatesIn({ ...ID, partition: 0, min: 0n, max: 9n }),
  keyCounts: (snapshot) => Effect.gen(function* () {
    const found: number[] = []
    yield* snapshot.keyCounts({ ...ID, lane: 0, tenantId: "acme" }, (counts) => void found.push(...counts.map(({ keys }) => keys)))
    return found
  })
}

describe("a generation that is dropped while it is read", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))

  const fill = (store: ReadModelStoreShape) => Effect.gen(function* () {
    yield* prepare(store, "p")
    yield* prepare(store, "p", { generation: 2 })
    const entries = { duplicates: [{ partition: 0, offset: 1n, tenantId: "acme" }], deadLetters: [{ partition: 0, offset: 0n, tenantId: "acme", code: "c", pointer: "" }], keyCounts: [{ tenantId: "acme", windowStartMs: 0, partition: 0, keys: 3 }] }
    for (const generation of [1, 2]) yield* store.commit([{ ...commitOf("p", 0, 1n, 0n, 3n, { rows: [ROW], ...entries }), lane: { projection: "p", generation, lane: 0 } }])
    yield* store.flip("p", 1, 0)
    yield* store.flip("p", 2, 1)
    yield* store.follow(ID, false)
  })

  it.each(Object.keys(QUESTIONS))("answers %s from a snapshot of before as it was, or not at all, and never that there is nothing", async (name) => {
    const question = QUESTIONS[name] ?? scan
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* fill(store)
      // The pointer of this snapshot may name it: whoever asks takes the answer for what is served.
      const untouched = yield* store.snapshot
      const begun = yield* store.snapshot
      const before = yield* question(begun)
      expect(before).toHaveLength(1)
      yield* store.dropGeneration(ID)
      expect(yield* question(begun)).toEqual(before)
      const after = yield* Effect.exit(question(untouched))
      if (after._tag === "Success") expect(after.value).toEqual(before)
      expect(yield* Effect.scoped(Effect.flatMap(store.snapshot, question))).toHaveLength(0)
    }))
  })

  it("is not answered as empty once its tables are gone", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* fill(store)
      const untouched = yield* store.snapshot
      yield* store.dropGeneration(ID)
      yield* Effect.promise(() => expect.poll(() => withClient(async (client) => (await client.query("SELECT to_regclass($1) AS found", [`${namespace}.p_g1`])).rows), { timeout: 30_000 }).toEqual([{ found: null }]))
      expect(yield* Effect.flip(scan(untouched))).toMatchObject({ _tag: "StoreUnavailableError", store: "postgres" })
      expect(yield* Effect.scoped(Effect.flatMap(store.snapshot, scan))).toEqual([])
    }), { keepUp: true })
  })

  it("leaves its tables to whoever starts next where the process ended that dropped it", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* fill(store)
      yield* Effect.promise(() => withClient(async (reader) => {
        await reader.query(`BEGIN; SELECT FROM "${namespace}".p_g1`)
        await Effect.runPromise(store.dropGeneration(ID))
        expect((await reader.query(`SELECT events::int FROM "${namespace}".p_g1`)).rows).toEqual([{ events: 3 }])
      }))
    }))
    await withStore(namespace, () => Effect.promise(() => expect.poll(() => withClient(async (client) => (await client.query("SELECT to_regclass($1) AS found", [`${namespace}.p_g1_late`])).rows), { timeout: 30_000 }).toEqual([{ found: null }])), { keepUp: true })
  })
})
