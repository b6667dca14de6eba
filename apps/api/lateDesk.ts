/**
 * Held events as the API releases them. A change reads the stores as they are now: it must not decide on the snapshot that
 * the questions of its request share. Rules: docs/semantics.md §5.
 */
import { applyLate } from "@tidemark/commands/late/applyLate"
import type { ApplyLate } from "@tidemark/commands/late/applyLate"
import type { Act } from "@tidemark/commands/settings/decideAndAppend"
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Calls answer with effects that need nothing more; they fail with the errors of the command. */
export const makeLateDesk = (services: Context.Context<EventLog | ReadModelStore>) => ({
  apply: (command: ApplyLate, act: Act) => Effect.provide(applyLate(command, act), services)
})

export type LateDesk = ReturnType<typeof makeLateDesk>
