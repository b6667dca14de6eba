/**
 * What became of one event, as the page tells it. Pure.
 */
import { formatDecimal, formatDuration, formatMoment } from "./format.ts"
import type { Dimension, WindowState } from "./answer.ts"

export type Outcome = "FOLDED" | "APPLIED" | "HELD" | "DUPLICATE" | "DEAD_LETTER" | "FILTERED" | "PENDING" | "UNCOVERED"

/** What one projection made of it. */
export interface Made {
  readonly projection: string
  readonly outcome: Outcome
  readonly key: readonly Dimension[]
  /** Minute, hour, day; none when it belongs to no window. */
  readonly places: readonly { readonly start: string; readonly end: string; readonly events: string; readonly state: WindowState | null }[]
  readonly contribution: readonly { readonly name: string; readonly text: string }[]
  readonly lateByMs: number | null
  readonly release: { readonly offset: string; readonly actor: string | null; readonly reason: string | null } | null
  readonly wasHeld: boolean
  readonly code: string | null
  readonly pointer: string | null
}

export interface Journey {
  readonly received: { readonly at: string; readonly originalTime: string | null; readonly timeFlag: "CORRECTED" | "CLAMPED" | null; readonly source: string }
  readonly validated: { readonly checked: boolean; readonly schemaVersion: number }
  readonly windows: readonly Made[]
}

const WORDS: Readonly<Record<Exclude<Outcome, "APPLIED" | "HELD" | "DEAD_LETTER">, string>> = {
  FOLDED: "counted", DUPLICATE: "a repetition: not counted again", FILTERED: "of no concern to it", PENDING: "not reached yet", UNCOVERED: "before the first record it reads"
}

/** What a projection made of an event, in words. */
export const outcomeText = ({ outcome, lateByMs, wasHeld, release, code, pointer }: Made): string => {
  const late = lateByMs === null ? "" : `, ${formatDuration(lateByMs)} late`
  if (outcome === "APPLIED") return wasHeld ? `counted by hand${late}${release?.reason === undefined || release.reason === null ? "" : `: ${release.reason}`}` : `counted${late}`
  if (outcome === "HELD") return `held, not counted${late}`
  if (outcome === "DEAD_LETTER") return `a dead letter: ${[code, pointer].filter((text) => text !== null && text !== "").join(" ")}`
  return WORDS[outcome]
}

const STATES: Readonly<Record<WindowState, string>> = { PROVISIONAL: "still filling", FINAL: "final", REVISED: "revised" }

/** The shortest window it belongs to, with its day where that is not the day of `nowMs`, and what that holds by now; undefined when there is none. */
export const windowText = ({ places: [window] }: Made, nowMs: number): string | undefined => {
  if (window === undefined) return undefined
  const { start, events, state } = window
  const holds = state === null ? "no longer kept" : `${formatDecimal(events)} ${events === "1" ? "event" : "events"}, ${STATES[state]}`
  return `minute of ${formatMoment(Date.parse(start), nowMs)} UTC (${holds})`
}

/** What it added, or would, measure by measure: of one value, all figures of a distribution are the same. */
export const addsText = ({ contribution, outcome }: Made): string => {
  const parts = contribution.flatMap(({ name, text }) => (name.endsWith(".sum") ? [`${name.slice(0, -4)} ${text}`] : name.includes(".") ? [] : [`${name} ${text}`]))
  const verb = outcome === "FOLDED" || outcome === "APPLIED" ? "adds" : "would add"
  return parts.length === 0 ? "" : `${verb} ${parts.join(", ")}`
}

/** The projections that an event concerns, those that count it first. */
export const concerned = (windows: readonly Made[]): readonly Made[] => {
  const rank = ({ outcome }: Made): number => (outcome === "FOLDED" || outcome === "APPLIED" ? 0 : 1)
  return windows.filter(({ outcome }) => outcome !== "FILTERED").toSorted((a, b) => rank(a) - rank(b) || (a.projection < b.projection ? -1 : 1))
}

/** How its time came about; undefined when it is the one that was sent, or that of its receipt. */
export const timeText = ({ originalTime, timeFlag }: Journey["received"]): string | undefined =>
  originalTime === null ? undefined : `sent as ${originalTime}, ${timeFlag === "CLAMPED" ? "which lay ahead of its receipt" : "corrected by the sender's clock"}`
