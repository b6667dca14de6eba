/** The read model a request answers from: one projection's active generation in one snapshot, as it is or as it was. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import type { PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint, Pointer, ReadSnapshot, RowScan, StoreUnavailableError, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { candidateIndex } from "./candidates.ts"
import type { CandidateIndex } from "./candidates.ts"
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

/** Where rows come from. `E`: what reading them can end in. */
export interface RowSource<E> {
  /** Visits the rows in chunks, in any order. */
  readonly scan: (query: RowScan, visit: (rows: readonly StoredRow[]) => void) => Effect.Effect<void, E>
}

/** A model that rows are read from, now or as of an earlier position. */
export interface ReadableModel<E = StoreUnavailableError> extends Provenance {
  readonly rows: RowSource<E>
  readonly tenantId: string
  readonly definition: ProjectionDefinition
  readonly dimensions: readonly string[]
  /** The log's hash seed. */
  readonly seed: number
  /** Windows that start before this are hidden, Unix ms. */
  readonly retainedFromMs: number
  /** Where an index of windows is kept beside the store, and the model is read as it is. */
  readonly candidates?: CandidateIndex<E>
}

/** The model as it is. */
export interface OpenModel extends ReadableModel {
  readonly snapshot: ReadSnapshot
  readonly partitions: readonly PartitionCheckpoint[]
}

type OpenError = UnknownProjectionError | ModelUnreadableError | StoreUnavailableError

/** Only what an answer carries. */
export const provenanceOf = (model: Provenance): Provenance => {
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
    rows: snapshot,
    tenantId,
    definition,
    dimensions: Object.keys(definition.key),
    seed: hashSeedOf(record.logId),
    partitions,
    retainedFromMs: retainedFromMs(partitions, definition.retentionDays)
  }
  return model
})

/** The model as it was where `prefixes` say; `rows` must be its rows there. */
export const modelAt = <E>(model: OpenModel, prefixes: readonly PrefixClocks[], rows: RowSource<E>): ReadableModel<E> => {
  const { tenantId, definition, dimensions, seed } = model
  return {
    ...provenanceOf(model), rows, tenantId, definition, dimensions, seed,
    watermarkMs: watermarkOf(prefixes, tenantId, definition.window.outOfOrdernessMs),
    position: positionOf(prefixes),
    retainedFromMs: retainedFromMs(prefixes, definition.retentionDays)
  }
}

/** Opens a snapshot and the projection's active generation in it. The scope releases the snapshot. */
export const openModel = (projection: string, tenantId: string): Effect.Effect<OpenModel, OpenError, ReadModelStore | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const pointer = yield* snapshot.pointer(projection)
    if (pointer !== undefined) {
      const model = yield* openPointer(snapshot, pointer, tenantId)
      const index = yield* Effect.serviceOption(WindowIndex)
      return Option.isNone(index) ? model : { ...model, candidates: candidateIndex(store, index.value, model) }
    }
    const valid = (yield* snapshot.pointers).map((known) => known.projection).sort()
    return yield* Effect.fail(new UnknownProjectionError({ projection, valid }))
  })
