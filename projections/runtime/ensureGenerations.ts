/** Every shipped projection has an active generation. Repeatable: it finishes what an earlier start began. */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
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

/** Ends once the projection has an active generation, whoever made it active. */
const ensureGeneration = Effect.fn("ensureGeneration")(function* (definition: ProjectionDefinition) {
  const store = yield* ReadModelStore
  const { partitions, lanes } = (yield* EventLog).identity
  for (;;) {
    const existing = yield* Effect.scoped(Effect.gen(function* () {
      const snapshot = yield* store.snapshot
      return (yield* snapshot.pointer(definition.name)) === undefined ? yield* snapshot.generations(definition.name) : undefined
    }))
    if (existing === undefined) return
    const record = yield* candidate(definition, existing)
    yield* store.createGeneration(record, Array.from({ length: lanes }, (_, lane) => ({ lane, partitions: lanePartitions(lane, partitions, lanes) })))
    // A conflict says that another process was first: the next look finds its pointer.
    yield* Effect.catchTag(store.flip(record.projection, record.generation, 0), "PointerConflictError", () => Effect.void).pipe(
      // There is no active generation that the first one could be behind.
      Effect.catchTag("TargetBehindError", Effect.die)
    )
  }
})

/** A projection that has an active generation keeps it: another definition needs a rebuild. Safe in several processes at once. */
export const ensureGenerations = (
  definitions: readonly ProjectionDefinition[]
): Effect.Effect<void, StoreUnavailableError | LogUnavailableError, EventLog | ReadModelStore> =>
  Effect.forEach(definitions, ensureGeneration, { discard: true })
