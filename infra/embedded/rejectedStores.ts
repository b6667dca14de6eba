/** How rejected events lie in their LMDB environment, and how they are written to it. */
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import type { Database, RootDatabase } from "lmdb"
import { toText } from "./jsonCodec.ts"
import type { Transact } from "./lmdbEnvironment.ts"
import type { Key } from "./modelStores.ts"

export interface RejectedStores {
  readonly transact: Transact
  /** [tenant, receivedAtMs, entry id] → entry. */
  readonly entries: Database<string, Key>
  /** [tenant, entry id] → receivedAtMs. */
  readonly times: Database<string, Key>
}

export const rejectedStores = (root: RootDatabase<string, Key>, transact: Transact): RejectedStores => {
  const named = (name: string) => root.openDB<string, Key>({ name, encoding: "string" })
  return { transact, entries: named("entries"), times: named("times") }
}

/** What became of one put: durable, or nothing of it is stored. */
export type PutOutcome = { readonly kind: "stored" } | { readonly kind: "failed"; readonly reason: string }

const add = ({ entries, times }: RejectedStores, added: readonly RejectedEvent[]): void => {
  for (const entry of added) {
    const { tenantId, entryId, receivedAtMs } = entry
    if (times.get([tenantId, entryId]) !== undefined) continue
    times.putSync([tenantId, entryId], toText(receivedAtMs))
    entries.putSync([tenantId, receivedAtMs, entryId], toText(entry))
  }
}

const STORED: PutOutcome = { kind: "stored" }

const putOne = (stores: RejectedStores, added: readonly RejectedEvent[]): PutOutcome => {
  try {
    stores.transact(() => add(stores, added))
    return STORED
  } catch (error) {
    return { kind: "failed", reason: String(error) }
  }
}

/**
 * Puts in one commit, and where that fails each in one of its own, so that none fails for another's sake. Nothing more is
 * written once the disk did not sync: what it then says of a later commit means nothing.
 */
export const putTogether = (stores: RejectedStores, puts: readonly (readonly RejectedEvent[])[], isUnsynced: () => boolean = () => false): readonly PutOutcome[] => {
  const [only] = puts
  if (only !== undefined && puts.length === 1) return [putOne(stores, only)]
  const together = putOne(stores, puts.flat())
  return puts.map((added) => (together.kind === "stored" || isUnsynced() ? together : putOne(stores, added)))
}
