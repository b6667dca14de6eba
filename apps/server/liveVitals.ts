/** What a rebuild in this process must not make suffer: how far the served projections are behind, how long answers take. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Telemetry } from "./context.ts"
import { makeLatencyWatch } from "./latencyWatch.ts"
import { makeLagClock, readLivePosition } from "./liveLag.ts"
import type { Vitals } from "./throttle.ts"

/** Rebuilds themselves are asked about more often while one runs, and their differences take long at any time. */
const isOfRebuilds = (operation: string): boolean => /rebuild|differences|cutover|rollback/i.test(operation)

/** The telemetry that passes everything on and keeps the latest times. */
export const watchVitals = (telemetry: Telemetry) => {
  const queries = makeLatencyWatch()
  const ingest = makeLatencyWatch()
  const lag = makeLagClock()
  const watched: Telemetry = {
    ...telemetry,
    queried: (operation, seconds) => {
      telemetry.queried(operation, seconds)
      if (!isOfRebuilds(operation)) queries.note(seconds * 1_000, Date.now())
    },
    ingested: (counts, ackSeconds) => {
      telemetry.ingested(counts, ackSeconds)
      if (ackSeconds !== undefined) ingest.note(ackSeconds * 1_000, Date.now())
    }
  }
  const read = Effect.gen(function* () {
    const position = yield* readLivePosition()
    const nowMs = yield* Clock.currentTimeMillis
    const vitals: Vitals = {
      liveLagMs: lag(position, nowMs),
      latencies: [["queries", queries] as const, ["ingest", ingest] as const].map(([name, watch]) => ({ name, recentMs: watch.recentP95Ms(nowMs), usualMs: watch.usualP95Ms() }))
    }
    return vitals
  })
  const disturb = (isDisturbed: boolean): void => {
    queries.disturb(isDisturbed)
    ingest.disturb(isDisturbed)
  }
  return { telemetry: watched, read, disturb }
}

export type LiveVitals = ReturnType<typeof watchVitals>
