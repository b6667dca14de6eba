/** Events that ingest refused, newest first. */
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import { entryCursor, readEntryCursor } from "./cursor.ts"
import type { QueryError } from "./errors.ts"
import { PAGE_DEFAULT, pageSize } from "./limits.ts"
import { pageOf } from "./page.ts"
import type { Page } from "./page.ts"

export interface RejectedInput {
  readonly first?: number
  readonly after?: string
  /** Only those that were sent with this id. */
  readonly eventId?: string
}

/** Entries looked at for one page; with an id a page may be short of `first` and still have a next one. */
const ENTRIES_MAX = 10_000
const CHUNK_ENTRIES = 500

/** Entries of one event id after a place, at most `limit`, and where the search ended when it did not reach the end. */
const findEntries = Effect.fn("findRejected")(function* (tenantId: string, eventId: string, limit: number, from: string | undefined) {
  const log = yield* RejectedLog
  const found: RejectedEvent[] = []
  let after = from
  for (let looked = 0; looked < ENTRIES_MAX; looked += CHUNK_ENTRIES) {
    const chunk: readonly RejectedEvent[] = yield* log.page(tenantId, CHUNK_ENTRIES, after)
    for (const entry of chunk) if (found.length < limit && entry.eventId === eventId) found.push(entry)
    if (found.length === limit || chunk.length < CHUNK_ENTRIES) return { found, searchedTo: undefined }
    after = chunk.at(-1)?.entryId
  }
  return { found, searchedTo: after }
})

/** A page of the tenant's rejected events. */
export const rejectedEvents = (input: RejectedInput, tenantId: string): Effect.Effect<Page<RejectedEvent>, QueryError, RejectedLog> =>
  Effect.gen(function* () {
    const limit = yield* pageSize(input.first, PAGE_DEFAULT)
    const after = input.after === undefined ? undefined : yield* readEntryCursor(input.after)
    const log = yield* RejectedLog
    const cursorOf = ({ entryId }: RejectedEvent): string => entryCursor(entryId)
    if (input.eventId === undefined) return pageOf(yield* log.page(tenantId, limit + 1, after), limit, cursorOf)
    const { found, searchedTo } = yield* findEntries(tenantId, input.eventId, limit + 1, after)
    const page = pageOf(found, limit, cursorOf)
    return searchedTo === undefined ? page : { ...page, hasNextPage: true, endCursor: entryCursor(searchedTo) }
  })
