/** Keys admitted so far per (tenant, base window, partition), as committed. Rules: docs/semantics.md §4 key explosion. */
import type { KeyCount } from "@tidemark/domain/ports/ReadModelStore"

const CACHED_WINDOWS_MAX = 2_000

export interface WindowKey {
  readonly tenantId: string
  readonly windowStartMs: number
}

const textOf = ({ tenantId, windowStartMs }: WindowKey): string => `${windowStartMs}:${tenantId}`

/** Counts of the windows a lane has touched lately. */
export class KeyCounts {
  private readonly windows = new Map<string, Map<number, number>>()

  /** Of these windows, those whose counts have to be read from the store, each once. */
  missing(windows: readonly WindowKey[]): readonly WindowKey[] {
    const missing = new Map<string, WindowKey>()
    for (const { tenantId, windowStartMs } of windows) {
      const text = textOf({ tenantId, windowStartMs })
      if (!this.windows.has(text)) missing.set(text, { tenantId, windowStartMs })
    }
    return [...missing.values()]
  }

  /** Takes what the store said of `windows`; those it said nothing of have no keys yet. */
  load(windows: readonly WindowKey[], counts: readonly KeyCount[]): void {
    for (const window of windows) this.windows.set(textOf(window), new Map())
    for (const count of counts) this.windows.get(textOf(count))?.set(count.partition, count.keys)
  }

  /** Whether the window has no keys in any partition of the lane: then it has no rows. */
  isEmpty(window: WindowKey): boolean {
    for (const keys of this.windows.get(textOf(window))?.values() ?? []) if (keys > 0) return false
    return true
  }

  get(window: WindowKey, partition: number): number {
    return this.windows.get(textOf(window))?.get(partition) ?? 0
  }

  set(window: WindowKey, partition: number, keys: number): void {
    this.windows.get(textOf(window))?.set(partition, keys)
  }

  /** Call it after a commit only. */
  trim(): void {
    for (const text of this.windows.keys()) {
      if (this.windows.size <= CACHED_WINDOWS_MAX) return
      this.windows.delete(text)
    }
  }
}
