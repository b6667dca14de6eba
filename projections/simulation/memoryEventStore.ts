/** The event store in memory: what is stored outlives the layer. An append of unknown outcome is told as unavailable, as real stores do. */
import { EventStore, EventStoreUnavailableError, WrongRevisionError } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape, NewStoredEvent, StoredEvent } from "@tidemark/domain/ports/EventStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** What an append ends as, when the simulation decides; the caller is told the same of both. */
export type SettingsFault = "stored" | "not stored"

export interface MemorySettingsDisk {
  readonly events: StoredEvent[]
  /** Called when something was appended, once each. */
  readonly listeners: Set<() => void>
  appendFault: () => SettingsFault | undefined
  /** True: every call ends in `EventStoreUnavailableError`, with nothing changed. */
  isDown: () => boolean
}

/** An empty disk without faults. */
export const createMemorySettingsDisk = (): MemorySettingsDisk => ({ events: [], listeners: new Set(), appendFault: () => undefined, isDown: () => false })

const unavailable = new EventStoreUnavailableError({ cause: new Error("simulated") })

const streamOf = (disk: MemorySettingsDisk, stream: string): readonly StoredEvent[] => disk.events.filter((event) => event.stream === stream)

/** Last event of the append when the same ids are stored already at that place, or, unchecked, anywhere in a row. */
const repeated = (stored: readonly StoredEvent[], events: readonly NewStoredEvent[], expected: bigint | "any"): StoredEvent | undefined => {
  const from = expected === "any" ? stored.findIndex(({ id }) => id === events[0]?.id) : Number(expected) + 1
  return events.length > 0 && from >= 0 && events.every(({ id }, at) => stored[from + at]?.id === id) ? stored[from + events.length - 1] : undefined
}

const write = (disk: MemorySettingsDisk, stream: string, events: readonly NewStoredEvent[], createdAtMs: number) => {
  let revision = BigInt(streamOf(disk, stream).length) - 1n
  for (const event of events) {
    disk.events.push({ ...event, data: JSON.parse(JSON.stringify(event.data)) as unknown, stream, revision: ++revision, position: BigInt(disk.events.length) + 1n, createdAtMs })
  }
  for (const wake of Array.from(disk.listeners)) wake()
  return { revision, position: disk.events.at(-1)?.position ?? 0n }
}

const append = Effect.fn("append")(function* (disk: MemorySettingsDisk, stream: string, events: readonly NewStoredEvent[], expected: bigint | "any") {
  const createdAtMs = yield* Clock.currentTimeMillis
  const stored = streamOf(disk, stream)
  const actual = BigInt(stored.length) - 1n
  const known = repeated(stored, events, expected)
  if (known !== undefined) return { revision: known.revision, position: known.position }
  if (expected !== "any" && expected !== actual) return yield* new WrongRevisionError({ stream, expected, actual })
  const fault = disk.appendFault()
  if (fault === "not stored") return yield* Effect.fail(unavailable)
  const place = write(disk, stream, events, createdAtMs)
  return fault === undefined ? place : yield* Effect.fail(unavailable)
})

/** Ends when something is appended. The scheduler, not the writer, runs who waited. */
const appended = ({ listeners }: MemorySettingsDisk): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const wake = (): void => {
      listeners.delete(wake)
      resume(Effect.void)
    }
    listeners.add(wake)
    return Effect.sync(() => void listeners.delete(wake))
  }).pipe(Effect.andThen(Effect.yieldNow))

const makeStore = (disk: MemorySettingsDisk): EventStoreShape => {
  const up = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | EventStoreUnavailableError> =>
    Effect.suspend((): Effect.Effect<A, E | EventStoreUnavailableError> => (disk.isDown() ? Effect.fail(unavailable) : effect))
  return {
    append: (stream, events, expected) => up(append(disk, stream, events, expected)),
    readStream: (stream, from, limit) => up(Effect.sync(() => streamOf(disk, stream).filter(({ revision }) => revision >= from).slice(0, limit))),
    readAll: (after, limit, waitMaxMs) => {
      const look = up(Effect.sync(() => disk.events.filter(({ position }) => position > after).slice(0, limit)))
      if (waitMaxMs <= 0) return look
      return Effect.gen(function* () {
        for (;;) {
          const found = yield* look
          if (found.length > 0) return found
          yield* appended(disk)
        }
      }).pipe(Effect.timeoutOption(waitMaxMs), Effect.map(Option.getOrElse((): readonly StoredEvent[] => [])))
    }
  }
}

/** The store on `disk`. */
export const memoryEventStore = (disk: MemorySettingsDisk): Layer.Layer<EventStore> => Layer.succeed(EventStore, makeStore(disk))
