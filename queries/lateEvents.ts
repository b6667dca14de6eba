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
import type { Page } from "./page.ts"

export interface LateEvent {
  readonly entry: LateEntry
  readonly generation: number
  readonly key: readonly Dimension[]
}

/** A page of the late ledger, in log order. */
export const lateEvents = (input: LedgerInput, tenantId: string): Effect.Effect<Page<LateEvent>, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.gen(function* () {
    const model = yield* openModel(input.projection, tenantId)
    const { generation, page } = yield* readLedgerPage(model, input, (snapshot, ledger) => snapshot.late(ledger))
    const edges = page.edges.map(({ cursor, node: entry }) => ({ cursor, node: { entry, generation, key: labelled(model.dimensions, entry.key) } }))
    return { ...page, edges }
  }))
