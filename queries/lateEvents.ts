/** Events whose window had closed when they arrived: counted as a correction, or held. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LateEntry } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { labelled } from "./dimensions.ts"
import type { Dimension } from "./dimensions.ts"
import type { QueryError } from "./errors.ts"
import { readLedgerPage } from "./ledgerPage.ts"
import type { LedgerInput } from "./ledgerPage.ts"
import { openModel } from "./openModel.ts"
import type { OpenModel } from "./openModel.ts"
import type { Page } from "./page.ts"

/**
 * AFTER_CLOSE: its minute had closed. AFTER_REVISION: so long ago that the projection does not revise it by itself.
 * EXPIRED: its window had been dropped by retention.
 */
export type LateReason = "AFTER_CLOSE" | "AFTER_REVISION" | "EXPIRED"

export interface LateEvent {
  readonly entry: LateEntry
  readonly generation: number
  readonly key: readonly Dimension[]
  readonly reason: LateReason
  /** It was held on arrival, whatever became of it. */
  readonly wasHeld: boolean
  /** It is held, and a release would count it. */
  readonly canApply: boolean
}

export interface LateEventsInput extends LedgerInput {
  /** Only entries of this outcome. */
  readonly outcome?: LateEntry["outcome"]
}

const lateEvent = (model: OpenModel, generation: number, entry: LateEntry): LateEvent => {
  const isPastRevision = entry.lateByMs >= model.definition.window.reviseWithinMs
  const isHeld = entry.outcome === "held"
  const reason = isPastRevision ? "AFTER_REVISION" : isHeld ? "EXPIRED" : "AFTER_CLOSE"
  return { entry, generation, key: labelled(model.dimensions, entry.key), reason, wasHeld: isHeld || isPastRevision, canApply: isHeld && entry.windowStartMs >= model.retainedFromMs }
}

/** A page of the late ledger, in log order. */
export const lateEvents = (input: LateEventsInput, tenantId: string): Effect.Effect<Page<LateEvent>, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.gen(function* () {
    const model = yield* openModel(input.projection, tenantId)
    const { outcome } = input
    const { generation, page } = yield* readLedgerPage(model, input, (snapshot, ledger) => snapshot.late(ledger), outcome === undefined ? undefined : (entry) => entry.outcome === outcome)
    return { ...page, edges: page.edges.map(({ cursor, node }) => ({ cursor, node: lateEvent(model, generation, node) })) }
  }))
