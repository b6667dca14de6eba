/** How long answers take now, and how long they took while nothing was rebuilt. Counts and times only. */

const RECENT_MS = 3_000
/** Fewer answers say nothing. */
const ANSWERS_MIN = 20
const ANSWERS_MAX = 2_000

interface Answer {
  readonly atMs: number
  readonly ms: number
}

export interface LatencyWatch {
  readonly note: (ms: number, nowMs: number) => void
  /** From now on answers no longer count as undisturbed, or do again. */
  readonly disturb: (isDisturbed: boolean) => void
  /** p95 of the last 3 s; undefined with fewer than 20 answers. */
  readonly recentP95Ms: (nowMs: number) => number | undefined
  /** p95 of the last 2,000 undisturbed answers; undefined with fewer than 20. */
  readonly usualP95Ms: () => number | undefined
}

/** Nearest rank. */
const p95 = (answers: readonly Answer[]): number | undefined => (answers.length < ANSWERS_MIN ? undefined : answers.map(({ ms }) => ms).sort((a, b) => a - b)[Math.ceil(answers.length * 0.95) - 1])

export const makeLatencyWatch = (): LatencyWatch => {
  const usual: Answer[] = []
  const recent: Answer[] = []
  let [isDisturbed, usualCached] = [false, undefined as number | undefined]
  return {
    note: (ms, nowMs) => {
      for (const answers of isDisturbed ? [recent] : [usual]) {
        answers.push({ atMs: nowMs, ms })
        if (answers.length > 2 * ANSWERS_MAX) answers.splice(0, ANSWERS_MAX)
      }
    },
    disturb: (now) => {
      if (now === isDisturbed) return
      isDisturbed = now
      recent.length = 0
      usualCached = undefined
    },
    recentP95Ms: (nowMs) => p95(recent.filter(({ atMs }) => atMs > nowMs - RECENT_MS)),
    // Undisturbed answers do not change while it is asked for all the time.
    usualP95Ms: () => (usualCached = isDisturbed ? (usualCached ?? p95(usual.slice(-ANSWERS_MAX))) : p95(usual.slice(-ANSWERS_MAX)))
  }
}
