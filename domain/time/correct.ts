/**
 * When an event happened, as far as it can be known: the client's clock is corrected by what it said when it sent,
 * and no event lies in the future. Rule: docs/semantics.md §3.1.
 */
import type { EventTimeMs } from "./window.ts"

export interface ClaimedTime {
  /** When ingest accepted the event, Unix ms. */
  readonly receivedAtMs: number
  /** The client's own time of the event, Unix ms. */
  readonly clientTimeMs?: number
  /** The client's clock when it sent the request, Unix ms. */
  readonly sentAtMs?: number
  /** An import: the client's clock is not corrected. */
  readonly backfill: boolean
}

export interface CorrectedTime {
  readonly timeMs: EventTimeMs
  /** The client's own time, when it differs from `timeMs`. */
  readonly originalTimeMs?: number
  /** What was done to it; `clamped` wins over `corrected`. */
  readonly timeFlag?: "corrected" | "clamped"
}

/** Event time from what the client claimed; never later than the receive time. */
export const correctEventTime = (claimed: ClaimedTime): CorrectedTime => {
  const { receivedAtMs, clientTimeMs, sentAtMs, backfill } = claimed
  if (clientTimeMs === undefined) return { timeMs: receivedAtMs }
  const corrected = sentAtMs === undefined || backfill ? clientTimeMs : receivedAtMs - (sentAtMs - clientTimeMs)
  const timeMs = Math.min(corrected, receivedAtMs)
  if (timeMs === clientTimeMs) return { timeMs }
  return { timeMs, originalTimeMs: clientTimeMs, timeFlag: corrected > receivedAtMs ? "clamped" : "corrected" }
}
