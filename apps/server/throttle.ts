/**
 * How quickly a rebuild may fold: as quickly as it can while nothing live suffers, less while something does, never more
 * than somebody's cap. It gives way at once and comes back slowly; it never stands still. Answers that stay slow while it
 * all but stands still are slow for another reason: they are what is usual from then on. Pure.
 */

/** p95 of answers beside what it was without a rebuild; undefined: not known. `process`: the other one that gives them. */
export interface Latency {
  readonly name: string
  readonly process?: string
  readonly recentMs: number | undefined
  readonly usualMs: number | undefined
}

/** What suffers: the served projections' lag, and answers. */
export interface Vitals {
  readonly liveLagMs: number
  readonly latencies: readonly Latency[]
}

export interface ThrottleInput {
  readonly capPerSecond: number | null
  /** Records a second that it has folded of late. */
  readonly ratePerSecond: number | undefined
  readonly vitals: Vitals
  readonly nowMs: number
}

/** What is allowed, events a second, undefined: all it can; and why not. */
export interface Throttle {
  readonly allowedPerSecond: number | undefined
  readonly reason: string | undefined
}

/** Served projections further behind than this suffer. */
const LAG_MS_MAX = 1_000
/** Answers that take so many times as long as usual suffer, unless it is a matter of less than `SLACK_MS`. */
const LATENCY_TIMES_MAX = 1.5
const SLACK_MS = 10
/** Where it is not known what is usual. */
const LATENCY_MS_MAX = 250

const SLOWER = 0.6
const FASTER = 1.15
/** A step down shows its effect before the next one. */
const SETTLE_MS = 1_500
/** However much suffers, a rebuild comes to its end. */
export const PER_SECOND_MIN = 5_000
/** At the least rate for so long, what answers take is not the rebuild's doing. */
const LEAST_MS = 5_000
/** Of a rebuild that nothing was measured of yet. */
const PER_SECOND_FIRST = 20_000

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
const millis = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

/** What suffers, in words; undefined: nothing. */
export const sufferingOf = ({ liveLagMs, latencies }: Vitals): string | undefined => {
  if (liveLagMs > LAG_MS_MAX) return `live lag ${seconds(liveLagMs)}`
  for (const { name, process, recentMs, usualMs } of latencies) {
    if (recentMs === undefined) continue
    const where = process === undefined ? "" : " in another process"
    if (usualMs === undefined && recentMs > LATENCY_MS_MAX) return `${name} p95 ${millis(recentMs)}${where}`
    if (usualMs !== undefined && recentMs > Math.max(usualMs * LATENCY_TIMES_MAX, usualMs + SLACK_MS)) return `${name} p95 ${millis(recentMs)}${where}, ${millis(usualMs)} without a rebuild`
  }
  return undefined
}

const placeOf = ({ name, process = "" }: Latency): string => `${process} ${name}`

/** Asked again every while; remembers what it gave way to. */
export const makeThrottle = (): ((input: ThrottleInput) => Throttle) => {
  let allowed: number | undefined
  let [cause, downMs] = ["", -Infinity]
  /** Since when it goes at the least rate. */
  let leastMs: number | undefined
  /** What was found to be usual meanwhile, by process and name. */
  const usual = new Map<string, number>()
  /** What is usual now: the longer one of before the rebuild and of its stand. */
  const known = ({ liveLagMs, latencies }: Vitals): Vitals => ({
    liveLagMs,
    latencies: latencies.map((latency) => {
      const found = usual.get(placeOf(latency))
      return found === undefined ? latency : { ...latency, usualMs: Math.max(latency.usualMs ?? 0, found) }
    })
  })
  const learn = ({ vitals, nowMs }: ThrottleInput): void => {
    leastMs = allowed === PER_SECOND_MIN ? (leastMs ?? nowMs) : undefined
    if (leastMs === undefined || nowMs < leastMs + LEAST_MS) return
    for (const latency of vitals.latencies) if (latency.recentMs !== undefined) usual.set(placeOf(latency), latency.recentMs)
    leastMs = nowMs
  }
  const giveWay = (suffering: string, { ratePerSecond, nowMs }: ThrottleInput): void => {
    cause = suffering
    if (nowMs < downMs + SETTLE_MS) return
    downMs = nowMs
    const reached = Math.min(allowed ?? Infinity, ratePerSecond ?? Infinity)
    allowed = Math.max(PER_SECOND_MIN, (Number.isFinite(reached) ? reached : PER_SECOND_FIRST) * SLOWER)
  }
  const comeBack = ({ ratePerSecond }: ThrottleInput): void => {
    if (allowed === undefined) return
    allowed *= FASTER
    // What it does not use is no limit.
    if (ratePerSecond !== undefined && allowed > 3 * ratePerSecond) allowed = undefined
  }
  return (input) => {
    learn(input)
    const suffering = sufferingOf(known(input.vitals))
    if (suffering === undefined) comeBack(input)
    else giveWay(suffering, input)
    const { capPerSecond } = input
    if (capPerSecond !== null && capPerSecond <= (allowed ?? Infinity)) return { allowedPerSecond: capPerSecond, reason: `capped at ${capPerSecond} events/s` }
    if (allowed === undefined) return { allowedPerSecond: undefined, reason: undefined }
    return { allowedPerSecond: Math.round(allowed), reason: suffering === undefined ? `comes back after: ${cause}` : `gives way: ${suffering}` }
  }
}
