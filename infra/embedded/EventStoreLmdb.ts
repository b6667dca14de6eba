/**
 * The event store on LMDB: events by stream and revision, and an index of all of them by position.
 *
 * An append is one synced transaction. Positions start at 1, so that 0 means "before everything".
 */
import { EventStore, EventStoreUnavailableError, WrongRevisionError } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape, NewStoredEvent, StoredEvent } from "@tidemark/domain/ports/EventStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Database, RootDatabase } from "lmdb"
import { fromText, toText } from "./jsonCodec.ts"
import { openEnvironment } from "./lmdbEnvironment.ts"
import type { EnvironmentOpenError, EnvironmentOptions, Transact } from "./lmdbEnvironment.ts"
import { OFFSET_END, offsetText } from "./modelStores.ts"
import type { Key } from "./modelStores.ts"

export interface EventStoreOptions extends EnvironmentOptions {
  readonly nowMs: () => number
  /** How this instance learns of appends by another thread; answers the way to stop listening. */
  readonly onWake?: (listener: () => void) => () => void
}

interface Stores {
  readonly root: RootDatabase<string, Key>
  readonly transact: Transact
  /** [stream, revision] → event. */
  readonly events: Database<string, Key>
  /** position → its key in `events`. A plain key: LMDB answers a key of one part as that part. */
  readonly positions: Database<string, string>
  /** [stream, event id] → revision where the id was stored last. */
  readonly ids: Database<string, Key>
}

interface Appended {
  readonly revision: bigint
  readonly position: bigint
}

/** `event` is JSON of its own: what callers store may look like a tag of the codec. */
interface StoredRecord extends Appended {
  readonly stream: string
  readonly createdAtMs: number
  readonly event: string
}

const encode = (record: Omit<StoredRecord, "event">, { id, type, data, metadata }: NewStoredEvent): string =>
  toText({ ...record, event: JSON.stringify({ id, type, data, metadata }) } satisfies StoredRecord)

const decode = (text: string): StoredEvent => {
  const { event, ...place } = fromText<StoredRecord>(text)
  return { ...(JSON.parse(event) as NewStoredEvent), ...place }
}

const eventAt = ({ events }: Stores, stream: string, revision: bigint): StoredEvent | undefined => {
  const text = revision < 0n ? undefined : events.get([stream, offsetText(revision)])
  return text === undefined ? undefined : decode(text)
}

/** −1 when the stream does not exist. */
const lastRevision = ({ events }: Stores, stream: string): bigint => {
  for (const key of events.getKeys({ start: [stream, OFFSET_END], end: [stream], reverse: true, limit: 1 })) return BigInt(String(key[1]))
  return -1n
}

const lastPosition = ({ positions }: Stores): bigint => {
  for (const key of positions.getKeys({ start: OFFSET_END, reverse: true, limit: 1 })) return BigInt(key)
  return 0n
}

/** Where the events were to start: after the expected revision, or where the first id already is, or at the end. */
const startOf = ({ ids }: Stores, stream: string, added: readonly NewStoredEvent[], expected: bigint | "any", actual: bigint): bigint => {
  if (expected !== "any") return expected + 1n
  const stored = added[0] === undefined ? undefined : ids.get([stream, added[0].id])
  return stored === undefined ? actual + 1n : BigInt(stored)
}

const write = (stores: Stores, stream: string, added: readonly NewStoredEvent[], start: bigint, createdAtMs: number): Appended => {
  let revision = start - 1n
  let position = lastPosition(stores)
  for (const event of added) {
    revision += 1n
    position += 1n
    const key: Key = [stream, offsetText(revision)]
    stores.events.putSync(key, encode({ stream, revision, position, createdAtMs }, event))
    stores.positions.putSync(offsetText(position), toText(key))
    stores.ids.putSync([stream, event.id], revision.toString())
  }
  return { revision, position }
}

/** Appends, or finds the same events already there, or answers why neither. */
const append = (stores: Stores, stream: string, added: readonly NewStoredEvent[], expected: bigint | "any", createdAtMs: number): Appended | WrongRevisionError =>
  stores.transact(() => {
    const actual = lastRevision(stores, stream)
    const start = startOf(stores, stream, added, expected, actual)
    if (start === actual + 1n) {
      if (added.length > 0) return write(stores, stream, added, start, createdAtMs)
      return { revision: actual, position: eventAt(stores, stream, actual)?.position ?? 0n }
    }
    const there = added.map((event, index) => {
      const stored = eventAt(stores, stream, start + BigInt(index))
      return stored?.id === event.id ? stored : undefined
    })
    const last = there.at(-1)
    if (last === undefined || there.includes(undefined)) return new WrongRevisionError({ stream, expected: start - 1n, actual })
    return { revision: last.revision, position: last.position }
  })

