/** Refused events as the API sends them again: checked and appended as ingest does it in this process. */
import { loadRedrive, redriveRejected } from "@tidemark/commands/rejected/redriveRejected"
import type { Accept, RedriveRejected } from "@tidemark/commands/rejected/redriveRejected"
import type { Act } from "@tidemark/commands/settings/decideAndAppend"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"

export interface RedriveDeskOptions {
  readonly services: Context.Context<EventStore | RejectedLog>
  readonly accept: Accept
  /** Does the tenant refuse types without a schema? */
  readonly isStrict: (tenantId: string) => boolean
}

/** Calls answer with effects that need nothing more; they fail with the errors of the commands. */
export const makeRedriveDesk = ({ services, accept, isStrict }: RedriveDeskOptions) => ({
  redrive: (command: Omit<RedriveRejected, "strict">, act: Act) => Effect.provide(redriveRejected({ ...command, strict: isStrict(command.tenantId) }, act, accept), services),
  /** How it ended, when it was sent again. */
  redriven: (tenantId: string, entryId: string) => Effect.provide(Effect.map(loadRedrive(tenantId, entryId), (redrive) => redrive?.redriven ?? null), services)
})

export type RedriveDesk = ReturnType<typeof makeRedriveDesk>
