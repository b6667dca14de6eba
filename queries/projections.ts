/** What is served: every projection with its active generation, how far it is and how it fares. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt, Pointer } from "@tidemark/domain/ports/ReadModelStore"
import type { StaleView } from "@tidemark/domain/ports/staleView"
import { isPause } from "@tidemark/domain/ports/projectionPause"
import * as Effect from "effect/Effect"
import type { QueryError } from "./errors.ts"
import { PAGE_MAX } from "./limits.ts"
import { allParts } from "./mergePartials.ts"
import { openPointer, provenanceOf } from "./openModel.ts"
import type { OpenModel, Provenance } from "./openModel.ts"

export interface ProjectionStatus extends Provenance {
  readonly version: number
  readonly definitionHash: string
  /** The pinned definition, canonical JSON. */
  readonly definition: string
  readonly dimensions: readonly string[]
  /** Parts of measures, as they are asked for. */
  readonly measures: readonly string[]
  /** PAUSED: somebody wanted it so; HALTED: it cannot go on. */
  readonly status: "LIVE" | "HALTED" | "PAUSED"
  /** Why it stands still, a pause included. */
  readonly halts: readonly Halt[]
  /** Records of the log not yet folded. */
  readonly lagEvents: bigint
  /** Late events and dead letters of the tenant, counted up to 1,000. */
  readonly lateEvents: number
  readonly deadLetters: number
  /** Where the generation served before handed over; null before the first cut-over. */
  readonly handOver: NonNullable<Pointer["handOver"]> | null
  /** The view for BI tools where it shows another generation than this; null where it does not. */
  readonly staleView: StaleView | null
  readonly outOfOrdernessMs: number
  readonly reviseWithinMs: number
}

/** Ends of the log, by partition. */
export const logEnds: Effect.Effect<ReadonlyMap<number, bigint>, QueryError, EventLog> = Effect.gen(function* () {
  const log = yield* EventLog
  const ends = new Map<number, bigint>()
  for (let partition = 0; partition < log.identity.partitions; partition++) ends.set(partition, (yield* log.bounds(partition)).end)
  return ends
})

const lagOf = (model: OpenModel, ends: ReadonlyMap<number, bigint>): bigint =>
  model.position.reduce((sum, { partition, nextOffset }) => {
    const end = ends.get(partition) ?? nextOffset
    return end > nextOffset ? sum + (end - nextOffset) : sum
  }, 0n)

const describe = Effect.fn("describeProjection")(function* (model: OpenModel, pointer: Pointer, ends: ReadonlyMap<number, bigint>, halts: readonly Halt[], staleViews: readonly StaleView[]) {
  const { projection, generation, tenantId, snapshot, definition } = model
  const page = { projection, generation, tenantId, limit: PAGE_MAX }
  const record = yield* snapshot.generation(projection, generation)
  const own = halts.filter((halt) => halt.projection === projection)
  const halted = own.filter((halt) => halt.generation === generation)
  const pauses = own.filter(isPause)
  const status: ProjectionStatus = {
    ...provenanceOf(model),
    version: definition.version,
    definitionHash: record?.definitionHash ?? "",
    definition: record?.definition ?? "",
    dimensions: model.dimensions,
    measures: allParts(definition).map(({ part }) => part),
    status: halted.length > 0 ? "HALTED" : pauses.length > 0 ? "PAUSED" : "LIVE",
    halts: [...halted, ...pauses],
    lagEvents: lagOf(model, ends),
    lateEvents: (yield* snapshot.late(page)).length,
    deadLetters: (yield* snapshot.deadLetters(page)).length,
    handOver: pointer.handOver ?? null,
    staleView: staleViews.find((view) => view.projection === projection) ?? null,
    outOfOrdernessMs: definition.window.outOfOrdernessMs,
    reviseWithinMs: definition.window.reviseWithinMs
  }
  return status
})

/** Every projection that has an active generation, by name. All from one snapshot. */
export const projections = (_input: Readonly<Record<string, never>>, tenantId: string): Effect.Effect<readonly ProjectionStatus[], QueryError, ReadModelStore | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const ends = yield* logEnds
    const halts = yield* snapshot.halts
    const staleViews = yield* snapshot.staleViews
    const pointers = [...(yield* snapshot.pointers)].sort((a, b) => (a.projection < b.projection ? -1 : 1))
    return yield* Effect.forEach(pointers, (pointer) => Effect.flatMap(openPointer(snapshot, pointer, tenantId), (model) => describe(model, pointer, ends, halts, staleViews)))
  }))
