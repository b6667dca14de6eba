/** An in-memory event store for the specifications of the settings. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { EventStoreUnavailableError, WrongRevisionError } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape, NewStoredEvent, StoredEvent } from "@tidemark/domain/ports/EventStore"

/**
 * Positions start at 1. `control.readFaults` is how many reads of all streams fail next; `beforeAppend` runs once,
 * before the next append is decided.
 */
export const makeFakeEventStore = () => {
  const stored: StoredEvent[] = []
  const waiting = new Set<Deferred.Deferred<void>>()
  const control = { readFaults: 0, readFaultsMet: 0, beforeAppend: undefined as Effect.Effect<void> | undefined }
  const lastOf = (stream: string): bigint => BigInt(stored.filter((event) => event.stream === stream).length) - 1n
  const store = (stream: string, events: readonly NewStoredEvent[]) => {
    let revision = lastOf(stream)
    for (const event of events) stored.push({ ...event, data: JSON.parse(JSON.stringify(event.data)) as unknown, stream, revision: ++revision, position: BigInt(stored.length + 1), createdAtMs: 0 })
    return { revision, position: BigInt(stored.length) }
  }
  const shape: EventStoreShape = {
    append: Effect.fn(function* (stream: string, events: readonly NewStoredEvent[], expected: bigint | "any") {
      const before = control.beforeAppend
      control.beforeAppend = undefined
      if (before !== undefined) yield* before
      const actual = lastOf(stream)
      if (expected !== "any" && expected !== actual) return yield* new WrongRevisionError({ stream, expected, actual })
      const at = store(stream, events)
      for (const bell of waiting) yield* Deferred.succeed(bell, undefined)
      return at
    }),
    readStream: (stream, from, limit) => Effect.sync(() => stored.filter((event) => event.stream === stream && event.revision >= from).slice(0, limit)),
    readAll: Effect.fn(function* (after: bigint, limit: number, waitMaxMs: number) {
      if (control.readFaults > 0) {
        control.readFaults -= 1
        control.readFaultsMet += 1
        return yield* new EventStoreUnavailableError({ cause: "down" })
      }
      const find = () => stored.filter(({ position }) => position > after).slice(0, limit)
      if (find().length > 0 || waitMaxMs <= 0) return find()
      const bell = yield* Deferred.make<void>()
      waiting.add(bell)
      yield* Effect.timeoutOption(Deferred.await(bell), waitMaxMs).pipe(Effect.ensuring(Effect.sync(() => waiting.delete(bell))))
      return find()
    })
  }
  return { shape, stored, control }
}
