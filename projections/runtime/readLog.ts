/** Reading the log as the runtime must: what no retry mends is a halt, never a jump. */
import type { EventLogShape, LogBatch, LogReadError, LogUnavailableError, PartitionPosition } from "@tidemark/domain/ports/EventLog"
import { describeLogFault } from "@tidemark/domain/ports/logFault"
import * as Effect from "effect/Effect"
import { HaltError } from "./halt.ts"

const toHalt = (error: LogReadError): HaltError | LogUnavailableError => (error._tag === "LogUnavailableError" ? error : new HaltError(describeLogFault(error)))

/** `log.read` with lost and corrupt records as `HaltError`. */
export const readLog = (
  log: EventLogShape, from: readonly PartitionPosition[], options: { readonly bytesMax: number; readonly waitMaxMs: number }
): Effect.Effect<readonly LogBatch[], HaltError | LogUnavailableError> => Effect.mapError(log.read(from, options), toHalt)
