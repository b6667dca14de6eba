/** Records that must be there: reading again what was read before. Rules: docs/semantics.md §2. */
import { EventLog, LogGapError } from "@tidemark/domain/ports/EventLog"
import type { LogBatch } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"

/**
 * The next batches of a partition from an offset that was stored once; none when the log ends there. An empty answer
 * below the end is a gap and never an end: a proof or comparison made from it would be wrong.
 */
export const readStored = Effect.fn("readStored")(function* (partition: number, nextOffset: bigint, bytesMax: number) {
  const log = yield* EventLog
  const batches: readonly LogBatch[] = yield* log.read([{ partition, nextOffset }], { bytesMax, waitMaxMs: 0 })
  if (batches.length > 0) return batches
  const { end } = yield* log.bounds(partition)
  return end > nextOffset ? yield* new LogGapError({ partition, wanted: nextOffset, found: end }) : batches
})
