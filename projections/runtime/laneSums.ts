/**
 * What a flush adds to each row of a lane: the deltas of all partitions summed up by base window, from these by hour and
 * from these by day, so that each step has fewer sums to add than the one below it.
 */
import { windowStart } from "@tidemark/domain/time/window"
import type { Delta } from "./deltas.ts"
import { addDelta, addSums, cloneSums, sumsOf } from "./rowSums.ts"
import type { RowSums } from "./rowSums.ts"

/** Sums of one key in one window. */
export interface KeySums {
  readonly tenantId: string
  sums: RowSums
  /** `sums` are also those of a shorter window: they may be read and not changed. */
  isShared: boolean
}

/** By key id, which holds the tenant. */
export type WindowSums = ReadonlyMap<string, KeySums>

/** By start of the window. */
export type LevelSums = ReadonlyMap<number, WindowSums>

const windowIn = (level: Map<number, Map<string, KeySums>>, startMs: number): Map<string, KeySums> => {
  let window = level.get(startMs)
  if (window === undefined) level.set(startMs, (window = new Map()))
  return window
}

/** Sums of base windows. */
export class BaseSums {
  private readonly level = new Map<number, Map<string, KeySums>>()

  /** Adds the deltas of one partition in one window. Their accumulators may be taken over: nobody else may use them any more. */
  add(tenantId: string, windowStartMs: number, partition: number, deltas: readonly Delta[]): void {
    const window = windowIn(this.level, windowStartMs)
    for (const delta of deltas) {
      const known = window.get(delta.keyId)
      if (known === undefined) window.set(delta.keyId, { tenantId, sums: sumsOf(delta, partition), isShared: false })
      else addDelta(known.sums, delta, partition)
    }
  }

  get windows(): LevelSums {
    return this.level
  }
}

/** The sums of longer windows of `sizeMs`, each of which holds whole windows of `level`. */
export const longerSums = (level: LevelSums, sizeMs: number): LevelSums => {
  const longer = new Map<number, Map<string, KeySums>>()
  for (const [startMs, window] of level) {
    const into = windowIn(longer, windowStart(startMs, sizeMs))
    for (const [keyId, { tenantId, sums }] of window) {
      const known = into.get(keyId)
      if (known === undefined) {
        into.set(keyId, { tenantId, sums, isShared: true })
        continue
      }
      if (known.isShared) {
        known.sums = cloneSums(known.sums)
        known.isShared = false
      }
      addSums(known.sums, sums)
    }
  }
  return longer
}