const readStream = ({ root, events }: Stores, stream: string, fromRevision: bigint, limit: number): readonly StoredEvent[] => {
  if (limit <= 0) return []
  root.resetReadTxn()
  const start: Key = [stream, offsetText(fromRevision < 0n ? 0n : fromRevision)]
  const found: StoredEvent[] = []
  for (const { value } of events.getRange({ start, end: [stream, OFFSET_END], limit })) found.push(decode(value))
  return found
}

const readAfter = ({ root, events, positions }: Stores, afterPosition: bigint, limit: number): readonly StoredEvent[] => {
  if (limit <= 0) return []
  root.resetReadTxn()
  const found: StoredEvent[] = []
  for (const { value } of positions.getRange({ start: offsetText(afterPosition < 0n ? 0n : afterPosition + 1n), limit })) {
    const text = events.get(fromText<Key>(value))
    if (text === undefined) throw new Error(`the index names an event that is not stored: ${value}`)
    found.push(decode(text))
  }
  return found
}

const unavailable = (cause: unknown) => new EventStoreUnavailableError({ cause })

/** Remembers a ring that comes before anybody waits for it; each wait uses one up. */
const makeBell = (listen: (listener: () => void) => () => void) => {
  let rung = false
  let answer: (() => void) | undefined
  const stop = listen(() => {
    rung = true
    answer?.()
  })
  const wait = Effect.callback<void>((resume) => {
    answer = () => {
      answer = undefined
      rung = false
      resume(Effect.void)
    }
    if (rung) answer()
  })
  return { wait, stop }
}

const makeStore = (stores: Stores, options: EventStoreOptions, listeners: Set<() => void>): EventStoreShape => {
  const listen = (listener: () => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  return {
    append: (stream, events, expectedRevision) =>
      Effect.try({ try: () => append(stores, stream, events, expectedRevision, options.nowMs()), catch: unavailable }).pipe(
        Effect.tap(() => Effect.sync(() => listeners.forEach((listener) => listener()))),
        Effect.flatMap((result) => (result instanceof WrongRevisionError ? Effect.fail(result) : Effect.succeed(result)))
      ),
    readStream: (stream, fromRevision, limit) => Effect.try({ try: () => readStream(stores, stream, fromRevision, limit), catch: unavailable }),
    readAll: (afterPosition, limit, waitMaxMs) => {
      const readNow = Effect.try({ try: () => readAfter(stores, afterPosition, limit), catch: unavailable })
      if (waitMaxMs <= 0 || limit <= 0) return readNow
      // The bell is there before the first look, so an append in between is not missed.
      return Effect.acquireUseRelease(
        Effect.sync(() => makeBell(listen)),
        (bell) =>
          Effect.gen(function* () {
            let found = yield* readNow
            while (found.length === 0) {
              yield* bell.wait
              found = yield* readNow
            }
            return found
          }).pipe(Effect.timeoutOption(waitMaxMs), Effect.flatMap(Option.match({ onNone: () => readNow, onSome: Effect.succeed }))),
        (bell) => Effect.sync(bell.stop)
      )
    }
  }
}

const openStore = (options: EventStoreOptions): Effect.Effect<EventStoreShape, EnvironmentOpenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { root, transact } = yield* openEnvironment(options)
    const named = (name: string) => root.openDB<string, Key>({ name, encoding: "string" })
    const listeners = new Set<() => void>()
    yield* Effect.acquireRelease(
      Effect.sync(() => options.onWake?.(() => listeners.forEach((listener) => listener()))),
      (stop) => Effect.sync(() => stop?.())
    )
    const positions = root.openDB<string, string>({ name: "positions", encoding: "string" })
    return makeStore({ root, transact, events: named("events"), positions, ids: named("ids") }, options, listeners)
  })

/** The event store in `options.directory`, closed with the scope. */
export const eventStoreLmdb = (options: EventStoreOptions): Layer.Layer<EventStore, EnvironmentOpenError> => Layer.effect(EventStore, openStore(options))
