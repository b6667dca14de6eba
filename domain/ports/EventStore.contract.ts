/** What every event store must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { EventStore } from "./EventStore.ts"
import type { EventStoreShape, NewStoredEvent, StoredEvent } from "./EventStore.ts"

export interface EventStoreHarness {
  /** The same stored events each time it is opened. */
  readonly open: () => Layer.Layer<EventStore, unknown>
  readonly dispose: () => Promise<void>
}

type Run = <A>(use: (store: EventStoreShape) => Effect.Effect<A, unknown>) => Promise<A>

const idOf = (n: number) => `018f0000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`
const event = (n: number, data: unknown = { n }): NewStoredEvent => ({ id: idOf(n), type: "thing.changed", data })
const events = (...numbers: readonly number[]) => numbers.map((n) => event(n))
const idsOf = (stored: readonly StoredEvent[]) => stored.map(({ id }) => id)
const placesOf = (stored: readonly StoredEvent[]) => stored.map(({ stream, revision, id }) => ({ stream, revision, id }))

const declareAppends = (session: (body: (run: Run) => Promise<void>) => () => Promise<void>): void => {
  it("numbers a stream densely from 0 and the whole store risingly, and keeps both after reopening", session(async (run) => {
    const first = await run((store) => store.append("a", events(1, 2), -1n))
    const second = await run((store) => store.append("b", events(3), -1n))
    const third = await run((store) => store.append("a", events(4), 1n))
    expect([first.revision, second.revision, third.revision]).toEqual([1n, 0n, 2n])
    expect(second.position).toBeGreaterThan(first.position)
    expect(third.position).toBeGreaterThan(second.position)
    const stream = await run((store) => store.readStream("a", 0n, 10))
    expect(placesOf(stream)).toEqual([1, 2, 4].map((n, revision) => ({ stream: "a", revision: BigInt(revision), id: idOf(n) })))
    expect(stream.map(({ position }) => position).slice(1)).toEqual([first.position, third.position])
  }))

  it("keeps data and metadata as they were given, whatever their keys", session(async (run) => {
    const given = [
      { ...event(1, { $n: "not a number", $m: 1, $b: null, nested: [{ $n: "5" }, "é😀", 1.5, null, true] }), metadata: { $n: "6", actor: "jo" } },
      event(2, "text"),
      event(3, null)
    ]
    await run((store) => store.append("a", given, -1n))
    const stored = await run((store) => store.readStream("a", 0n, 10))
    expect(stored).toMatchObject(given)
    expect(stored[0]?.metadata).toEqual(given[0]?.metadata)
    for (const { createdAtMs } of stored) expect(createdAtMs).toBeGreaterThan(1_500_000_000_000)
  }))

  it("refuses an append at a wrong revision with the expected and the actual number and stores nothing", session(async (run) => {
    await run((store) => store.append("a", events(1, 2), -1n))
    const refusal = (stream: string, expected: bigint) => run((store) => Effect.flip(store.append(stream, events(8, 9), expected)))
    expect(await refusal("a", -1n)).toMatchObject({ _tag: "WrongRevisionError", stream: "a", expected: -1n, actual: 1n })
    expect(await refusal("a", 0n)).toMatchObject({ _tag: "WrongRevisionError", stream: "a", expected: 0n, actual: 1n })
    expect(await refusal("a", 2n)).toMatchObject({ _tag: "WrongRevisionError", stream: "a", expected: 2n, actual: 1n })
    expect(await refusal("new", 0n)).toMatchObject({ _tag: "WrongRevisionError", stream: "new", expected: 0n, actual: -1n })
    expect(idsOf(await run((store) => store.readAll(0n, 10, 0)))).toEqual([idOf(1), idOf(2)])
  }))

  it("appends unchecked to a stream that exists and to one that does not", session(async (run) => {
    expect(await run((store) => store.append("a", events(1), "any"))).toMatchObject({ revision: 0n })
    expect(await run((store) => store.append("a", events(2, 3), "any"))).toMatchObject({ revision: 2n })
  }))

  it("answers the same to the same append sent again, also when others appended since, and stores it once", session(async (run) => {
    const created = await run((store) => store.append("a", events(1, 2), -1n))
    const checked = await run((store) => store.append("a", events(3, 4), 1n))
    const unchecked = await run((store) => store.append("a", events(5, 6), "any"))
    await run((store) => store.append("a", events(7), "any"))
    expect(await run((store) => store.append("a", events(1, 2), -1n))).toEqual(created)
    expect(await run((store) => store.append("a", events(3, 4), 1n))).toEqual(checked)
    expect(await run((store) => store.append("a", events(5, 6), "any"))).toEqual(unchecked)
    expect(idsOf(await run((store) => store.readAll(0n, 20, 0)))).toEqual([1, 2, 3, 4, 5, 6, 7].map(idOf))
  }))

  it("does not take an append for the same when only some of its ids are there, or at another place", session(async (run) => {
    await run((store) => store.append("a", events(1, 2, 3), -1n))
    for (const [added, expected] of [[events(1, 9), -1n], [events(2, 3), -1n], [events(3, 4), 1n], [events(2, 1), 0n], [events(9, 3), 0n]] as const) {
      const refusal = await run((store) => Effect.flip(store.append("a", added, expected)))
      expect(refusal).toMatchObject({ _tag: "WrongRevisionError", expected, actual: 2n })
    }
    expect(await run((store) => store.append("b", events(1), "any"))).toMatchObject({ revision: 0n })
    expect(await run((store) => store.readStream("a", 0n, 10))).toHaveLength(3)
  }))

  it("lets exactly one of many concurrent appends at the same revision through", session(async (run) => {
    await run((store) => store.append("a", events(0), -1n))
    const outcomes = await run((store) => Effect.all(Array.from({ length: 20 }, (_, i) => Effect.result(store.append("a", events(i + 1), 0n))), { concurrency: "unbounded" }))
    expect(outcomes.filter(({ _tag }) => _tag === "Success")).toHaveLength(1)
    expect(await run((store) => store.readStream("a", 0n, 30))).toHaveLength(2)
  }))
}

