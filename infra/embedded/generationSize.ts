/** What a generation takes of an LMDB environment: its part of each named store's pages, by the number of entries. */
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationSize } from "@tidemark/domain/ports/generationSize"
import type { GenerationId, GenerationRecord } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { fromText } from "./jsonCodec.ts"
import { OFFSET_END } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"
import { generationRowRanges, tenantsOf } from "./retention.ts"

/** Of a named store, as the client answers them. */
interface StoreStats {
  readonly pageSize: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
  readonly entryCount: number
}

/** `entries` of all entries of the store, in bytes of its pages. */
const shareOf = (store: { readonly getStats: () => object }, entries: number): number => {
  const { pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages, entryCount } = store.getStats() as StoreStats
  return entryCount === 0 ? 0 : (pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages) * entries) / entryCount
}

const keysBelow = (store: ModelStores["late"], prefix: Key): number => store.getKeysCount({ start: prefix, end: [...prefix, OFFSET_END] })

const isThere = (stores: ModelStores, { projection, generation }: GenerationId): boolean => {
  const text = stores.generations.get([projection, generation])
  return text !== undefined && fromText<GenerationRecord>(text).isDropped !== true
}

const attempt = <A>(action: () => A): Effect.Effect<A, StoreUnavailableError> => Effect.try({ try: action, catch: (cause) => new StoreUnavailableError({ store: "lmdb", cause }) })

/** Each entry of the late ledger and of the dead letters is kept under its tenant, too. */
const ledgerBytes = (stores: ModelStores, { projection, generation }: GenerationId): number => {
  let bytes = shareOf(stores.duplicates, keysBelow(stores.duplicates, [projection, generation]))
  for (const ledger of [stores.late, stores.deadLetters]) bytes += shareOf(ledger, 2 * keysBelow(ledger, ["p", projection, generation]))
  let counts = 0
  for (const tenantId of tenantsOf(stores)) counts += keysBelow(stores.keyCounts, [tenantId, projection, generation])
  return bytes + shareOf(stores.keyCounts, counts)
}

/** Entries counted at once: about a hundredth of a second, and other work of the thread comes between. */
const STEP = 50_000

const countRange = Effect.fn("countRange")(function* ({ rows }: ModelStores, { start, end }: { readonly start: Buffer; readonly end: Buffer }, step: number) {
  let [from, count] = [start, 0]
  for (;;) {
    const next = yield* attempt(() => {
      const [key] = rows.getKeys({ start: from, end, offset: step, limit: 1 })
      return key === undefined ? rows.getKeysCount({ start: from, end }) : key
    })
    if (typeof next === "number") return count + next
    count += step
    from = Buffer.from(next)
    yield* Effect.yieldNow
  }
})

/** Reads every key of its rows, a million in a fifth of a second, `step` at a time. */
export const generationSize = Effect.fn("generationSize")(function* (stores: ModelStores, id: GenerationId, step = STEP) {
  if (!(yield* attempt(() => isThere(stores, id)))) return undefined
  let rows = 0
  for (const range of yield* attempt(() => [...generationRowRanges(stores, id)])) rows += yield* countRange(stores, range, step)
  const bytes = yield* attempt(() => shareOf(stores.rows, rows) + ledgerBytes(stores, id))
  return { rows: BigInt(rows), bytes: BigInt(Math.round(bytes)) } satisfies GenerationSize as GenerationSize
})
