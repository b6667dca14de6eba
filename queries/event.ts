/** The journey of one event: what was received, and what every projection made of it. */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { readMeasure } from "@tidemark/domain/measures/measure"
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import * as Effect from "effect/Effect"
import { labelled } from "./dimensions.ts"
import type { Dimension } from "./dimensions.ts"
import { ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { eventAt } from "./eventAt.ts"
import { countingRow, findRelease } from "./eventPlaces.ts"
import type { EventPlace, EventRelease } from "./eventPlaces.ts"
import { findEvent } from "./findEvent.ts"
import type { FoundEvent } from "./findEvent.ts"
import { ledgerOutcome } from "./ledgerOutcome.ts"
import type { EventOutcome } from "./ledgerOutcome.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import { allParts } from "./mergePartials.ts"
import { openPointer } from "./openModel.ts"
import type { OpenModel } from "./openModel.ts"
import type { WindowState } from "./windowState.ts"

export interface EventWindow {
  readonly projection: string
  readonly generation: number
  readonly outcome: EventOutcome
  /** Base window, null when the event belongs to none. */
  readonly startMs: number | null
  readonly endMs: number | null
  /** State of that window, as `window` answers it. */
  readonly state: WindowState | null
  readonly key: readonly Dimension[]
  /** Minute, hour and day that it counts in, or would; none when it belongs to no window. */
  readonly places: readonly EventPlace[]
  /** What it added or, when held, would have added: measure part → decimal text. */
  readonly contribution: readonly { readonly name: string; readonly text: string }[]
  readonly lateByMs: number | null
  /** APPLIED by hand after it had been held. */
  readonly wasHeld: boolean
  /** The record that released it; null when it is not known. */
  readonly release: EventRelease | null
  /** Of a dead letter. */
  readonly code: string | null
  readonly pointer: string | null
}

export interface EventJourney extends LoggedEvent {
  readonly windows: readonly EventWindow[]
  /** Where the same event stands again, oldest first; other events with its id are none. */
  readonly repetitions: readonly LoggedEvent[]
  /** There are more repetitions than are listed. */
  readonly repetitionsTruncated: boolean
}

export interface EventInput {
  readonly id: string
  /** The log's hash seed. */
  readonly seed: number
  /** Where it is stored, when that is known: then nothing is searched, and its repetitions are not listed. */
  readonly at?: StoredAt
}

const contributionOf = (compiled: CompiledProjection, out: ReturnType<typeof createExtraction>): EventWindow["contribution"] => {
  const accumulators = compiled.createAccumulators()
  compiled.apply(out, accumulators)
  return allParts(compiled.definition).flatMap(({ part, name, spec, index }) => {
    const accumulator = accumulators[index]
    const text = accumulator === undefined ? null : readMeasure(part, name, spec, accumulator).text
    return text === null ? [] : [{ name: part, text }]
  })
}

/** What these came to belongs to no window. */
const PLACELESS: readonly EventOutcome[] = ["DUPLICATE", "DEAD_LETTER", "UNCOVERED"]

const inModel = Effect.fn("eventInModel")(function* (model: OpenModel, logged: LoggedEvent, seed: number) {
  const { projection, generation, definition } = model
  const compiled = yield* Effect.try({
    try: () => compileDefinition(definition, seed),
    catch: (cause) => new ModelUnreadableError({ projection, generation, cause })
  })
  const out = createExtraction()
  const extracted = compiled.extract(logged.event, out)
  const ledger = yield* ledgerOutcome(model, logged.partition, logged.offset)
  const placed = extracted === "ok" && !PLACELESS.includes(ledger.outcome)
  const counted = ledger.outcome === "FOLDED" || ledger.outcome === "APPLIED"
  const row = placed ? yield* countingRow(model, logged.event.timeMs, out.key, counted ? logged.partition : undefined) : undefined
  const [minute] = row?.places ?? []
  const wasHeld = ledger.outcome === "APPLIED" && (ledger.lateByMs ?? 0) >= definition.window.reviseWithinMs
  const answer: EventWindow = {
    projection,
    generation,
    ...ledger,
    outcome: extracted === "filtered" && ledger.outcome === "FOLDED" ? "FILTERED" : ledger.outcome,
    startMs: minute?.startMs ?? null,
    endMs: minute?.endMs ?? null,
    state: minute?.state ?? null,
    key: row === undefined ? [] : labelled(model.dimensions, row.key),
    places: row?.places ?? [],
    contribution: placed ? contributionOf(compiled, out) : [],
    wasHeld,
    release: wasHeld && row !== undefined ? yield* findRelease(logged, row) : null
  }
  return answer
})

/** The one record at a place, when it is this tenant's event with this id. */
const recordAt = Effect.fn("recordAt")(function* (place: StoredAt, id: string, tenantId: string) {
  const logged = yield* eventAt(place, tenantId)
  return logged?.event.id === id ? { first: logged, repetitions: [], repetitionsTruncated: false } satisfies FoundEvent : null
})

/** The newest event with this id that counts, or null when the tenant's log has none. */
export const event = (input: EventInput, tenantId: string): Effect.Effect<EventJourney | null, QueryError, ReadModelStore | SearchIndex | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const pointers = [...(yield* snapshot.pointers)].sort((a, b) => (a.projection < b.projection ? -1 : 1))
    const models = yield* Effect.forEach(pointers, (pointer) => openPointer(snapshot, pointer, tenantId))
    const found = input.at === undefined ? yield* findEvent(input.id, tenantId, models) : yield* recordAt(input.at, input.id, tenantId)
    if (found === null) return null
    const { first, repetitions, repetitionsTruncated } = found
    const windows = yield* Effect.forEach(models, (model) => inModel(model, first, input.seed))
    return { ...first, windows, repetitions, repetitionsTruncated }
  }))
