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

/** Entries looked at for one page; with a condition a page may be short of `first` and still have a next one. */
const ENTRIES_MAX = 10_000
const CHUNK_ENTRIES = 1_000

/** The first entries after a place that meet a condition, one more than `limit` when there are more; and where the search ended, when it did not reach the end. */
const findEntries = <Entry extends Placed>(snapshot: ReadSnapshot, page: LedgerPage, read: ReadLedger<Entry>, isWanted: (entry: Entry) => boolean) =>
  Effect.gen(function* () {
    const found: Entry[] = []
    let after: Placed | undefined = page.after
    for (let looked = 0; looked < ENTRIES_MAX; looked += CHUNK_ENTRIES) {
      const chunk: readonly Entry[] = yield* read(snapshot, { ...page, ...(after === undefined ? {} : { after: { partition: after.partition, offset: after.offset } }), limit: CHUNK_ENTRIES })
      for (const entry of chunk) if (found.length < page.limit && isWanted(entry)) found.push(entry)
      if (found.length === page.limit || chunk.length < CHUNK_ENTRIES) return { found, searchedTo: undefined }
      after = chunk.at(-1)
    }
    return { found, searchedTo: after }
  })

/** Entries in (partition, offset) order; only those that meet the condition, when there is one. */
export const readLedgerPage = <Entry extends Placed>(model: OpenModel, input: LedgerInput, read: ReadLedger<Entry>, isWanted?: (entry: Entry) => boolean) =>
  Effect.gen(function* () {
    const limit = yield* pageSize(input.first, PAGE_DEFAULT)
    const after = input.after === undefined ? undefined : yield* readLedgerCursor(input.after)
    const generation = after?.generation ?? model.generation
    if ((yield* model.snapshot.generation(model.projection, generation)) === undefined) {
      return yield* Effect.fail(new CursorError({ detail: "its generation is gone: start from the first page" }))
    }
    const place = after === undefined ? {} : { after: { partition: after.partition, offset: after.offset } }
    const ledger: LedgerPage = { projection: model.projection, generation, tenantId: model.tenantId, ...place, limit: limit + 1 }
    const cursorOf = ({ partition, offset }: Placed): string => ledgerCursor({ generation, partition, offset })
    if (isWanted === undefined) return { generation, page: pageOf(yield* read(model.snapshot, ledger), limit, cursorOf) }
    const { found, searchedTo } = yield* findEntries(model.snapshot, ledger, read, isWanted)
    const page = pageOf(found, limit, cursorOf)
    return { generation, page: searchedTo === undefined ? page : { ...page, hasNextPage: true, endCursor: cursorOf(searchedTo) } }
  })