const declareReads = (session: (body: (run: Run) => Promise<void>) => () => Promise<void>): void => {
  it("reads a stream from a revision, at most as many as wanted, and nothing of its neighbours", session(async (run) => {
    await run((store) => store.append("b", Array.from({ length: 12 }, (_, i) => event(i)), -1n))
    await run((store) => Effect.all([store.append("a", events(20), -1n), store.append("bb", events(21), -1n), store.append("c", events(22), -1n)]))
    const read = (from: bigint, limit: number) => run((store) => store.readStream("b", from, limit)).then((stored) => stored.map(({ revision }) => Number(revision)))
    expect(await read(0n, 3)).toEqual([0, 1, 2])
    expect(await read(9n, 10)).toEqual([9, 10, 11])
    expect(await read(12n, 10)).toEqual([])
    expect(await read(0n, 0)).toEqual([])
    expect(await run((store) => store.readStream("none", 0n, 10))).toEqual([])
  }))

  it("reads all streams in order of position and resumes exactly after a position", session(async (run) => {
    await run((store) => Effect.gen(function* () {
      for (let n = 1; n <= 12; n++) yield* store.append(n % 3 === 0 ? "a" : "b", events(n), "any")
    }))
    const all = await run((store) => store.readAll(0n, 100, 0))
    expect(idsOf(all)).toEqual(Array.from({ length: 12 }, (_, i) => idOf(i + 1)))
    for (const [index, { position }] of all.entries()) expect(await run((store) => store.readAll(position, 3, 0))).toEqual(all.slice(index + 1, index + 4))
  }))

  it("wakes a reader that waits for the first event after its position", session(async (run) => {
    const seen = await run((store) => Effect.gen(function* () {
      const { position } = yield* store.append("a", events(1), -1n)
      const waiting = yield* Effect.forkChild(store.readAll(position, 10, 30_000), { startImmediately: true })
      yield* store.append("b", events(2, 3), -1n)
      return yield* Fiber.join(waiting)
    }))
    expect(seen[0]).toMatchObject({ stream: "b", id: idOf(2) })
  }))

  it("answers an empty list when nothing comes in time", session(async (run) => {
    expect(await run((store) => store.readAll(0n, 10, 20))).toEqual([])
  }))
}

/** Declares the suite for one adapter. */
export const eventStoreContract = (name: string, makeHarness: () => EventStoreHarness): void => {
  const session = (body: (run: Run) => Promise<void>) => async () => {
    const harness = makeHarness()
    try {
      await body((use) => Effect.runPromise(Effect.gen(function* () { return yield* use(yield* EventStore) }).pipe(Effect.provide(harness.open()))))
    } finally {
      await harness.dispose()
    }
  }
  describe(`EventStore on ${name}`, () => {
    declareAppends(session)
    declareReads(session)
  })
}
