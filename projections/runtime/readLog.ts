/** Reading the log as the runtime must: what no retry mends is a halt, never a jump. */
import type { EventLogShape, LogBatch, LogReadError, LogUnavailableError, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import * as Effect from "effect/Effect"
import { HaltError } from "./halt.ts"

const toHalt = (error: LogReadError): HaltError | LogUnavailableError => {
  switch (error._tag) {
    case "OffsetOutOfRangeError":
      return new HaltError({ code: "LOG_GAP", detail: `partition ${error.partition}: offset ${error.wanted} is wanted, the log holds ${error.start} to ${error.end}` })
    case "LogCorruptError":
      return new HaltError({ code: "LOG_CORRUPT", detail: `partition ${error.partition}, offset ${error.offset}: ${error.detail}` })
    case "LogGapError":
      return new HaltError({ code: "LOG_GAP", detail: `partition ${error.partition}: offsets ${error.wanted} to ${error.found - 1n} hold no record` })
    case "LogIdentityError":
      return new HaltError({ code: "LOG_IDENTITY", detail: `opened as log ${error.logId}: ${error.detail}` })
    case "LogUnavailableError":
      return error
  }
}

/** `log.read` with lost and corrupt records as `HaltError`. */
export const readLog = (
  log: EventLogShape, from: readonly PartitionPosition[], options: { readonly bytesMax: number; readonly waitMaxMs: number }
): Effect.Effect<readonly LogBatch[], HaltError | LogUnavailableError> => Effect.mapError(log.read(from, options), toHalt)
