/**
 * What was folded since the last flush, by partition, tenant, base window and key.
 *
 * Kept per partition and not per lane: which keys a window admits is decided by each partition's offset order alone,
 * and it can be decided at the flush because a key's first offset is known here. Rules: docs/semantics.md §4, §5.
 */
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import type { Accumulator } from "@tidemark/domain/measures/measure"
import { mergeAccumulators } from "@tidemark/domain/measures/measure"

/** A key of one tenant as rows are stored with it. */
export interface KeyName {
  readonly keyId: string
  readonly key: readonly string[]
}

/** Names of keys that were used lately are kept: most keys come in window after window. */
const NAMES_MAX = 20_000

/** Sums since the last flush. Offsets and counts are safe integers; hash halves are summed apart, exact below 2^21 events. */
export interface Delta {
  readonly keyId: string
  readonly key: readonly string[]
  readonly accumulators: readonly Accumulator[]
  events: number
  lateEvents: number
  backfillEvents: number
  hashHiSum: number
  hashLoSum: number
  minOffset: number
  maxOffset: number
}

/** Deltas of one base window, by the text of their key. */
export interface WindowDeltas {
  readonly tenantId: string
  readonly windowStartMs: number
  readonly keys: Map<string, Delta>
}

/** An event counted at an offset (its own, or that of the record that released it). */
export interface Counted {
  readonly offset: number
  readonly hashHi: number
  readonly hashLo: number
}

export const createDelta = ({ keyId, key }: KeyName, accumulators: readonly Accumulator[]): Delta => ({
  keyId, key, accumulators, events: 0, lateEvents: 0, backfillEvents: 0, hashHiSum: 0, hashLoSum: 0, minOffset: Infinity, maxOffset: -Infinity
})

/** Adds `from` to `into`, whose key stays. */
export const mergeDelta = (into: Delta, from: Delta): void => {
  into.events += from.events
  into.lateEvents += from.lateEvents
  into.backfillEvents += from.backfillEvents
  into.hashHiSum += from.hashHiSum
  into.hashLoSum += from.hashLoSum
  into.minOffset = Math.min(into.minOffset, from.minOffset)
  into.maxOffset = Math.max(into.maxOffset, from.maxOffset)
  for (const [at, accumulator] of into.accumulators.entries()) {
    const other = from.accumulators[at]
    if (other !== undefined) mergeAccumulators(accumulator, other)
  }
}

/** One text per key: parts are length-prefixed where there are several. */
const keyText = (key: readonly string[]): string => {
  if (key.length === 1) return key[0] ?? ""
  let text = ""
  for (const part of key) text += `${part.length}:${part}`
  return text
}

/** Windows of a tenant, and the one asked for last: most events fall into the same one as the tenant's event before. */
interface TenantWindows {
  readonly windows: Map<number, WindowDeltas>
  last: WindowDeltas | undefined
}

/** Deltas of one partition of one generation. */
export class DeltaTable {
  /** Number of deltas: rows of the base resolution that a flush would write at most. */
  size = 0
  private readonly tenants = new Map<string, TenantWindows>()
  private readonly names = new Map<string, Map<string, KeyName>>()
  private named = 0
  private readonly createAccumulators: () => Accumulator[]

  constructor(createAccumulators: () => Accumulator[]) {
    this.createAccumulators = createAccumulators
  }

  /** Counts an event; answers the accumulators its measures go to. `key` is copied when it is new. */
  count(tenantId: string, windowStartMs: number, key: readonly string[], { offset, hashHi, hashLo }: Counted, late: boolean, backfill: boolean): readonly Accumulator[] {
    const { keys } = this.window(tenantId, windowStartMs)
    const text = keyText(key)
    let delta = keys.get(text)
    if (delta === undefined) {
      delta = createDelta(this.name(tenantId, text, key), this.createAccumulators())
      keys.set(text, delta)
      this.size += 1
    }
    delta.events += 1
    if (late) delta.lateEvents += 1
    if (backfill) delta.backfillEvents += 1
    delta.hashHiSum += hashHi
    delta.hashLoSum += hashLo
    if (offset < delta.minOffset) delta.minOffset = offset
    if (offset > delta.maxOffset) delta.maxOffset = offset
    return delta.accumulators
  }

  windows(): readonly WindowDeltas[] {
    return [...this.tenants.values()].flatMap(({ windows }) => [...windows.values()])
  }

  clear(): void {
    this.tenants.clear()
    this.size = 0
  }

  private name(tenantId: string, text: string, key: readonly string[]): KeyName {
    let names = this.names.get(tenantId)
    let name = names?.get(text)
    if (name !== undefined) return name
    if (this.named >= NAMES_MAX) {
      this.names.clear()
      this.named = 0
      names = undefined
    }
    if (names === undefined) this.names.set(tenantId, (names = new Map()))
    name = { keyId: keyIdOf(tenantId, key), key: [...key] }
    names.set(text, name)
    this.named += 1
    return name
  }

  private window(tenantId: string, windowStartMs: number): WindowDeltas {
    let tenant = this.tenants.get(tenantId)
    if (tenant === undefined) this.tenants.set(tenantId, (tenant = { windows: new Map(), last: undefined }))
    if (tenant.last?.windowStartMs === windowStartMs) return tenant.last
    let window = tenant.windows.get(windowStartMs)
    if (window === undefined) tenant.windows.set(windowStartMs, (window = { tenantId, windowStartMs, keys: new Map() }))
    tenant.last = window
    return window
  }
}
