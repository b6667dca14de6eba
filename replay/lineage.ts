/** The answer to "why this number": the proof of a window, and one page of the events behind it. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { proveWindow } from "./windowProof.ts"
import type { LineageEvent, Place, ProofBounds, ProofError, ProvedWindow, WindowProof } from "./windowProof.ts"

export interface LineageInput extends ProvedWindow {
  /** A page of the events: at most `limit`, after this place. */
  readonly limit: number
  readonly after?: Place
  /** What the answer may cost; `LINEAGE_BOUNDS` when absent. */
  readonly bounds?: ProofBounds
}

export interface Lineage extends WindowProof {
  /** In (partition, offset) order. */
  readonly events: readonly LineageEvent[]
  readonly hasNextPage: boolean
}

/** Below the time after which a question is given up. */
export const LINEAGE_BOUNDS: ProofBounds = { recordsMax: 5_000_000n, workMsMax: 8_000 }

const isAfter = (event: Place, after: Place): boolean =>
  event.partition > after.partition || (event.partition === after.partition && event.offset > after.offset)

/** Keeps the first `limit` events after a place, and whether there are more; the rest is forgotten at once. */
const makePage = (limit: number, after: Place | undefined) => {
  const kept: LineageEvent[] = []
  const add = (event: LineageEvent): void => {
    if (after !== undefined && !isAfter(event, after)) return
    let at = kept.length
    for (let last = kept[at - 1]; last !== undefined && isAfter(last, event); last = kept[at - 1]) at -= 1
    if (at > limit) return
    kept.splice(at, 0, event)
    if (kept.length > limit + 1) kept.pop()
  }
  return { add, page: () => ({ events: kept.slice(0, limit), hasNextPage: kept.length > limit }) }
}

/** The events behind one window of one generation, with the proof that they are all of them and no others. */
export const why = (input: LineageInput): Effect.Effect<Lineage, ProofError, ReadModelStore | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const { add, page } = makePage(input.limit, input.after)
    const proof = yield* proveWindow(snapshot, input, input.bounds ?? LINEAGE_BOUNDS, add)
    return { ...proof, ...page() }
  }))
