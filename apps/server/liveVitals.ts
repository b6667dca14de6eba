/**
 * What a rebuild must not make suffer: how far the served projections are behind, how long answers take, in this process
 * and, as far as they tell, in the others of the installation.
 */
import { VitalsBoard } from "@tidemark/domain/ports/VitalsBoard"
import type { ProcessVitals } from "@tidemark/domain/ports/VitalsBoard"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Telemetry } from "./context.ts"
import { makeLatencyWatch } from "./latencyWatch.ts"
import { makeLagClock, readLivePosition } from "./liveLag.ts"
import type { Latency, Vitals } from "./throttle.ts"

/** Rebuilds themselves are asked about more often while one runs, and their differences take long at any time. */
const isOfRebuilds = (operation: string): boolean => /rebuild|differences|cutover|rollback/i.test(operation)

/** Between two exchanges with the others, ms. */
const EXCHANGE_EVERY_MS = 1_000

const othersOf = ({ process, latencies }: ProcessVitals): readonly Latency[] =>
  latencies.map(({ name, recentMs, usualMs }) => ({ name, process, recentMs: recentMs ?? undefined, usualMs: usualMs ?? undefined }))

/** The telemetry that passes everything on and keeps the latest times. `process`: the name of this one. */
export const watchVitals = (telemetry: Telemetry, process: string) => {
  const [queries, ingest, lag] = [makeLatencyWatch(), makeLatencyWatch(), makeLagClock()]
  let isRebuilding = false
  let others: readonly ProcessVitals[] = []
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
  const latenciesAt = (nowMs: number): readonly Latency[] =>
    [["queries", queries] as const, ["ingest", ingest] as const].map(([name, watch]) => ({ name, recentMs: watch.recentP95Ms(nowMs), usualMs: watch.usualP95Ms() }))
  /** Answers are disturbed by a rebuild wherever it runs: it works on the same engines. */
  const follow = (): void => {
    const isDisturbed = isRebuilding || others.some((other) => other.isRebuilding)
    queries.disturb(isDisturbed)
    ingest.disturb(isDisturbed)
  }
  const read = Effect.gen(function* () {
    const position = yield* readLivePosition()
    const nowMs = yield* Clock.currentTimeMillis
    const vitals: Vitals = { liveLagMs: lag(position, nowMs), latencies: [...latenciesAt(nowMs), ...others.flatMap(othersOf)] }
    return vitals
  })
  /** Says whether a rebuild is carried out here. */
  const disturb = (isDisturbed: boolean): void => {
    isRebuilding = isDisturbed
    follow()
  }
  /** Tells the other processes, where there is a board, and keeps what they tell. */
  const exchange = Effect.gen(function* () {
    const board = yield* Effect.serviceOption(VitalsBoard)
    if (Option.isNone(board)) return
    const latencies = latenciesAt(yield* Clock.currentTimeMillis).map(({ name, recentMs = null, usualMs = null }) => ({ name, recentMs, usualMs }))
    others = yield* board.value.exchange({ process, isRebuilding, latencies })
    follow()
  })
  const share = Effect.forever(Effect.andThen(exchange, Effect.sleep(EXCHANGE_EVERY_MS)))
  return { telemetry: watched, read, disturb, exchange, share }
}

export type LiveVitals = ReturnType<typeof watchVitals>
