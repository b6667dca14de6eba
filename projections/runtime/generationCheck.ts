/** May this program fold this generation from this log? If not, the generation halts. Rules: docs/semantics.md §2, §6. */
import { compileDefinition } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { DefinitionMissingError } from "@tidemark/domain/definitions/expressionSyntax"
import { hashHex } from "@tidemark/domain/measures/hash"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import type { GenerationRecord, LaneCheckpoint, PartitionCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { HaltError } from "./halt.ts"
import { readLog } from "./readLog.ts"

/** Partitions of a lane: partition mod lanes. */
export const lanePartitions = (lane: number, partitions: number, lanes: number): readonly number[] =>
  Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => partition % lanes === lane)

/** More definitions than one process folds side by side. */
const COMPILED_MAX = 64

/** By hash seed and text. A compiled definition keeps nothing of the events it has seen, so lanes and take-overs share it. */
const compiledBefore = new Map<string, CompiledProjection>()

const compileText = (text: string, seed: number): CompiledProjection => {
  const key = `${seed} ${text}`
  const before = compiledBefore.get(key)
  if (before !== undefined) return before
  const compiled = compileDefinition(parseDefinition(text), seed)
  if (compiledBefore.size >= COMPILED_MAX) compiledBefore.clear()
  compiledBefore.set(key, compiled)
  return compiled
}

/** Compiles the pinned definition; it must be the one the generation was made with. */
export const compilePinned = (record: GenerationRecord, seed: number): Effect.Effect<CompiledProjection, HaltError> =>
  Effect.try({
    try: () => {
      const compiled = compileText(record.definition, seed)
      if (compiled.hash !== record.definitionHash) {
        throw new HaltError({ code: "DEFINITION_CHANGED", detail: `made with definition ${record.definitionHash}, this program reads it as ${compiled.hash}; rebuild into a new generation` })
      }
      return compiled
    },
    catch: (cause) => {
      if (cause instanceof HaltError) return cause
      return new HaltError({ code: cause instanceof DefinitionMissingError ? "DEFINITION_MISSING" : "DEFINITION_CHANGED", detail: String(cause) })
    }
  })

/** The generation and its checkpoint must belong to this log and its partitions, those of other lanes too: with their number every key may have moved. */
export const checkIdentity = (record: GenerationRecord, checkpoint: LaneCheckpoint, log: EventLogShape): Effect.Effect<void, HaltError> => {
  const { logId, partitions, lanes } = log.identity
  if (record.logId !== logId) return Effect.fail(new HaltError({ code: "LOG_IDENTITY", detail: `built from log ${record.logId}, this is log ${logId}` }))
  if (record.coverage.length !== partitions) return Effect.fail(new HaltError({ code: "LOG_IDENTITY", detail: `built from a log of ${record.coverage.length} partitions, this one has ${partitions}` }))
  const expected = lanePartitions(checkpoint.lane.lane, partitions, lanes)
  const found = checkpoint.partitions.map(({ partition }) => partition).sort((a, b) => a - b)
  if (expected.join() === found.join()) return Effect.void
  return Effect.fail(new HaltError({ code: "LOG_IDENTITY", detail: `lane ${checkpoint.lane.lane} was built over partitions ${found.join(", ")}, the log gives it ${expected.join(", ")}` }))
}

/** The record before the checkpoint must be the one that was folded, and the next one must be stored or still to come. */
export const checkContinuity = Effect.fn("checkContinuity")(function* (log: EventLogShape, { partition, nextOffset, lastRecordHash }: PartitionCheckpoint) {
  const { start, end } = yield* log.bounds(partition)
  if (nextOffset < start) {
    return yield* new HaltError({ code: "LOG_GAP", detail: `partition ${partition}: checkpoint at ${nextOffset}, the log now starts at ${start}` })
  }
  if (nextOffset > end) {
    return yield* new HaltError({ code: "LOG_DIVERGED", detail: `partition ${partition}: checkpoint at ${nextOffset}, the log ends at ${end}` })
  }
  if (lastRecordHash === "" || nextOffset <= start) return
  const [batch] = yield* readLog(log, [{ partition, nextOffset: nextOffset - 1n }], { bytesMax: 1, waitMaxMs: 0 })
  const hash = batch === undefined ? "none" : hashHex(batch.bytes.subarray(0, batch.ends[0]), 0)
  if (hash === lastRecordHash) return
  return yield* new HaltError({ code: "LOG_DIVERGED", detail: `partition ${partition}: the record at ${nextOffset - 1n} has hash ${hash}, folded was ${lastRecordHash}` })
})
