/**
 * The rejected log on LMDB: one record per entry in the order of its tenant, and where each entry id stands.
 *
 * Entry ids are told apart within a tenant, so that no tenant can hide an entry of another.
 */
import { RejectedLog, RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent, RejectedLogShape } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Database } from "lmdb"
import { fromText, toText } from "./jsonCodec.ts"
import { openEnvironment } from "./lmdbEnvironment.ts"
import type { EnvironmentOpenError, EnvironmentOptions, Transact } from "./lmdbEnvironment.ts"
import { OFFSET_END } from "./modelStores.ts"
import type { Key } from "./modelStores.ts"

export type RejectedLogOptions = EnvironmentOptions

interface Stores {
  readonly transact: Transact
  /** [tenant, receivedAtMs, entry id] → entry. */
  readonly entries: Database<string, Key>
  /** [tenant, entry id] → receivedAtMs. */
  readonly times: Database<string, Key>
}

const put = ({ transact, entries, times }: Stores, added: readonly RejectedEvent[]): void =>
  transact(() => {
    for (const entry of added) {
      const { tenantId, entryId, receivedAtMs } = entry
      if (times.get([tenantId, entryId]) !== undefined) continue
      times.putSync([tenantId, entryId], toText(receivedAtMs))
      entries.putSync([tenantId, receivedAtMs, entryId], toText(entry))
    }
  })

/** Walks down from the last one seen. Text sorts above every time, so `OFFSET_END` is above the newest entry. */
const page = ({ entries, times }: Stores, tenantId: string, limit: number, after: string | undefined): readonly RejectedEvent[] => {
  if (limit <= 0) return []
  const seen = after === undefined ? undefined : times.get([tenantId, after])
  if (after !== undefined && seen === undefined) return []
  const start: Key = after === undefined || seen === undefined ? [tenantId, OFFSET_END] : [tenantId, fromText<number>(seen), after]
  const found: RejectedEvent[] = []
  for (const { value } of entries.getRange({ start, exclusiveStart: true, end: [tenantId], reverse: true, limit })) found.push(fromText<RejectedEvent>(value))
  return found
}

const attempt = <A>(action: () => A): Effect.Effect<A, RejectedLogError> => Effect.try({ try: action, catch: (cause) => new RejectedLogError({ cause }) })

const makeRejectedLog = (stores: Stores): RejectedLogShape => ({
  put: (entries) => attempt(() => put(stores, entries)),
  page: (tenantId, limit, after) => attempt(() => page(stores, tenantId, limit, after))
})

/** The rejected log in `options.directory`, closed with the scope. Nothing comes after an unknown `after`. */
export const rejectedLogLmdb = (options: RejectedLogOptions): Layer.Layer<RejectedLog, EnvironmentOpenError> =>
  Layer.effect(
    RejectedLog,
    openEnvironment(options).pipe(
      Effect.map(({ root, transact }) => {
        const named = (name: string) => root.openDB<string, Key>({ name, encoding: "string" })
        return makeRejectedLog({ transact, entries: named("entries"), times: named("times") })
      })
    )
  )
