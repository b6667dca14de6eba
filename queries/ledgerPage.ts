/** A page of a ledger; a cursor stays on the generation it began with. */
import type { LedgerPage, ReadSnapshot, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { ledgerCursor, readLedgerCursor } from "./cursor.ts"
import { CursorError } from "./errors.ts"
import { PAGE_DEFAULT, pageSize } from "./limits.ts"
import type { OpenModel } from "./openModel.ts"
import { pageOf } from "./page.ts"

export interface LedgerInput {
  readonly projection: string
  readonly first?: number
  readonly after?: string
}

interface Placed {
  readonly partition: number
  readonly offset: bigint
}

type ReadLedger<Entry> = (snapshot: ReadSnapshot, page: LedgerPage) => Effect.Effect<readonly Entry[], StoreUnavailableError>

/** Entries in (partition, offset) order. */
export const readLedgerPage = <Entry extends Placed>(model: OpenModel, input: LedgerInput, read: ReadLedger<Entry>) =>
  Effect.gen(function* () {
    const limit = yield* pageSize(input.first, PAGE_DEFAULT)
    const after = input.after === undefined ? undefined : yield* readLedgerCursor(input.after)
    const generation = after?.generation ?? model.generation
    if ((yield* model.snapshot.generation(model.projection, generation)) === undefined) {
      return yield* Effect.fail(new CursorError({ detail: "its generation is gone: start from the first page" }))
    }
    const place = after === undefined ? {} : { after: { partition: after.partition, offset: after.offset } }
    const entries = yield* read(model.snapshot, { projection: model.projection, generation, tenantId: model.tenantId, ...place, limit: limit + 1 })
    return { generation, page: pageOf(entries, limit, ({ partition, offset }) => ledgerCursor({ generation, partition, offset })) }
  })
