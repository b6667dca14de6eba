/**
 * Page cursors: opaque texts that hold where a page ended. They name no tenant, so one can never widen what its bearer
 * may see: the tenant comes from the key of each request.
 */
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { CursorError } from "./errors.ts"

const OFFSET = /^\d{1,19}$/

const encode = (value: unknown): string => btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

const decode = (cursor: string): Effect.Effect<unknown, CursorError> =>
  Effect.try({
    try: () => JSON.parse(atob(cursor.replaceAll("-", "+").replaceAll("_", "/"))) as unknown,
    catch: () => new CursorError({ detail: "not a cursor of this service" })
  })

const wrong = Effect.fail(new CursorError({ detail: "not a cursor of this list" }))

const isPart = (value: unknown): value is readonly [number, string] =>
  Array.isArray(value) && value.length === 2 && Number.isInteger(value[0]) && typeof value[1] === "string" && OFFSET.test(value[1])

/** Cursor of a place in the log. */
export const positionCursor = (position: readonly PartitionPosition[]): string =>
  encode({ p: position.map(({ partition, nextOffset }) => [partition, nextOffset.toString()]) })

export const readPositionCursor = Effect.fn("readPositionCursor")(function* (cursor: string) {
  const value = yield* decode(cursor)
  const parts = typeof value === "object" && value !== null && "p" in value ? value.p : undefined
  if (!Array.isArray(parts) || !parts.every(isPart)) return yield* wrong
  return parts.map(([partition, offset]): PartitionPosition => ({ partition, nextOffset: BigInt(offset) }))
})

export interface LedgerPlace {
  readonly generation: number
  readonly partition: number
  readonly offset: bigint
}

/** Cursor of a ledger entry; it stays on its generation. */
export const ledgerCursor = (place: LedgerPlace): string => encode({ g: place.generation, p: [[place.partition, place.offset.toString()]] })

export const readLedgerCursor = Effect.fn("readLedgerCursor")(function* (cursor: string) {
  const value = yield* decode(cursor)
  if (typeof value !== "object" || value === null || !("g" in value) || !Number.isInteger(value.g)) return yield* wrong
  const [place] = yield* readPositionCursor(cursor)
  if (place === undefined) return yield* wrong
  return { generation: value.g as number, partition: place.partition, offset: place.nextOffset }
})

/** Cursor of an entry with an id of its own. */
export const entryCursor = (entryId: string): string => encode({ e: entryId })

export const readEntryCursor = Effect.fn("readEntryCursor")(function* (cursor: string) {
  const value = yield* decode(cursor)
  if (typeof value !== "object" || value === null || !("e" in value) || typeof value.e !== "string") return yield* wrong
  return value.e
})

/** A place in a stored list: that of the item after it. */
export interface ListPlace {
  readonly listId: string
  readonly next: number
}

/** Cursor of an item of a stored list; it stays on that list when a newer one takes its place. */
export const listCursor = ({ listId, next }: ListPlace): string => encode({ l: listId, n: next })

const LIST_ID = /^[0-9a-f-]{36}$/

export const readListCursor = Effect.fn("readListCursor")(function* (cursor: string) {
  const value = yield* decode(cursor)
  if (typeof value !== "object" || value === null || !("l" in value) || !("n" in value)) return yield* wrong
  const { l: listId, n: next } = value
  if (typeof listId !== "string" || !LIST_ID.test(listId) || typeof next !== "number" || !Number.isSafeInteger(next) || next < 0) return yield* wrong
  return { listId, next } satisfies ListPlace
})
