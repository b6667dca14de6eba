/** Events that ingest refused, newest first. */
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import { entryCursor, readEntryCursor } from "./cursor.ts"
import type { QueryError } from "./errors.ts"
import { PAGE_DEFAULT, pageSize } from "./limits.ts"
import { pageOf } from "./page.ts"
import type { Page } from "./page.ts"

export interface RejectedInput {
  readonly first?: number
  readonly after?: string
}

/** A page of the tenant's rejected events. */
export const rejectedEvents = (input: RejectedInput, tenantId: string): Effect.Effect<Page<RejectedEvent>, QueryError, RejectedLog> =>
  Effect.gen(function* () {
    const limit = yield* pageSize(input.first, PAGE_DEFAULT)
    const after = input.after === undefined ? undefined : yield* readEntryCursor(input.after)
    const log = yield* RejectedLog
    return pageOf(yield* log.page(tenantId, limit + 1, after), limit, ({ entryId }) => entryCursor(entryId))
  })
