/** Events of the log, newest first. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import type { EventSearch } from "@tidemark/domain/ports/SearchIndex"
import * as Effect from "effect/Effect"
import { positionCursor, readPositionCursor } from "./cursor.ts"
import type { QueryError } from "./errors.ts"
import { PAGE_DEFAULT, pageSize } from "./limits.ts"
import { loggedEvent } from "./loggedEvent.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import type { Edge, Page } from "./page.ts"
import { logEnds } from "./projections.ts"

export type EventFilter = Omit<EventSearch, "tenantId" | "eventId">

export interface EventsInput {
  readonly filter?: EventFilter
  readonly first?: number
  readonly after?: string
}

/** Records one page looks at; a page may be short of `first` and still have a next one. */
const SCAN_RECORDS_MAX = 200_000

/** A page of events. What arrives between two pages shows up in neither. */
export const events = (input: EventsInput, tenantId: string): Effect.Effect<Page<LoggedEvent>, QueryError, SearchIndex | EventLog> =>
  Effect.gen(function* () {
    const limit = yield* pageSize(input.first, PAGE_DEFAULT)
    const ends = yield* logEnds
    const given = new Map((input.after === undefined ? [] : yield* readPositionCursor(input.after)).map((part) => [part.partition, part.nextOffset] as const))
    const bounds = new Map([...ends].map(([partition, end]) => [partition, given.get(partition) ?? end] as const))
    const position = (): readonly PartitionPosition[] => [...bounds].map(([partition, nextOffset]) => ({ partition, nextOffset }))
    const index = yield* SearchIndex
    const page = yield* index.searchEvents({ ...input.filter, tenantId }, { limit, before: position(), scanMaxRecords: SCAN_RECORDS_MAX })
    const edges: Edge<LoggedEvent>[] = []
    for (const { partition, offset, value } of page.hits) {
      bounds.set(partition, offset)
      const node = loggedEvent(partition, offset, value)
      if (node !== undefined && node.event.tenantId === tenantId) edges.push({ cursor: positionCursor(position()), node })
    }
    const next = page.next
    return { edges, hasNextPage: next !== undefined, endCursor: next === undefined ? (edges.at(-1)?.cursor ?? null) : positionCursor(next) }
  })
