/** Accepted events that a projection could not fold. */
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { DeadLetter } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { QueryError } from "./errors.ts"
import { readLedgerPage } from "./ledgerPage.ts"
import type { LedgerInput } from "./ledgerPage.ts"
import { openModel } from "./openModel.ts"
import type { Page } from "./page.ts"

/** A page of the tenant's dead letters, in log order. */
export const deadLetters = (input: LedgerInput, tenantId: string): Effect.Effect<Page<DeadLetter>, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.gen(function* () {
    const model = yield* openModel(input.projection, tenantId)
    return (yield* readLedgerPage(model, input, (snapshot, ledger) => snapshot.deadLetters(ledger))).page
  }))
