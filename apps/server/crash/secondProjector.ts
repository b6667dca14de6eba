/**
 * A second projector beside a server, on the same read models: takes every lane from it. Says what happens to it, a JSON
 * line each, and stops at SIGTERM. For tests of fencing between real processes.
 */
import { availableParallelism } from "node:os"
import { makeProjectorPool, threadsOf } from "@tidemark/projector/projectorPool"
import * as Effect from "effect/Effect"

/** What the threads open the engines from. */
const configuration: unknown = JSON.parse(process.env["SECOND_PROJECTOR_CONFIGURATION"] ?? "{}")
const say = (event: string, detail: unknown): void => void process.stdout.write(`${JSON.stringify({ event, detail })}\n`)

/** Lanes of a new log. */
const LANES = 4

const stopped = new Promise<void>((resolve) => void process.once("SIGTERM", resolve))

await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
  const pool = yield* makeProjectorPool({
    processors: availableParallelism(),
    startThread: threadsOf(new URL(import.meta.resolve("@tidemark/projector/workerMain")), configuration),
    nowMs: () => Date.now(),
    onCommitted: (reports) => say("committed", reports.reduce((sum, { records }) => sum + records, 0)),
    onHalted: (halt) => say("halted", halt),
    onRetrying: (failure) => say("retrying", failure),
    onFenced: (_lanes, detail) => say("fenced", detail),
    onRestarted: (_lanes, cause) => say("restarted", cause),
    onGivenUp: (sentence) => say("given up", sentence)
  })
  yield* pool.own(Array.from({ length: LANES }, (_, lane) => lane))
  // Nobody tells this process of appends.
  const timer = setInterval(pool.appended, 20)
  yield* Effect.promise(() => stopped)
  clearInterval(timer)
  yield* pool.stop
})))
