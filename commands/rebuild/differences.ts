/**
 * Stored lists of differences: written page by page by whoever carries the rebuild out, before the comparison itself is
 * stored, and read page by page. A list whose comparison was never stored is found by nobody.
 */
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { DIFFERENCES_OF_PAGE, readDifferenceEvent } from "@tidemark/domain/settings/rebuild/differences"
import type { DifferenceCounts, DifferenceEvent, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import { SettingsCorruptError, differenceStream } from "@tidemark/domain/settings/streams"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { v7 } from "uuid"
import type { Act } from "../settings/decideAndAppend.ts"

export interface DifferenceList {
  readonly comparisonId: string
  readonly tenantId: string
}

/** The pages of a list, each full but the last. */
export const pagesOf = (differences: readonly WindowDifference[]): readonly (readonly WindowDifference[])[] =>
  Array.from({ length: Math.ceil(differences.length / DIFFERENCES_OF_PAGE) }, (_, page) => differences.slice(page * DIFFERENCES_OF_PAGE, (page + 1) * DIFFERENCES_OF_PAGE))

/** Appends the event that follows `after` others of the list; −1 for the first. Fails with WrongRevisionError when it does not. */
export const storeDifferences = Effect.fn("storeDifferences")(function* ({ comparisonId, tenantId }: DifferenceList, event: DifferenceEvent, after: number, act: Act) {
  const id = v7({ msecs: yield* Clock.currentTimeMillis })
  yield* (yield* EventStore).append(differenceStream(comparisonId, tenantId), [{ id, ...event, metadata: { actor: act.actor, reason: act.reason } }], BigInt(after))
})

const read = Effect.fn("readDifferences")(function* ({ comparisonId, tenantId }: DifferenceList, from: number, limit: number) {
  const stream = differenceStream(comparisonId, tenantId)
  const events: DifferenceEvent[] = []
  for (const { type, data } of yield* (yield* EventStore).readStream(stream, BigInt(from), limit)) {
    const event = readDifferenceEvent(type, data)
    if (event === "corrupt") return yield* new SettingsCorruptError({ stream, type })
    events.push(event)
  }
  return events
})

export interface DifferencePage {
  readonly counts: DifferenceCounts
  readonly differences: readonly WindowDifference[]
}

/** Differences number `start` to `start + limit − 1` of the list, and its counts; undefined when there is no such list. */
export const loadDifferences = Effect.fn("loadDifferences")(function* (list: DifferenceList, start: number, limit: number) {
  const [first] = yield* read(list, 0, 1)
  if (first?.type !== "rebuild.differences.counted") return undefined
  const firstPage = Math.floor(start / DIFFERENCES_OF_PAGE)
  const skipped = start - firstPage * DIFFERENCES_OF_PAGE
  const pages = yield* read(list, 1 + firstPage, Math.ceil((skipped + limit) / DIFFERENCES_OF_PAGE))
  const differences = pages.flatMap((page) => (page.type === "rebuild.differences.listed" ? page.data.differences : [])).slice(skipped, skipped + limit)
  return { counts: first.data, differences } satisfies DifferencePage as DifferencePage
})
