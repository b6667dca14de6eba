/** The journey of one event: what was received, and what every projection made of it. */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection } from "@tidemark/domain/definitions/compile"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { readMeasure } from "@tidemark/domain/measures/measure"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import { RESOLUTIONS, windowOf } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { labelled } from "./dimensions.ts"
import type { Dimension } from "./dimensions.ts"
import { ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { loggedEvent } from "./loggedEvent.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import { MergedPartials, allParts } from "./mergePartials.ts"
import { openPointer } from "./openModel.ts"
import type { OpenModel } from "./openModel.ts"
import { windowState } from "./windowState.ts"
import type { WindowState } from "./windowState.ts"

/** FOLDED on time, APPLIED late, HELD late, or not counted for the reason named; PENDING is not reached yet. */
export type EventOutcome = "FOLDED" | "APPLIED" | "HELD" | "DUPLICATE" | "DEAD_LETTER" | "FILTERED" | "PENDING"

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
  /** What it added or, when held, would have added: measure part → decimal text. */
  readonly contribution: readonly { readonly name: string; readonly text: string }[]
  readonly lateByMs: number | null
  /** Of a dead letter. */
  readonly code: string | null
  readonly pointer: string | null
}

export interface EventJourney extends LoggedEvent {
  readonly windows: readonly EventWindow[]
  /** Where the same id stands again, oldest first within a partition. */
  readonly repetitions: readonly LoggedEvent[]
}

export interface EventInput {
  readonly id: string
  /** The log's hash seed. */
  readonly seed: number
}

const REPETITIONS_MAX = 100
const SCAN_RECORDS_MAX = 2_000_000

const contributionOf = (compiled: CompiledProjection, out: ReturnType<typeof createExtraction>): EventWindow["contribution"] => {
  const accumulators = compiled.createAccumulators()
  compiled.apply(out, accumulators)
  return allParts(compiled.definition).flatMap(({ part, name, spec, index }) => {
    const accumulator = accumulators[index]
    const text = accumulator === undefined ? null : readMeasure(part, name, spec, accumulator).text
    return text === null ? [] : [{ name: part, text }]
  })
}

type Ledgers = { readonly outcome: EventOutcome; readonly lateByMs: number | null; readonly code: string | null; readonly pointer: string | null }

/** What the ledgers of a generation say about one record. */
const ledgerOutcome = Effect.fn("ledgerOutcome")(function* (model: OpenModel, partition: number, offset: bigint) {
  const { projection, generation, snapshot } = model
  const none = { lateByMs: null, code: null, pointer: null }
  const nextOffset = model.position.find((part) => part.partition === partition)?.nextOffset ?? 0n
  if (offset >= nextOffset) return { ...none, outcome: "PENDING" } satisfies Ledgers
  const range = { projection, generation, partition, min: offset, max: offset }
  if ((yield* snapshot.duplicatesIn(range)).length > 0) return { ...none, outcome: "DUPLICATE" } satisfies Ledgers
  const [dead] = yield* snapshot.deadLettersIn(range)
  if (dead !== undefined) return { ...none, outcome: "DEAD_LETTER", code: dead.code, pointer: dead.pointer } satisfies Ledgers
  const [late] = yield* snapshot.lateIn(range)
  if (late !== undefined) return { ...none, outcome: late.outcome === "held" ? "HELD" : "APPLIED", lateByMs: late.lateByMs } satisfies Ledgers
  return { ...none, outcome: "FOLDED" } satisfies Ledgers
})

/** Counts of one key's base window over all lanes, and the partitions that admitted the key. */
const readWindow = Effect.fn("readEventWindow")(function* (model: OpenModel, startMs: number, key: readonly string[]) {
  const { projection, generation, tenantId, snapshot } = model
  const merged = new MergedPartials([])
  const partitions = new Set<number>()
  const scan = { projection, generation, tenantId, resolution: RESOLUTIONS[0].code, fromMs: startMs, toMs: startMs + 1, keyId: keyIdOf(tenantId, key) }
  yield* snapshot.scan(scan, (rows) => {
    for (const row of rows) {
      merged.add(row)
      for (const { partition } of row.offsets) partitions.add(partition)
    }
  })
  return { key, counts: merged, partitions }
})

/**
 * The base window that counted the event: under its own key where the event's partition admitted it, else `__other__`
 * (semantics §4). `countedIn` undefined: not counted, so its own key's window stands for where it would have gone.
 */
const countingRow = Effect.fn("countingRow")(function* (model: OpenModel, startMs: number, key: readonly string[], countedIn: number | undefined) {
  const own = yield* readWindow(model, startMs, [...key])
  return countedIn === undefined || own.partitions.has(countedIn) ? own : yield* readWindow(model, startMs, key.map(() => OTHER))
})

const inModel = Effect.fn("eventInModel")(function* (model: OpenModel, logged: LoggedEvent, seed: number) {
  const { projection, generation, definition } = model
  const compiled = yield* Effect.try({
    try: () => compileDefinition(definition, seed),
    catch: (cause) => new ModelUnreadableError({ projection, generation, cause })
  })
  const out = createExtraction()
  const extracted = compiled.extract(logged.event, out)
  const ledger: Ledgers = yield* ledgerOutcome(model, logged.partition, logged.offset)
  const placed = extracted === "ok" && ledger.outcome !== "DUPLICATE" && ledger.outcome !== "DEAD_LETTER"
  const { startMs, endMs } = windowOf(logged.event.timeMs, definition.window.sizeMs)
  const counted = ledger.outcome === "FOLDED" || ledger.outcome === "APPLIED"
  const row = placed ? yield* countingRow(model, startMs, out.key, counted ? logged.partition : undefined) : undefined
  const answer: EventWindow = {
    projection,
    generation,
    ...ledger,
    outcome: extracted === "filtered" && ledger.outcome === "FOLDED" ? "FILTERED" : ledger.outcome,
    startMs: placed ? startMs : null,
    endMs: placed ? endMs : null,
    state: row === undefined ? null : windowState(endMs, model.watermarkMs, row.counts),
    key: row === undefined ? [] : labelled(model.dimensions, row.key),
    contribution: placed ? contributionOf(compiled, out) : []
  }
  return answer
})

/** The first event with this id that counts, or null when the tenant's log has none. */
export const event = (input: EventInput, tenantId: string): Effect.Effect<EventJourney | null, QueryError, ReadModelStore | SearchIndex | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const index = yield* SearchIndex
    const page = yield* index.searchEvents({ tenantId, eventId: input.id }, { limit: REPETITIONS_MAX, scanMaxRecords: SCAN_RECORDS_MAX })
    const found = page.hits
      .flatMap(({ partition, offset, value }) => loggedEvent(partition, offset, value) ?? [])
      .filter((logged) => logged.event.tenantId === tenantId && logged.event.id === input.id)
      .sort((a, b) => a.event.receivedAtMs - b.event.receivedAtMs || a.partition - b.partition || (a.offset < b.offset ? -1 : 1))
    const [first, ...repetitions] = found
    if (first === undefined) return null
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const pointers = [...(yield* snapshot.pointers)].sort((a, b) => (a.projection < b.projection ? -1 : 1))
    const windows = yield* Effect.forEach(pointers, (pointer) =>
      Effect.flatMap(openPointer(snapshot, pointer, tenantId), (model) => inModel(model, first, input.seed)))
    return { ...first, windows, repetitions }
  }))
