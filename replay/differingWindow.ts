/**
 * A window that two generations have otherwise, seen from its events: which of them each side counts, what each side makes
 * of them, and the first one after which the two part. Read again from the log; nothing is taken from a stored list.
 * Rules: docs/semantics.md §8.
 */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadSnapshot, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { DivergingEvent } from "@tidemark/domain/settings/rebuild/differences"
import * as Effect from "effect/Effect"
import { collect, firstApart } from "./firstDivergence.ts"
import type { Sides, Step } from "./firstDivergence.ts"
import { sidesOf } from "./parity.ts"
import { openSide } from "./parityWindows.ts"
import type { ComparisonGoneError, Comparing } from "./parityWindows.ts"
import { WindowFold } from "./windowFold.ts"
import type { WindowPlace } from "./windowFold.ts"
import type { LineageEvent, ProofBounds, ProofError } from "./windowProof.ts"

/** Somebody waits for the answer. */
const BOUNDS: ProofBounds = { recordsMax: 400_000n, workMsMax: 5_000 }

/** Who counts an event in the window. */
export type CountedBy = "both" | "old" | "new"

export interface SideEvent {
  readonly event: LineageEvent
  readonly countedBy: CountedBy
}

/** By name; null for a side that has no event of the window. */
type Figures = Readonly<Record<string, string>> | null

export interface DifferingWindow {
  readonly old: Figures
  readonly new: Figures
  /** Events that both sides count, and those that only one does. */
  readonly counts: Readonly<Record<CountedBy, number>>
  /** In the order of the log; of more than were asked for, those first that only one side counts. */
  readonly events: readonly SideEvent[]
  readonly firstDivergingEvent: DivergingEvent | null
  /** What is stored is not what its events give, so nothing is told of them; null where it is. */
  readonly fault: string | null
}

export interface DifferingWindowInput {
  readonly projection: string
  readonly oldGeneration: number
  readonly newGeneration: number
  readonly window: WindowPlace
  /** Events told. */
  readonly eventsMax: number
}

const countedBy = ({ old, new: now }: Step): CountedBy => (old === undefined ? "new" : now === undefined ? "old" : "both")

const figuresOf = (side: Sides["old"], events: readonly LineageEvent[]): Figures => {
  if (events.length === 0) return null
  const fold = new WindowFold(side.compiled, side.seed)
  for (const event of events) fold.add(event)
  return fold.figures()
}

/** Up to `eventsMax` of them: those that one side leaves out come before the others, and all stand in the order of the log. */
const toldOf = (steps: readonly Step[], eventsMax: number): readonly SideEvent[] => {
  const apart = steps.filter((step) => countedBy(step) !== "both")
  const told = new Set([...apart, ...steps.filter((step) => countedBy(step) === "both")].slice(0, eventsMax))
  return steps.filter((step) => told.has(step)).map((step) => ({ event: step.found, countedBy: countedBy(step) }))
}

const openSides = Effect.fn("openSides")(function* (snapshot: ReadSnapshot, { projection, oldGeneration, newGeneration }: DifferingWindowInput) {
  const old = yield* openSide(snapshot, projection, oldGeneration)
  const now = yield* openSide(snapshot, projection, newGeneration)
  const after = Object.keys(now.definition.measures)
  const common = Object.keys(old.definition.measures).filter((name) => after.includes(name))
  const comparing: Comparing = { snapshot, old, new: now, common, sameDefinition: old.record.definitionHash === now.record.definitionHash }
  return yield* sidesOf(comparing)
})

/**
 * Fails with `ComparisonGoneError` once one of the generations is dropped, with `LineageTooLargeError` where its events lie
 * among too many records: look at the shorter windows of the key then.
 */
export const differingWindow = Effect.fn("differingWindow")(function* (input: DifferingWindowInput): Effect.fn.Return<DifferingWindow, ComparisonGoneError | ProofError | StoreUnavailableError, ReadModelStore | EventLog> {
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const sides = yield* openSides(snapshot, input)
    const found = yield* collect(sides, input.window, BOUNDS)
    if ("wrong" in found) return { old: null, new: null, counts: { both: 0, old: 0, new: 0 }, events: [], firstDivergingEvent: null, fault: found.wrong }
    const { steps } = found
    const counts = { both: 0, old: 0, new: 0 }
    for (const step of steps) counts[countedBy(step)] += 1
    const of = (name: "old" | "new"): readonly LineageEvent[] => steps.flatMap((step) => step[name] ?? [])
    return {
      old: figuresOf(sides.old, of("old")), new: figuresOf(sides.new, of("new")), counts, events: toldOf(steps, input.eventsMax), firstDivergingEvent: firstApart(sides, steps) ?? null, fault: null
    }
  }))
})
