/**
 * What the freshness pill says: how far the numbers are behind now, and why. Times are Unix ms UTC. Pure.
 */
import { formatDuration } from "./format.ts"

export type Connection = "connecting" | "connected" | "reconnecting"

export interface FreshnessInput {
  readonly nowMs: number
  readonly watermarkMs: number | undefined
  /** Out-of-orderness bound of the projection. */
  readonly boundMs: number
  readonly connection: Connection
  /** When the connection was lost. */
  readonly lostAtMs: number | undefined
  /** Event time of the newest event seen in the log. */
  readonly newestEventMs: number | undefined
  /** Events held back while paused; undefined when not paused. */
  readonly behind: number | undefined
}

export type FreshnessKind = "live" | "lagging" | "stalled" | "reconnecting" | "paused" | "waiting" | "past"

export interface Freshness {
  readonly kind: FreshnessKind
  readonly label: string
  readonly detail: string
}

const IDLE_GRACE_MS = 75_000

/** The state of the pill. `gap` is now − watermark; an idle source is told apart from a worker that does not follow. */
export const freshnessOf = (input: FreshnessInput): Freshness => {
  const { nowMs, watermarkMs, boundMs, connection, lostAtMs, newestEventMs, behind } = input
  if (behind !== undefined) return { kind: "paused", label: `Paused · ${behind} behind`, detail: "The view is frozen. Press Space to go on." }
  if (connection === "reconnecting") {
    return { kind: "reconnecting", label: `Reconnecting ${formatDuration(nowMs - (lostAtMs ?? nowMs))}`, detail: "The connection was lost. The numbers stay as they were." }
  }
  if (connection === "connecting") return { kind: "waiting", label: "Connecting", detail: "Opening the live connection." }
  if (watermarkMs === undefined) return { kind: "waiting", label: "Waiting for data", detail: "No watermark yet: every partition needs its first event or heartbeat." }
  const gapMs = nowMs - watermarkMs
  const gap = formatDuration(gapMs)
  const followed = newestEventMs === undefined || watermarkMs >= newestEventMs - boundMs
  if (gapMs <= 2 * boundMs) return { kind: "live", label: "Live", detail: `Gap ${gap} between now and the watermark.` }
  if (gapMs <= boundMs + IDLE_GRACE_MS) {
    return followed
      ? { kind: "live", label: "Live · idle", detail: `No newer events; gap ${gap}.` }
      : { kind: "lagging", label: `Lagging ${gap}`, detail: "Newer events are in the log and not in the numbers yet." }
  }
  return followed
    ? { kind: "stalled", label: `Stalled ${gap} · source idle`, detail: "No events arrive; the numbers hold everything received." }
    : { kind: "stalled", label: `Stalled ${gap} · not following`, detail: "Events arrive and the projection does not follow. Status, at the end of the page, says which part." }
}
