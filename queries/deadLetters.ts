/** Accepted events that a projection could not fold. */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import type { EventLog, StoredAt } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { DeadLetter } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { QueryError } from "./errors.ts"
import { eventAt } from "./eventAt.ts"
import { readLedgerPage } from "./ledgerPage.ts"
import type { LedgerInput } from "./ledgerPage.ts"
import type { LoggedEvent } from "./loggedEvent.ts"
import { openModel } from "./openModel.ts"
import type { Page } from "./page.ts"

export interface DeadLetterPage extends Page<DeadLetter> {
  /** Of the definition that could not fold them. */
  readonly definitionHash: string
}

/** A page of the tenant's dead letters, in log order. */
export const deadLetters = (input: LedgerInput, tenantId: string): Effect.Effect<DeadLetterPage, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.gen(function* () {
    const model = yield* openModel(input.projection, tenantId)
    const { generation, page } = yield* readLedgerPage(model, input, (snapshot, ledger) => snapshot.deadLetters(ledger))
    return { ...page, definitionHash: (yield* model.snapshot.generation(model.projection, generation))?.definitionHash ?? "" }
  }))

/** The event of a dead letter, as the log has it; null where that is no event that can be read, or is no longer stored. */
export const deadEvent = (place: StoredAt, tenantId: string): Effect.Effect<LoggedEvent | null, QueryError, EventLog> =>
  Effect.catchTag(Effect.map(eventAt(place, tenantId), (found) => found ?? null), "OffsetOutOfRangeError", () => Effect.succeed(null))

/** Would a rebuild with a definition count this dead letter's event? */
export type FoldTest = (letter: Pick<DeadLetter, "code">, logged: LoggedEvent) => boolean

/**
 * The test for one definition. False also for what it would leave out, and for what only retention keeps out while it has
 * one. `seed`: the log's hash seed.
 */
export const foldTestOf = (definition: ProjectionDefinition, seed: number): FoldTest => {
  const { extract } = compileDefinition(definition, seed)
  const out = createExtraction()
  return ({ code }, { event }) => !(code === "WINDOW_EXPIRED" && definition.retentionDays !== undefined) && extract(event, out) === "ok"
}
