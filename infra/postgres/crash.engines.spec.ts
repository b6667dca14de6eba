import type { LaneCheckpoint, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { commitOf, prepare, rowOf, withStore } from "./specStore.ts"
import { startCluster } from "./testCluster.ts"
import type { TestCluster } from "./testCluster.ts"

const CRASHES = 8
const LANE = { projection: "p", generation: 1, lane: 0 }
const rowsAt = (offset: bigint) => ["/", "/a", "/b"].map((page) => rowOf("acme", [page], Number(offset), { revision: offset }))

/** Commits one offset after the other until something fails; answers the last offset that was acknowledged, and the failure. */
const commitUntilFailure = (store: ReadModelStoreShape, checkpoint: LaneCheckpoint, onAcknowledged: (offset: bigint) => void) =>
  Effect.gen(function* () {
    let next = checkpoint.partitions[0]?.nextOffset ?? 0n
    for (;;) {
      const failure = yield* store.commit([commitOf("p", 0, checkpoint.epoch, next, next + 1n, { rows: rowsAt(next + 1n) })]).pipe(
        Effect.as(undefined), Effect.catch((error) => Effect.succeed(error._tag)))
      if (failure !== undefined) return { acknowledged: next, failure }
      next += 1n
      onAcknowledged(next)
    }
  })

/** Takes over as soon as the server is back. */
const takeOver = (store: ReadModelStoreShape) => Effect.retry(store.takeOver(LANE), { while: ({ _tag }) => _tag === "StoreUnavailableError" })

describe("Postgres stopped at once in the middle of commits", () => {
  let cluster: TestCluster
  beforeAll(async () => { cluster = await startCluster() })
  afterAll(() => cluster.dispose())

  it("keeps every acknowledged flush and no half of one, over and over", async () => {
    const seed = Date.now() % 1_000_000
    const failures: string[] = []
    await withStore("crash", (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      for (let crash = 0; crash < CRASHES; crash++) {
        const checkpoint = yield* takeOver(store)
        const from = checkpoint.partitions[0]?.nextOffset ?? 0n
        const stopAfter = from + BigInt(1 + (seed + crash * 37) % 60)
        let stopped: Promise<void> | undefined
        const { acknowledged, failure } = yield* commitUntilFailure(store, checkpoint, (offset) => {
          // The commits go on meanwhile.
          if (offset === stopAfter) stopped = cluster.stopImmediately()
        })
        failures.push(failure)
        yield* Effect.promise(async () => {
          await stopped
          cluster.start()
        })
        const next = (yield* takeOver(store)).partitions[0]?.nextOffset ?? 0n
        const rows = yield* store.readRows(LANE, rowsAt(0n))
        const where = `seed ${seed}, crash ${crash}`
        expect([acknowledged, acknowledged + 1n], where).toContain(next)
        expect(rows.map((row) => row?.revision), where).toEqual([next, next, next])
        if (failure === "StoreUnavailableError") expect(next, where).toBe(acknowledged)
      }
    }), { url: cluster.url })
    expect(failures).not.toContain("FencedError")
  })
})
