/** Runs of windows to be read again: few scans, of little more than what was asked for. */
import { windowStart } from "@tidemark/domain/time/window"

/** Whole windows, [fromMs, toMs). */
export interface Run {
  readonly fromMs: number
  readonly toMs: number
}

/** Runs read one by one; more are read as one, with everything between them. */
const RUNS_MAX = 16

/** The runs, joined where they touch, in order of time; at most `RUNS_MAX`. */
export const joinRuns = (runs: readonly Run[]): readonly Run[] => {
  const joined: Run[] = []
  for (const run of runs.filter(({ fromMs, toMs }) => fromMs < toMs).sort((a, b) => a.fromMs - b.fromMs)) {
    const before = joined.at(-1)
    if (before === undefined || before.toMs < run.fromMs) joined.push(run)
    else if (before.toMs < run.toMs) joined[joined.length - 1] = { fromMs: before.fromMs, toMs: run.toMs }
  }
  const [first, last] = [joined[0], joined.at(-1)]
  return joined.length > RUNS_MAX && first !== undefined && last !== undefined ? [{ fromMs: first.fromMs, toMs: last.toMs }] : joined
}

/** The windows of a range whose end the watermark reached when it moved from `fromMs` (null: from none) to `toMs`. */
export const turnedFinal = (fromMs: number | null, toMs: number | null, { sizeMs, within }: { readonly sizeMs: number; readonly within: Run }): Run => ({
  fromMs: fromMs === null ? within.fromMs : Math.max(within.fromMs, windowStart(fromMs, sizeMs)),
  toMs: toMs === null ? within.fromMs : Math.min(within.toMs, windowStart(toMs, sizeMs))
})
