/** The projector role: threads that fold lanes, and the outbox that tells others of it. */
import { availableParallelism } from "node:os"
import { makeOutboxDrain } from "@tidemark/projections/runtime/outboxDrain"
import { makeProjectorPool } from "@tidemark/projector/projectorPool"
import { Deferred, Effect } from "effect"
import type { ServeOptions } from "./serveOptions.ts"
import { StartError } from "./startError.ts"

/** Projector threads and the outbox drain they wake. Answers what is to be called after an append. */
export const startProjectors = Effect.fn(function* ({ telemetry, startThread, end }: ServeOptions, lanes: number) {
  const drain = makeOutboxDrain()
  const { log } = telemetry
  const pool = yield* makeProjectorPool({
    lanes,
    processors: availableParallelism(),
    startThread,
    nowMs: () => Date.now(),
    onCommitted: (reports) => {
      for (const { durationMs } of reports) telemetry.flushed(durationMs)
      drain.wake()
    },
    onHalted: (halt) => log.error({ ...halt }, "a projection halted"),
    onRetrying: (failure) => log.warn({ ...failure }, "a lane goes on from its checkpoint"),
    onRestarted: (died, cause) => log.error({ lanes: died, cause }, "a projector thread died and was started again"),
    onGivenUp: (sentence) => void Deferred.doneUnsafe(end, Effect.fail(new StartError(sentence)))
  })
  yield* Effect.forkScoped(drain.run)
  telemetry.watchOutbox(drain.ageMs)
  return pool.appended
})
