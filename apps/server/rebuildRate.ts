/** How quickly the rebuilds that run in this process fold, and what takes their time: moving averages, and the last rate known for plans. Pure. */
import type { TimeSpent } from "@tidemark/replay/pace"

const SPAN_MS = 10_000

/** What one rebuild that is carried out here does now. */
export interface RateFigures {
  /** Records a second over the last 10 s; undefined before the first records are committed. */
  readonly perSecond: number | undefined
  /** The lowest and the highest such average of the last 10 s. */
  readonly slowest: number | undefined
  readonly quickest: number | undefined
  /** The last such average while nothing slowed it; undefined while it was slowed ever since it began. */
  readonly unslowed: number | undefined
  /** Shares of the last 10 s of its threads, together 1; undefined while nothing was timed. */
  readonly time: Readonly<Record<keyof TimeSpent, number>> | undefined
}

/** What was found of a rebuild at one moment. */
export interface RateSample {
  readonly atMs: number
  /** Records folded, from its checkpoints. */
  readonly processed: bigint
  /** Of its threads since they began. */
  readonly spent: TimeSpent
  /** Whether it was held back when it was looked at. */
  readonly isSlowed: boolean
}

export interface RebuildRate {
  readonly note: (rebuildId: string, sample: RateSample) => void
  /** Undefined for one that is not built here, or of which nothing is known yet. */
  readonly of: (rebuildId: string) => RateFigures | undefined
  /** Records a second of the last rebuild; undefined before the first. */
  readonly last: () => number | undefined
  readonly ended: (rebuildId: string) => void
}

interface Running {
  readonly samples: RateSample[]
  readonly averages: { readonly atMs: number; readonly perSecond: number }[]
  slowedMs: number
  figures: RateFigures | undefined
}

const sharesOf = (before: TimeSpent, now: TimeSpent): RateFigures["time"] => {
  const nanos = { read: Number(now.read - before.read), fold: Number(now.fold - before.fold), write: Number(now.write - before.write), throttle: Number(now.throttle - before.throttle) }
  const all = nanos.read + nanos.fold + nanos.write + nanos.throttle
  return all <= 0 ? undefined : { read: nanos.read / all, fold: nanos.fold / all, write: nanos.write / all, throttle: nanos.throttle / all }
}

const forget = (list: { readonly atMs: number }[], beforeMs: number): void => {
  while (list[0] !== undefined && list[0].atMs < beforeMs) list.shift()
}

const NOTHING: RateFigures = { perSecond: undefined, slowest: undefined, quickest: undefined, unslowed: undefined, time: undefined }

const take = (running: Running, sample: RateSample): void => {
  const { samples, averages } = running
  samples.push(sample)
  forget(samples, sample.atMs - SPAN_MS)
  if (sample.isSlowed) running.slowedMs = sample.atMs
  const [first] = samples
  if (first === undefined || sample.atMs <= first.atMs) return
  const time = sharesOf(first.spent, sample.spent)
  // What is folded counts once it is committed, which may be seconds later.
  if (sample.processed <= first.processed) {
    if (time !== undefined) running.figures = { ...(running.figures ?? NOTHING), time }
    return
  }
  const perSecond = (Number(sample.processed - first.processed) * 1_000) / (sample.atMs - first.atMs)
  averages.push({ atMs: sample.atMs, perSecond })
  forget(averages, sample.atMs - SPAN_MS)
  const rates = averages.map((one) => one.perSecond)
  const isFree = sample.atMs - running.slowedMs > SPAN_MS || running.slowedMs === -Infinity
  running.figures = { perSecond, slowest: Math.min(...rates), quickest: Math.max(...rates), unslowed: isFree ? perSecond : running.figures?.unslowed, time }
}

export const makeRebuildRate = (): RebuildRate => {
  const known = new Map<string, Running>()
  let last: number | undefined
  return {
    note: (rebuildId, sample) => {
      const running: Running = known.get(rebuildId) ?? { samples: [], averages: [], slowedMs: -Infinity, figures: undefined }
      known.set(rebuildId, running)
      take(running, sample)
      last = running.figures?.perSecond ?? last
    },
    of: (rebuildId) => known.get(rebuildId)?.figures,
    last: () => last,
    ended: (rebuildId) => void known.delete(rebuildId)
  }
}
