/** The read model a request answers from: one projection's active generation in one snapshot. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint, Pointer, ReadSnapshot, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ModelUnreadableError, UnknownProjectionError } from "./errors.ts"
import { partitionsOf, positionOf, retainedFromMs, watermarkOf } from "./windowState.ts"
import type { PositionPart } from "./windowState.ts"

/** What every answer says about where it comes from. */
export interface Provenance {
  readonly projection: string
  readonly generation: number
  readonly pointerVersion: number
  /** Unix ms; null while a partition has none. */
  readonly watermarkMs: number | null
  readonly position: readonly PositionPart[]
}

export interface OpenModel extends Provenance {
  readonly snapshot: ReadSnapshot
  readonly tenantId: string
  readonly definition: ProjectionDefinition
  readonly dimensions: readonly string[]
  /** The log's hash seed. */
  readonly seed: number
  readonly partitions: readonly PartitionCheckpoint[]
  /** Windows that start before this are hidden, Unix ms. */
  readonly retainedFromMs: number
}

type OpenError = UnknownProjectionError | ModelUnreadableError | StoreUnavailableError

/** Only what an answer carries. */
export const provenanceOf = (model: OpenModel): Provenance => {
  const { projection, generation, pointerVersion, watermarkMs, position } = model
  return { projection, generation, pointerVersion, watermarkMs, position }
}

/** The generation a pointer names, within a snapshot that is already open. */
export const openPointer = Effect.fn("openPointer")(function* (snapshot: ReadSnapshot, pointer: Pointer, tenantId: string) {
  const { projection, generation, pointerVersion } = pointer
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined) return yield* Effect.fail(new ModelUnreadableError({ projection, generation, cause: new Error("generation is not stored") }))
  const definition = yield* Effect.try({
    try: () => parseDefinition(record.definition),
    catch: (cause) => new ModelUnreadableError({ projection, generation, cause })
  })
  const partitions = partitionsOf(yield* snapshot.checkpoints(projection, generation))
  const model: OpenModel = {
    projection,
    generation,
    pointerVersion,
    watermarkMs: watermarkOf(partitions, tenantId, definition.window.outOfOrdernessMs),
    position: positionOf(partitions),
    snapshot,
    tenantId,
    definition,
    dimensions: Object.keys(definition.key),
    seed: hashSeedOf(record.logId),
    partitions,
    retainedFromMs: retainedFromMs(partitions, definition.retentionDays)
  }
  return model
})

/** Opens a snapshot and the projection's active generation in it. The scope releases the snapshot. */
export const openModel = (projection: string, tenantId: string): Effect.Effect<OpenModel, OpenError, ReadModelStore | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const pointer = yield* snapshot.pointer(projection)
    if (pointer !== undefined) return yield* openPointer(snapshot, pointer, tenantId)
    const valid = (yield* snapshot.pointers).map((known) => known.projection).sort()
    return yield* Effect.fail(new UnknownProjectionError({ projection, valid }))
  })
