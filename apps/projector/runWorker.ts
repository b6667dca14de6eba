/** What a projector thread does: opens its own readers of the engines and folds its lanes until it is told to stop. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { RuntimeObserver } from "@tidemark/projections/runtime/observer"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import type { MessagePort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { FromWorker, ToWorker } from "./messages.ts"

/** Registers a listener for "the log grew"; answers the way to stop listening. */
export type OnWake = (listener: () => void) => () => void

const OPEN_AGAIN_FIRST_MS = 200
const OPEN_AGAIN_MAX_MS = 5_000

/**
 * Runs `fold`, and again when an engine does not answer at its opening: the process has opened the same engines before,
 * so this one comes back. `stopped` ends the waiting.
 */
const untilOpen = <A, E>(fold: Effect.Effect<A | undefined, E>, stopped: Promise<void>, retrying: (cause: string, inMs: number) => void): Effect.Effect<A | undefined, E> =>
  Effect.gen(function* () {
    let againInMs = OPEN_AGAIN_FIRST_MS
    for (;;) {
      const outcome = yield* Effect.matchEffect(fold, {
        onSuccess: (ended) => Effect.succeed({ ended }),
        onFailure: (error) => (isUnreachable(error) ? Effect.succeed({ cause: String((error as Error).message) }) : Effect.fail(error))
      })
      if ("ended" in outcome) return outcome.ended
      retrying(outcome.cause, againInMs)
      const isStopped = yield* Effect.raceFirst(Effect.as(Effect.sleep(againInMs), false), Effect.as(Effect.promise(() => stopped), true))
      if (isStopped) return undefined
      againInMs = Math.min(againInMs * 2, OPEN_AGAIN_MAX_MS)
    }
  })

/** As wiring names an engine that does not answer. */
const isUnreachable = (error: unknown): boolean => error instanceof Error && error.name === "EngineUnreachableError"

/** Ends when the lanes are flushed and checkpointed, or another owner has one of them; rejects when they cannot go on. */
export const runWorker = async <E>(
  port: MessagePort,
  lanes: readonly number[],
  engines: (onWake: OnWake) => Layer.Layer<EventLog | PartitionIndex | ReadModelStore, E>
): Promise<void> => {
  const listeners = new Set<() => void>()
  let onStop = () => {}
  const stopped = new Promise<void>((resolve) => (onStop = resolve))
  const tell = (message: FromWorker) => port.postMessage(message)
  port.on("message", (message: ToWorker) => {
    if (message.kind === "stop") onStop()
    else for (const listener of listeners) listener()
  })
  const onWake: OnWake = (listener) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }
  const observer: RuntimeObserver = {
    committed: (reports) => tell({ kind: "committed", reports }),
    halted: (halt) => tell({ kind: "halted", halt }),
    retrying: (failure) => tell({ kind: "retrying", failure }),
    reread: (reports) => tell({ kind: "reread", reports })
  }
  const fold = runLanes({ lanes, stop: Effect.promise(() => stopped), observer }).pipe(
    Effect.as(undefined),
    Effect.catchTag("FencedError", (error) => Effect.succeed(error)),
    Effect.provide(engines(onWake))
  )
  const fenced = await Effect.runPromise(untilOpen(fold, stopped, (cause, retryInMs) => tell({ kind: "retrying", failure: { lane: lanes[0] ?? 0, cause, retryInMs } })))
  if (fenced === undefined) tell({ kind: "stopped" })
  else tell({ kind: "fenced", detail: `lane ${fenced.lane} of ${fenced.projection}, generation ${fenced.generation}, has a newer owner than epoch ${fenced.epoch}` })
  port.close()
}
