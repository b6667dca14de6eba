/** Every shipped projection has an active generation. Repeatable: it finishes what an earlier start began. */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, PointerConflictError, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import { Clock, Effect } from "effect"
import { lanePartitions } from "./generationCheck.ts"

/** The generation to make active: one that was made for this log and definition and never activated, or the next number. */
const candidate = Effect.fn("candidate")(function* (definition: ProjectionDefinition, existing: readonly GenerationRecord[]) {
  const log = yield* EventLog
  const { logId, partitions } = log.identity
  const hash = definitionHash(definition)
  const unfinished = existing.find((record) => record.definitionHash === hash && record.logId === logId)
  if (unfinished !== undefined) return unfinished
  const coverage: { partition: number; nextOffset: bigint }[] = []
  for (let partition = 0; partition < partitions; partition++) coverage.push({ partition, nextOffset: (yield* log.bounds(partition)).start })
  const record: GenerationRecord = {
    projection: definition.name,
    generation: existing.reduce((highest, { generation }) => Math.max(highest, generation), 0) + 1,
    definition: canonicalJson(definition),
    definitionHash: hash,
    createdAtMs: yield* Clock.currentTimeMillis,
    logId,
    coverage
  }
  return record
})

/** A projection that has an active generation keeps it: another definition needs a rebuild. */
export const ensureGenerations = (
  definitions: readonly ProjectionDefinition[]
): Effect.Effect<void, StoreUnavailableError | LogUnavailableError | PointerConflictError, EventLog | ReadModelStore> =>
  Effect.gen(function* () {
    const store = yield* ReadModelStore
    const { partitions, lanes } = (yield* EventLog).identity
    const laneList = Array.from({ length: lanes }, (_, lane) => ({ lane, partitions: lanePartitions(lane, partitions, lanes) }))
    for (const definition of definitions) {
      const existing = yield* Effect.scoped(Effect.gen(function* () {
        const snapshot = yield* store.snapshot
        return (yield* snapshot.pointer(definition.name)) === undefined ? yield* snapshot.generations(definition.name) : undefined
      }))
      if (existing === undefined) continue
      const record = yield* candidate(definition, existing)
      yield* store.createGeneration(record, laneList)
      yield* store.flip(record.projection, record.generation, 0)
    }
  })
