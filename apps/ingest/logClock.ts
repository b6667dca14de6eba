/**
 * How far the clock of ingest is from the log's: with every append the log says when it took it, and that must lie
 * between sending and answer. Receive times come from the clock of ingest, so more than 2 s make it unready.
 * Rules: docs/semantics.md §3.3.
 */
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Larger differences make ingest unready, ms. */
export const CLOCK_SKEW_MS_MAX = 2_000

/**
 * Clock of ingest minus the log's, ms, as far as an append proves it; 0 while the log's time lies within the append.
 * `sentMs` and `answeredMs` by the clock of ingest, `appendedAtMs` by the log's.
 */
export const clockSkewMs = (sentMs: number, appendedAtMs: number, answeredMs: number): number =>
  appendedAtMs < sentMs ? sentMs - appendedAtMs : appendedAtMs > answeredMs ? answeredMs - appendedAtMs : 0

export interface LogClock {
  /** The same log; every append through it compares the clocks. */
  readonly log: EventLogShape
  readonly part: () => { readonly name: string; readonly ready: boolean; readonly detail: string }
}

/** `onSkew` is called after every append whose time the log says, with the difference in ms. */
export const watchLogClock = (log: EventLogShape, onSkew: (skewMs: number) => void): LogClock => {
  let skewMs: number | undefined
  const note = (sentMs: number, appendedAtMs: number, answeredMs: number): void => {
    skewMs = clockSkewMs(sentMs, appendedAtMs, answeredMs)
    onSkew(skewMs)
  }
  const append: EventLogShape["append"] = (batch) =>
    Effect.flatMap(Clock.currentTimeMillis, (sentMs) =>
      Effect.tap(log.append(batch), ([first]) =>
        first?.appendedAtMs === undefined ? Effect.void : Effect.map(Clock.currentTimeMillis, (answeredMs) => note(sentMs, first.appendedAtMs ?? sentMs, answeredMs))))
  const part = () => {
    const name = "clock"
    if (skewMs === undefined) return { name, ready: true, detail: "not compared with the log's yet" }
    if (Math.abs(skewMs) <= CLOCK_SKEW_MS_MAX) return { name, ready: true, detail: `within ${CLOCK_SKEW_MS_MAX / 1_000} s of the log's` }
    return { name, ready: false, detail: `this machine's clock is ${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${skewMs > 0 ? "ahead of" : "behind"} the log's, so receive times are wrong by as much: set the clock, as by NTP` }
  }
  return { log: { ...log, append }, part }
}
