/**
 * The duplicate ledger on LMDB: the duplicates of a partition in one flush are one value under the last of their offsets,
 * so that a range is found by its first bound and read on from there.
 */
import type { DuplicateEntry, LaneId, LedgerRange } from "@tidemark/domain/ports/ReadModelStore"
import type { Transaction } from "lmdb"
import { OFFSET_END, offsetText } from "./modelStores.ts"
import type { Key, ModelStores } from "./modelStores.ts"

/** Tenants of the group, and per entry its offset (decimal) and the place of its tenant; by offset. */
interface Group {
  readonly tenants: readonly string[]
  readonly entries: readonly (readonly [offset: string, tenant: number])[]
}

const groupOf = (entries: readonly DuplicateEntry[]): Group => {
  const tenants = new Map<string, number>()
  const placed = entries.map(({ offset, tenantId }) => {
    const place = tenants.get(tenantId) ?? tenants.size
    tenants.set(tenantId, place)
    return [offset.toString(), place] as const
  })
  return { tenants: [...tenants.keys()], entries: placed }
}

/** Enters the duplicates of one flush. Within a transaction. */
export const writeDuplicates = (stores: ModelStores, { projection, generation }: LaneId, duplicates: readonly DuplicateEntry[]): void => {
  for (const partition of new Set(duplicates.map((entry) => entry.partition))) {
    const inOrder = duplicates.filter((entry) => entry.partition === partition).sort((a, b) => (a.offset < b.offset ? -1 : 1))
    const last = inOrder.at(-1)
    if (last === undefined) continue
    stores.duplicates.putSync([projection, generation, partition, offsetText(last.offset)], JSON.stringify(groupOf(inOrder)))
  }
}

/** Entries of an offset range. */
export const readDuplicates = (stores: ModelStores, transaction: Transaction, { projection, generation, partition, min, max }: LedgerRange): DuplicateEntry[] => {
  const prefix: Key = [projection, generation, partition]
  const found: DuplicateEntry[] = []
  for (const { value } of stores.duplicates.getRange({ start: [...prefix, offsetText(min)], end: [...prefix, OFFSET_END], transaction })) {
    const { tenants, entries } = JSON.parse(value) as Group
    for (const [text, tenant] of entries) {
      const offset = BigInt(text)
      if (offset > max) return found
      if (offset >= min) found.push({ partition, offset, tenantId: tenants[tenant] ?? "" })
    }
  }
  return found
}
