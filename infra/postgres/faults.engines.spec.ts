import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { openProxy } from "./faultProxy.ts"
import type { FaultProxy } from "./faultProxy.ts"
import { commitOf, prepare, rowOf, withStore } from "./specStore.ts"
import { databaseUrl, dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const LANE = { projection: "p", generation: 1, lane: 0 }
const row = rowOf("acme", ["/"], 1)

/** What a lane holds: its next offset and the revision of the row. */
const state = (store: ReadModelStoreShape) =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const [checkpoint] = yield* snapshot.checkpoints("p", 1)
    const [[found] = []] = yield* snapshot.partials("p", 1, [row])
    return { next: checkpoint?.partitions[0]?.nextOffset, revision: found?.revision }
  }))

describe("Postgres that fails in the middle", () => {
  let namespace: string
  let proxy: FaultProxy
  beforeEach(async () => {
    namespace = freshNamespace()
    proxy = await openProxy(databaseUrl())
  })
  afterEach(async () => {
    await proxy.close()
    await dropNamespace(namespace)
  })

  it("does not know the outcome when the reply to COMMIT is lost; after a take-over the flush has counted exactly once", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      proxy.cutAt("COMMIT", "after")
      const flush = commitOf("p", 0, 1n, 0n, 5n, { rows: [row], hints: [{ tenantId: "acme", resolution: 0, windowStartMs: 0, keyId: row.keyId, revision: 1n }] })
      expect(yield* Effect.flip(store.commit([flush]))).toMatchObject({ _tag: "CommitUnknownError", store: "postgres" })
      expect(proxy.cuts()).toBe(1)
      const checkpoint = yield* store.takeOver(LANE)
      expect(checkpoint.partitions[0]?.nextOffset).toBe(5n)
      expect(yield* Effect.flip(store.commit([flush]))).toMatchObject({ _tag: "FencedError" })
      expect(yield* state(store)).toEqual({ next: 5n, revision: 1n })
      yield* store.commit([commitOf("p", 0, checkpoint.epoch, 5n, 6n)])
    }), { url: proxy.url })
  })

  it("does not know the outcome either when COMMIT itself is lost; after a take-over the flush has not counted, and counts once when made again", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      proxy.cutAt("COMMIT", "before")
      expect(yield* Effect.flip(store.commit([commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })]))).toMatchObject({ _tag: "CommitUnknownError" })
      const checkpoint = yield* store.takeOver(LANE)
      expect(checkpoint.partitions[0]?.nextOffset).toBe(0n)
      yield* store.commit([commitOf("p", 0, checkpoint.epoch, 0n, 5n, { rows: [row] })])
      expect(yield* state(store)).toEqual({ next: 5n, revision: 1n })
    }), { url: proxy.url })
  })

  it("knows that nothing was changed when the connection breaks before COMMIT was sent", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      proxy.cutAt("INSERT INTO", "after")
      const flush = commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })
      expect(yield* Effect.flip(store.commit([flush]))).toMatchObject({ _tag: "StoreUnavailableError" })
      expect(proxy.cuts()).toBe(1)
      yield* store.commit([flush])
      expect(yield* state(store)).toEqual({ next: 5n, revision: 1n })
    }), { url: proxy.url })
  })

  it("reads the pointer back when the reply to its move is lost", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      proxy.cutAt("COMMIT", "after")
      expect(yield* store.flip("p", 1, 0)).toEqual({ projection: "p", generation: 1, pointerVersion: 1 })
      proxy.cutAt("COMMIT", "before")
      expect(yield* Effect.flip(store.flip("p", 1, 1))).toMatchObject({ _tag: "StoreUnavailableError" })
      expect(yield* store.flip("p", 1, 1)).toMatchObject({ pointerVersion: 2 })
    }), { url: proxy.url })
  })

  it("counts a deadlock as refused: the victim changed nothing and counts once when made again", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p", { lanes: 2 })
      const flush = [commitOf("p", 0, 1n, 0n, 5n, { rows: [row] }), commitOf("p", 1, 1n, 0n, 5n)]
      yield* Effect.promise(() => withClient(async (other) => {
        const lock = (lane: number) => other.query(`SELECT FROM "${namespace}".lane_checkpoints WHERE lane = ${lane} FOR UPDATE`)
        // Never the victim: its own patience is longer than the flush's.
        await other.query("SET deadlock_timeout = '60s'; BEGIN")
        await lock(1)
        const flushed = Effect.runPromise(Effect.flip(store.commit(flush)))
        await waitUntilBlocked(other)
        await lock(0)
        expect(await flushed).toMatchObject({ _tag: "StoreUnavailableError", cause: { code: "40P01" } })
        await other.query("ROLLBACK")
      }))
      yield* store.commit(flush)
      expect(yield* state(store)).toEqual({ next: 5n, revision: 1n })
    }))
  })

  it("counts a failure at COMMIT (40001) as refused", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* Effect.promise(() => withClient((client) => client.query(`
CREATE FUNCTION "${namespace}".fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'forced' USING ERRCODE = '40001'; END $$;
CREATE CONSTRAINT TRIGGER forced AFTER INSERT ON "${namespace}".p_g1 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "${namespace}".fail()`)))
      const flush = commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })
      expect(yield* Effect.flip(store.commit([flush]))).toMatchObject({ _tag: "StoreUnavailableError", cause: { code: "40001" } })
      expect(yield* state(store)).toEqual({ next: 0n, revision: undefined })
      yield* Effect.promise(() => withClient((client) => client.query(`DROP TRIGGER forced ON "${namespace}".p_g1`)))
      yield* store.commit([flush])
    }))
  })

  it("makes a zombie's flush wait for the take-over that runs, and then fences it", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* Effect.promise(() => withClient(async (other) => {
        await other.query(`BEGIN; UPDATE "${namespace}".lane_checkpoints SET epoch = epoch + 1`)
        const flushed = Effect.runPromise(Effect.flip(store.commit([commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })])))
        await waitUntilBlocked(other)
        await other.query("COMMIT")
        expect(await flushed).toMatchObject({ _tag: "FencedError", lane: 0, epoch: 1n })
      }))
      expect(yield* state(store)).toEqual({ next: 0n, revision: undefined })
    }))
  })

  it("holds others up for a limited time when a process freezes in the middle of a flush; thawed, it has changed nothing", async () => {
    const hints = [{ tenantId: "acme", resolution: 0 as const, windowStartMs: 0, keyId: row.keyId, revision: 1n }]
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p", { lanes: 2 })
      const isFrozen = proxy.freezeAfter("outbox (sequence")
      const frozen = Effect.runPromise(Effect.flip(store.commit([commitOf("p", 0, 1n, 0n, 5n, { rows: [row], hints })])))
      yield* Effect.promise(() => isFrozen)
      // It holds its lane and the outbox now; both are free again once the server has ended its session.
      yield* Effect.promise(() => withStore(namespace, (other) => Effect.gen(function* () {
        yield* other.commit([commitOf("p", 1, 1n, 0n, 7n, { hints })])
        expect((yield* other.takeOver(LANE)).partitions[0]?.nextOffset).toBe(0n)
      })))
      proxy.thaw()
      expect(yield* Effect.promise(() => frozen)).toMatchObject({ _tag: "CommitUnknownError" })
      expect(yield* Effect.flip(store.commit([commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })]))).toMatchObject({ _tag: "FencedError" })
      expect(yield* state(store)).toEqual({ next: 0n, revision: undefined })
    }), { url: proxy.url, writerIdleMs: 500 })
  })

  it("answers in time when every connection is taken, keeps flushes apart from readers, and goes on when one is free", async () => {
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      const held = yield* Scope.make()
      yield* Scope.provide(store.snapshot, held)
      expect(yield* Effect.flip(store.snapshot)).toMatchObject({ _tag: "StoreUnavailableError" })
      yield* store.commit([commitOf("p", 0, 1n, 0n, 5n, { rows: [row] })])
      yield* Scope.close(held, Exit.void)
      expect(yield* state(store)).toEqual({ next: 5n, revision: 1n })
    }), { snapshotsMax: 1, writersMax: 1, connectTimeoutMs: 200 })
  })
})

/** Returns once another session waits for a lock that this one holds. */
const waitUntilBlocked = async (client: { readonly query: (text: string) => Promise<{ readonly rowCount: number | null }> }): Promise<void> => {
  while ((await client.query("SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")).rowCount === 0);
}
