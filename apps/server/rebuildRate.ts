/** How quickly the rebuild that runs in this process folds: a moving average, and the last one known for plans. */

const SPAN_MS = 10_000

export interface RebuildRate {
  readonly note: (rebuildId: string, processed: bigint, nowMs: number) => void
  /** Records a second over the last 10 s; undefined for one that is not built here. */
  readonly of: (rebuildId: string) => number | undefined
  /** Of the last rebuild; undefined before the first. */
  readonly last: () => number | undefined
  readonly ended: () => void
}

export const makeRebuildRate = (): RebuildRate => {
  let running: { readonly rebuildId: string; readonly samples: { readonly atMs: number; readonly processed: bigint }[] } | undefined
  let known: number | undefined
  let isMeasured = false
  return {
    note: (rebuildId, processed, nowMs) => {
      const current = running?.rebuildId === rebuildId ? running : { rebuildId, samples: [] }
      if (current !== running) isMeasured = false
      running = current
      const { samples } = current
      samples.push({ atMs: nowMs, processed })
      while (samples[0] !== undefined && samples[0].atMs < nowMs - SPAN_MS) samples.shift()
      const first = samples[0]
      if (first === undefined || nowMs <= first.atMs || processed <= first.processed) return
      known = (Number(processed - first.processed) * 1_000) / (nowMs - first.atMs)
      isMeasured = true
    },
    of: (rebuildId) => (isMeasured && running?.rebuildId === rebuildId ? known : undefined),
    last: () => known,
    ended: () => void (running = undefined)
  }
}
