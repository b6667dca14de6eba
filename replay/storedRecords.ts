/** Records that must be there: reading again what was read before. Rules: docs/semantics.md §2. */
import { EventLog, LogGapError } from "@tidemark/domain/ports/EventLog"
import type { LogBatch, LogReadError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
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

/** What is wrong with the log, as a finding: the code under which a projection halts on it, and the place. */
export const logFault = (error: Exclude<LogReadError, LogUnavailableError>): string => {
  switch (error._tag) {
    case "LogCorruptError":
      return `LOG_CORRUPT: block at offset ${error.offset}: ${error.detail}`
    case "OffsetOutOfRangeError":
      return `LOG_GAP: partition ${error.partition}: offset ${error.wanted} is wanted, the log holds ${error.start} to ${error.end}`
    case "LogGapError":
      return `LOG_GAP: partition ${error.partition}: offsets ${error.wanted} to ${error.found - 1n} hold no record`
    case "LogIdentityError":
      return `LOG_IDENTITY: opened as log ${error.logId}: ${error.detail}`
  }
}
