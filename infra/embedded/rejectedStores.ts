/** How rejected events lie in their LMDB environment, and how they are written to it. */
import type { RejectedLimits } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import type { Database, RootDatabase } from "lmdb"
import { fromText, toText } from "./jsonCodec.ts"
import type { Transact } from "./lmdbEnvironment.ts"
import { OFFSET_END } from "./modelStores.ts"
import type { Key } from "./modelStores.ts"

export interface RejectedStores {
  readonly transact: Transact
  /** [tenant, receivedAtMs, entry id] → entry. */
  readonly entries: Database<string, Key>
  /** [tenant, entry id] → receivedAtMs. */
  readonly times: Database<string, Key>
  /** [tenant] → bytes of its entries; absent of a tenant whose entries were not counted yet. */
  readonly sizes: Database<string, Key>
  readonly limits: RejectedLimits
}

export const rejectedStores = (root: RootDatabase<string, Key>, transact: Transact, limits: RejectedLimits): RejectedStores => {
  const named = (name: string) => root.openDB<string, Key>({ name, encoding: "string" })
  return { transact, limits, entries: named("entries"), times: named("times"), sizes: named("sizes") }
}

/** A tenant that meets its limit keeps this share of it, so that it does not meet it again with the next put. */
const KEPT_SHARE = 0.9

const bytesOf = (text: string): number => Buffer.byteLength(text)

const entriesOf = ({ entries }: RejectedStores, tenantId: string) => entries.getRange({ start: [tenantId], end: [tenantId, OFFSET_END] })

const sizeOf = (stores: RejectedStores, tenantId: string): number => {
  const known = stores.sizes.get([tenantId])
  if (known !== undefined) return fromText<number>(known)
  let bytes = 0
  for (const { value } of entriesOf(stores, tenantId)) bytes += bytesOf(value)
  return bytes
}

/** Removes the oldest entries of a tenant as long as `isToGo` says so of the next one, given the bytes gone so far; answers their number and bytes. */
const dropOldest = (stores: RejectedStores, tenantId: string, isToGo: (receivedAtMs: number, bytes: number, dropped: number) => boolean): { readonly dropped: number; readonly bytes: number } => {
  const gone: Key[] = []
  let bytes = 0
  for (const { key, value } of entriesOf(stores, tenantId)) {
    if (!isToGo(Number(key[1]), bytes, gone.length)) break
    gone.push(key)
    bytes += bytesOf(value)
  }
  for (const key of gone) {
    stores.entries.removeSync(key)
    stores.times.removeSync([tenantId, key[2] ?? ""])
  }
  return { dropped: gone.length, bytes }
}

/** What became of one put: durable, or nothing of it is stored. */
export type PutOutcome = { readonly kind: "stored" } | { readonly kind: "failed"; readonly reason: string }

const add = (stores: RejectedStores, added: readonly RejectedEvent[]): void => {
  const { entries, times, sizes, limits } = stores
  const counted = new Map<string, number>()
  for (const entry of added) {
    const { tenantId, entryId, receivedAtMs } = entry
    if (times.get([tenantId, entryId]) !== undefined) continue
    const text = toText(entry)
    counted.set(tenantId, (counted.get(tenantId) ?? sizeOf(stores, tenantId)) + bytesOf(text))
    times.putSync([tenantId, entryId], toText(receivedAtMs))
    entries.putSync([tenantId, receivedAtMs, entryId], text)
  }
  for (const [tenantId, bytes] of counted) {
    const excess = bytes > limits.bytesMax ? bytes - limits.bytesMax * KEPT_SHARE : 0
    const gone = excess > 0 ? dropOldest(stores, tenantId, (_receivedAtMs, sum) => sum < excess).bytes : 0
    sizes.putSync([tenantId], toText(bytes - gone))
  }
}

/** Entries that are dropped in one go when they are too old. */
const PRUNED_MAX = 1_000

const firstTenant = ({ entries }: RejectedStores, after: string | undefined): string | undefined => {
  const start: Key | undefined = after === undefined ? undefined : [after, OFFSET_END]
  for (const { key } of entries.getRange({ ...(start === undefined ? {} : { start }), limit: 1 })) return String(key[0])
  return undefined
}

/** Drops some of the entries that were received before `beforeMs`, each tenant's in one commit; answers how many. None: none is left. */
export const pruneSome = (stores: RejectedStores, beforeMs: number): number => {
  let pruned = 0
  for (let tenantId = firstTenant(stores, undefined); tenantId !== undefined && pruned < PRUNED_MAX; tenantId = firstTenant(stores, tenantId)) {
    const tenant = tenantId
    const [oldest] = [...stores.entries.getRange({ start: [tenant], end: [tenant, OFFSET_END], limit: 1 })]
    if (oldest === undefined || Number(oldest.key[1]) >= beforeMs) continue
    const room = PRUNED_MAX - pruned
    pruned += stores.transact(() => {
      const size = sizeOf(stores, tenant)
      const { dropped, bytes } = dropOldest(stores, tenant, (receivedAtMs, _bytes, gone) => receivedAtMs < beforeMs && gone < room)
      stores.sizes.putSync([tenant], toText(size - bytes))
      return dropped
    })
  }
  return pruned
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
