/** The generations of a projection that are stored, and how far each of them is. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { haltIn } from "@tidemark/domain/ports/projectionPause"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, Halt, LaneCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { QueryError } from "./errors.ts"
import { logEnds } from "./projections.ts"

export interface StoredGeneration {
  readonly projection: string
  readonly generation: number
  readonly definitionHash: string
  /** Undefined where this program cannot read the definition. */
  readonly version: number | undefined
  /** Names of its measures, with what each is, as text. */
  readonly measures: Readonly<Record<string, string>>
  readonly createdAtMs: number
  readonly isServed: boolean
  readonly position: readonly { readonly partition: number; readonly nextOffset: bigint }[]
  /** Records of the log not yet folded. */
  readonly lagEvents: bigint
  /** Of all tenants, since its first record. */
  readonly deadLettered: bigint
  /** Why it stands still; a pause is none. */
  readonly halt: Halt | undefined
}

/** A definition that this program cannot read keeps the generation listed. */
const definitionOf = ({ definition }: GenerationRecord): Pick<StoredGeneration, "version" | "measures"> => {
  try {
    const { version, measures } = parseDefinition(definition)
    return { version, measures: Object.fromEntries(Object.entries(measures).map(([name, spec]) => [name, JSON.stringify(spec)])) }
  } catch {
    return { version: undefined, measures: {} }
  }
}

const placeOf = (checkpoints: readonly LaneCheckpoint[], ends: ReadonlyMap<number, bigint>): Pick<StoredGeneration, "position" | "lagEvents" | "deadLettered"> => {
  const partitions = checkpoints.flatMap((lane) => lane.partitions)
  let [lagEvents, deadLettered] = [0n, 0n]
  for (const { partition, nextOffset, counters } of partitions) {
    const end = ends.get(partition) ?? nextOffset
    if (end > nextOffset) lagEvents += end - nextOffset
    deadLettered += counters.deadLettered
  }
  return { position: partitions.map(({ partition, nextOffset }) => ({ partition, nextOffset })).sort((a, b) => a.partition - b.partition), lagEvents, deadLettered }
}

/** Those that were not dropped, by number; all from one snapshot. */
export const generations = (projection: string): Effect.Effect<readonly StoredGeneration[], QueryError, ReadModelStore | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const pointer = yield* snapshot.pointer(projection)
    const halts = yield* snapshot.halts
    const ends = yield* logEnds
    const found: StoredGeneration[] = []
    for (const record of yield* snapshot.generations(projection)) {
      if (record.isDropped === true) continue
      const { generation, definitionHash, createdAtMs } = record
      found.push({
        projection, generation, definitionHash, createdAtMs, isServed: pointer?.generation === generation, halt: haltIn(halts, { projection, generation }),
        ...definitionOf(record), ...placeOf(yield* snapshot.checkpoints(projection, generation), ends)
      })
    }
    return found
  }))
