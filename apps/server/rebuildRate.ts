/** How quickly the rebuilds that run in this process fold: moving averages, and the last one known for plans. */

const SPAN_MS = 10_000

export interface RebuildRate {
  readonly note: (rebuildId: string, processed: bigint, nowMs: number) => void
  /** Records a second over the last 10 s; undefined for one that is not built here. */
  readonly of: (rebuildId: string) => number | undefined
  /** Of the last rebuild; undefined before the first. */
  readonly last: () => number | undefined
  readonly ended: (rebuildId: string) => void
}

interface Running {
  readonly samples: { readonly atMs: number; readonly processed: bigint }[]
  perSecond: number | undefined
}

export const makeRebuildRate = (): RebuildRate => {
  const running = new Map<string, Running>()
  let known: number | undefined
  return {
    note: (rebuildId, processed, nowMs) => {
      const current: Running = running.get(rebuildId) ?? { samples: [], perSecond: undefined }
      running.set(rebuildId, current)
      const { samples } = current
      samples.push({ atMs: nowMs, processed })
      while (samples[0] !== undefined && samples[0].atMs < nowMs - SPAN_MS) samples.shift()
      const first = samples[0]
      if (first === undefined || nowMs <= first.atMs || processed <= first.processed) return
      current.perSecond = known = (Number(processed - first.processed) * 1_000) / (nowMs - first.atMs)
    },
    of: (rebuildId) => running.get(rebuildId)?.perSecond,
    last: () => known,
    ended: (rebuildId) => void running.delete(rebuildId)
  }
}
