/** The way of a rebuild as a track: when each phase began and how long it took, where it left the way, and its log. Pure. */
import { labelOf } from "./rebuild.ts"
import type { RebuildStatus, RebuildStep } from "./rebuild.ts"

/** The way of a rebuild that nothing disturbs. */
export const PHASES = ["PLANNED", "PREPARING", "BUILDING", "CATCHING_UP", "VERIFYING", "READY", "ACTIVE", "STANDBY", "RETIRED"] as const

export interface TrackPhase {
  readonly status: RebuildStatus
  readonly label: string
  readonly state: "done" | "now" | "skipped" | "open"
  /** When it came there first; undefined where it never did. */
  readonly beganMs: number | undefined
  /** How long it was there, every time together, the time until now included. */
  readonly tookMs: number | undefined
}

export interface Track {
  readonly phases: readonly TrackPhase[]
  /** Where it has left the way: paused, failed, aborted; undefined while it is on it. */
  readonly exit: { readonly status: RebuildStatus; readonly label: string; readonly sinceMs: number | undefined } | undefined
}

/** Nothing happens after these. */
const LAST: readonly RebuildStatus[] = ["RETIRED", "ABORTED"]

interface Stay {
  beganMs: number
  tookMs: number
}

const staysOf = (history: readonly RebuildStep[], nowMs: number): ReadonlyMap<RebuildStatus, Stay> => {
  const stays = new Map<RebuildStatus, Stay>()
  for (const [at, step] of history.entries()) {
    const fromMs = Date.parse(step.at)
    const next = history[at + 1]
    const untilMs = next === undefined ? (LAST.includes(step.status) ? fromMs : Math.max(nowMs, fromMs)) : Date.parse(next.at)
    const stay = stays.get(step.status) ?? { beganMs: fromMs, tookMs: 0 }
    stay.tookMs += untilMs - fromMs
    stays.set(step.status, stay)
  }
  return stays
}

/** Where it stands on the way, or would go on. */
const placeOf = (status: RebuildStatus, history: readonly RebuildStep[]): number => {
  const own = PHASES.findIndex((phase) => phase === status)
  if (own >= 0) return own
  const last = history.findLast((step) => PHASES.some((phase) => phase === step.status))
  return PHASES.findIndex((phase) => phase === last?.status)
}

/** Once it serves, standby is only where it went back. */
export const trackOf = (status: RebuildStatus, history: readonly RebuildStep[], nowMs: number): Track => {
  const stays = staysOf(history, nowMs)
  const place = placeOf(status, history)
  const isOnWay = PHASES.some((phase) => phase === status)
  const phases = PHASES.map((phase, at): TrackPhase => {
    const stay = stays.get(phase)
    const state = at === place && isOnWay ? "now" : stay !== undefined ? "done" : at < place ? "skipped" : "open"
    return { status: phase, label: labelOf(phase), state, beganMs: stay?.beganMs, tookMs: phase === "RETIRED" ? undefined : stay?.tookMs }
  })
  const last = history.at(-1)
  return { phases, exit: isOnWay ? undefined : { status, label: labelOf(status), sinceMs: last === undefined ? undefined : Date.parse(last.at) } }
}

/** One line of the log. */
export interface LogLine {
  readonly atMs: number
  readonly text: string
}

/** What happened, the newest first; a step that stays where it was says only what is new. */
export const logOf = (history: readonly RebuildStep[]): readonly LogLine[] =>
  history.map(({ status, at, detail }, index): LogLine => {
    const isSame = history[index - 1]?.status === status
    return { atMs: Date.parse(at), text: detail === null ? labelOf(status) : isSame ? detail : `${labelOf(status)}: ${detail}` }
  }).toReversed()
