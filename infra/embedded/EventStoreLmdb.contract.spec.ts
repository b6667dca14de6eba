import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape } from "@tidemark/domain/ports/EventStore"
import { eventStoreContract } from "@tidemark/domain/ports/EventStore.contract"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { eventStoreLmdb } from "./EventStoreLmdb.ts"

const temporary = () => mkdtempSync(join(tmpdir(), "tidemark-events-"))
const nowMs = () => 1_700_000_000_000

eventStoreContract("LMDB", () => {
  const directory = temporary()
  return { open: () => eventStoreLmdb({ directory, nowMs }), dispose: async () => rmSync(directory, { recursive: true, force: true }) }
})

describe("the LMDB event store", () => {
  let directory: string
  beforeEach(() => {
    directory = temporary()
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const event = (id: string, data: unknown = {}) => ({ id, type: "t", data })
  const use = <A, E>(action: (store: EventStoreShape) => Effect.Effect<A, E>, onWake?: (listener: () => void) => () => void): Promise<A> =>
    Effect.runPromise(
      Effect.gen(function* () { return yield* action(yield* EventStore) }).pipe(
        Effect.provide(eventStoreLmdb({ directory, nowMs, ...(onWake === undefined ? {} : { onWake }) }))
      ))

  it("stores nothing of an append that fails half way, and goes on at the next revision", async () => {
    const error = await use((store) => Effect.flip(store.append("a", [event("1"), event("2", 2n)], -1n)))
    expect(error).toMatchObject({ _tag: "EventStoreUnavailableError" })
    expect(await use((store) => store.readAll(0n, 10, 0))).toEqual([])
    expect(await use((store) => store.append("a", [event("1")], -1n))).toEqual({ revision: 0n, position: 1n })
  })

  it("stamps the time it was given", async () => {
    await use((store) => store.append("a", [event("1")], -1n))
    expect(await use((store) => store.readStream("a", 0n, 1))).toMatchObject([{ createdAtMs: nowMs() }])
  })

  it("checks the revision of an append of nothing", async () => {
    expect(await use((store) => store.append("a", [], -1n))).toEqual({ revision: -1n, position: 0n })
    await use((store) => store.append("a", [event("1")], -1n))
    expect(await use((store) => store.append("a", [], 0n))).toEqual({ revision: 0n, position: 1n })
    expect(await use((store) => Effect.flip(store.append("a", [], -1n)))).toMatchObject({ _tag: "WrongRevisionError", expected: -1n, actual: 0n })
  })

  it("wakes a waiting reader of another instance through its wake-up, and waits on when nothing was appended", async () => {
    const wakes = new Set<() => void>()
    const wake = () => wakes.forEach((listener) => listener())
    const seen = await use((reader) =>
      Effect.gen(function* () {
        const waiting = yield* Effect.forkChild(reader.readAll(0n, 10, 30_000), { startImmediately: true })
        wake()
        yield* Effect.promise(() => use((writer) => writer.append("a", [event("1")], -1n)))
        wake()
        return yield* Fiber.join(waiting)
      }), (listener) => {
      wakes.add(listener)
      return () => void wakes.delete(listener)
    })
    expect(seen).toMatchObject([{ id: "1" }])
    expect(wakes.size).toBe(0)
  })
})
