/** The outbox of a read-model store: part of `ReadModelStore.contract.ts`. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { expect, it } from "vitest"
import type { LaneCommit, ReadModelStoreShape } from "./ReadModelStore.ts"

type Run = <A>(use: (store: ReadModelStoreShape) => Effect.Effect<A, unknown>) => Promise<A>
type CommitOf = (number: number, epoch: bigint, from: bigint, to: bigint, over?: Partial<LaneCommit>) => LaneCommit

/** A hint that only its revision tells apart. */
export const hint = (revision: bigint) => ({ tenantId: "t", resolution: 0 as const, windowStartMs: 0, keyId: "0".repeat(32), revision })

/** `session` runs a specification on a store of its own; `commitOf` makes commits of its lanes 0 and 1. */
export const declareOutbox = (session: (body: (run: Run) => Promise<void>) => () => Promise<void>, commitOf: CommitOf): void => {
  it("numbers the outbox upward for ever, also after everything was forgotten", session(async (run) => {
    await run((store) => store.registerOutbox("c"))
    await run((store) => store.commit([commitOf(0, 1n, 0n, 1n, { hints: [hint(1n)] })]))
    await run((store) => store.commit([commitOf(0, 1n, 1n, 2n, { hints: [hint(2n)] })]))
    const first = await run((store) => store.readOutbox("c", 0n, 10))
    expect(first.map(({ hints }) => hints)).toEqual([[hint(1n)], [hint(2n)]])
    const last = first.at(-1)?.sequence ?? 0n
    await run((store) => store.ackOutbox("c", last))
    await run((store) => store.commit([commitOf(0, 1n, 2n, 3n, { hints: [hint(3n)] })]))
    const second = await run((store) => store.readOutbox("c", 0n, 10))
    expect(second.map(({ hints }) => hints)).toEqual([[hint(3n)]])
    expect(second[0]?.sequence).toBeGreaterThan(last)
  }))

  it("keeps an outbox entry until every registered consumer is done with it, each with a cursor of its own that never goes back", session(async (run) => {
    const revisions = (consumer: string, after = 0n) => run((store) => store.readOutbox(consumer, after, 10)).then((entries) => entries.flatMap(({ hints }) => hints.map(({ revision }) => revision)))
    for (let i = 0n; i < 3n; i++) await run((store) => store.commit([commitOf(0, 1n, i, i + 1n, { hints: [hint(i + 1n)] })]))
    expect(await revisions("fast")).toEqual([])
    const fast = await run((store) => store.registerOutbox("fast"))
    expect(await run((store) => store.registerOutbox("fast"))).toEqual({ cursor: fast.cursor, created: false })
    expect(fast.created).toBe(true)
    await run((store) => store.registerOutbox("slow"))
    const sequences = (await run((store) => store.readOutbox("fast", 0n, 10))).map(({ sequence }) => sequence)
    await run((store) => store.ackOutbox("fast", sequences[1] ?? 0n))
    await run((store) => store.ackOutbox("fast", sequences[0] ?? 0n))
    await run((store) => store.ackOutbox("nobody", sequences[2] ?? 0n))
    expect(await revisions("fast")).toEqual([3n])
    expect(await revisions("slow")).toEqual([1n, 2n, 3n])
    expect(await revisions("slow", sequences[0])).toEqual([2n, 3n])
    await run((store) => store.ackOutbox("slow", sequences[0] ?? 0n))
    expect(await run((store) => store.registerOutbox("new"))).toEqual({ cursor: sequences[0], created: true })
    expect(await revisions("new")).toEqual([2n, 3n])
    await run((store) => Effect.andThen(store.forgetOutbox("new"), store.forgetOutbox("slow")))
    expect(await revisions("slow")).toEqual([])
    await run((store) => store.registerOutbox("slow"))
    expect(await revisions("slow")).toEqual([3n])
  }))

  it("tells in a snapshot what a consumer has not read of the commits in it, and nothing of later ones", session(async (run) => {
    await run((store) => Effect.scoped(Effect.gen(function* () {
      expect(yield* (yield* store.snapshot).unread("c", 10)).toBeUndefined()
      yield* store.registerOutbox("c")
      expect(yield* (yield* store.snapshot).unread("c", 0)).toEqual([])
      for (let i = 0n; i < 3n; i++) yield* store.commit([commitOf(0, 1n, i, i + 1n, { hints: [hint(i + 1n)] })])
      const entries = yield* store.readOutbox("c", 0n, 10)
      const before = yield* store.snapshot
      expect(yield* before.unread("c", 3)).toEqual(entries)
      expect(yield* before.unread("c", 2)).toBeUndefined()
      yield* store.commit([commitOf(0, 1n, 3n, 4n, { hints: [hint(4n)] })])
      yield* store.ackOutbox("c", entries[1]?.sequence ?? 0n)
      expect(yield* before.unread("c", 3)).toEqual(entries)
      expect((yield* (yield* store.snapshot).unread("c", 3))?.flatMap(({ hints }) => hints)).toEqual([hint(3n), hint(4n)])
    })))
  }))

  it("never shows an outbox entry below one it has shown, however many lanes commit at once", session(async (run) => {
    const seen = await run((store) => Effect.gen(function* () {
      yield* store.registerOutbox("c")
      const committing = yield* Effect.forkChild(Effect.all([0, 1].map((number) => Effect.gen(function* () {
        for (let i = 0n; i < 30n; i++) yield* store.commit([commitOf(number, 1n, i, i + 1n, { hints: [hint(i + 1n)] })])
      })), { concurrency: 2 }), { startImmediately: true })
      const lanes: number[] = []
      for (let after = 0n; lanes.length < 60;) {
        const entries = yield* store.readOutbox("c", after, 7)
        for (const entry of entries) lanes.push(entry.lane.lane)
        after = entries.at(-1)?.sequence ?? after
        if (entries.length === 0) yield* Effect.yieldNow
      }
      yield* Fiber.join(committing)
      return lanes
    }))
    expect(seen.filter((number) => number === 1)).toHaveLength(30)
  }), 20_000)
}
