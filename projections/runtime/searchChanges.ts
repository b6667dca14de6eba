/** What the outbox says has changed, each window once however often it changed. */
import type { ReadModelStoreShape, RowKey, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

const ENTRIES_PAGE = 50
/** Collecting stops here: many changes of few windows are worth one look, the index never waits for long, and memory is bounded. */
const KEYS_MAX = 40_000

/** Windows of one generation. */
export interface ChangedWindows {
  readonly projection: string
  readonly generation: number
  readonly keys: readonly RowKey[]
}

export interface Changes {
  readonly keys: readonly ChangedWindows[]
  /** The last outbox sequence that is covered. */
  readonly upTo: bigint
  /** Nothing lay beyond it: what comes later may wait for a next look. */
  readonly isAll: boolean
}

/** Changes after a sequence; undefined when there are none. */
export const collectChanges = (store: ReadModelStoreShape, consumer: string, after: bigint): Effect.Effect<Changes | undefined, StoreUnavailableError> =>
  Effect.gen(function* () {
    const models = new Map<string, { readonly projection: string; readonly generation: number; readonly keys: Map<string, RowKey> }>()
    let upTo = after
    let isAll = false
    for (let found = 0; found < KEYS_MAX;) {
      const entries = yield* store.readOutbox(consumer, upTo, ENTRIES_PAGE)
      for (const { lane: { projection, generation }, hints } of entries) {
        const name = `${projection}/${generation}`
        const model = models.get(name) ?? { projection, generation, keys: new Map<string, RowKey>() }
        models.set(name, model)
        for (const { tenantId, resolution, windowStartMs, keyId } of hints) model.keys.set(`${resolution} ${windowStartMs} ${keyId} ${tenantId}`, { tenantId, resolution, windowStartMs, keyId })
      }
      const last = entries.at(-1)
      if (last !== undefined) upTo = last.sequence
      isAll = entries.length < ENTRIES_PAGE
      if (isAll) break
      found = 0
      for (const { keys } of models.values()) found += keys.size
    }
    if (upTo === after) return undefined
    return { upTo, isAll, keys: [...models.values()].map(({ projection, generation, keys }) => ({ projection, generation, keys: [...keys.values()] })) }
  })
