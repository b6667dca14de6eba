/**
 * Tumbling event-time windows: which window an event belongs to, when it closes and how long it can be revised.
 *
 * Windows are half-open, `[startMs, endMs)`, aligned to the epoch. Pure: no clock, no I/O, so a replay assigns
 * exactly the windows the live run did. Rules: docs/semantics.md §3.4–3.6.
 */

/** Unix milliseconds, UTC. */
export type EventTimeMs = number

export interface Window {
  readonly startMs: EventTimeMs
  /** First instant after the window. */
  readonly endMs: EventTimeMs
}

/** Roll-up steps with the code stored in rows. */
export const RESOLUTIONS = [
  { name: "minute", code: 0, sizeMs: 60_000 },
  { name: "hour", code: 1, sizeMs: 3_600_000 },
  { name: "day", code: 2, sizeMs: 86_400_000 }
] as const

export type ResolutionName = (typeof RESOLUTIONS)[number]["name"]

/** Start of the window of `sizeMs` (integer > 0) that contains `atMs`. O(1), right before 1970 too. */
export const windowStart = (atMs: EventTimeMs, sizeMs: number): EventTimeMs => Math.floor(atMs / sizeMs) * sizeMs

/** Window of length `sizeMs` (integer > 0) that contains `atMs`. */
export const windowOf = (atMs: EventTimeMs, sizeMs: number): Window => {
  const startMs = windowStart(atMs, sizeMs)
  return { startMs, endMs: startMs + sizeMs }
}

/**
 * True once an event of a window that ends at `endMs` counts as late: `endMs + outOfOrdernessMs ≤ maxEventTimeMs`.
 *
 * `maxEventTimeMs` is M(p, t), −Infinity when there is none. Equal is late, as in Flink and Kafka Streams.
 */
export const isClosed = (endMs: EventTimeMs, maxEventTimeMs: EventTimeMs, outOfOrdernessMs: number): boolean =>
  endMs + outOfOrdernessMs <= maxEventTimeMs

/** True once a late event is held instead of applied: the revise horizon has passed as well. */
export const isPastRevision = (endMs: EventTimeMs, maxEventTimeMs: EventTimeMs, outOfOrdernessMs: number, reviseWithinMs: number): boolean =>
  endMs + outOfOrdernessMs + reviseWithinMs <= maxEventTimeMs
