/** Several lanes of one worker, side by side. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { FencedError, GenerationMissingError, ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Choice } from "./chosenGenerations.ts"
import type { MemoryLimits } from "./memoryLimits.ts"
import type { RuntimeObserver } from "./observer.ts"
import { runLane } from "./runLane.ts"
import type { Pace } from "./runLane.ts"

export interface RunLanesOptions {
  readonly lanes: readonly number[]
  /** Once it completes, every lane flushes what it holds, saves its index, and the run ends. */
  readonly stop: Effect.Effect<void>
  readonly observer: RuntimeObserver
  readonly choice?: Choice
  readonly pace?: Pace
  /** `MEMORY_LIMITS` by default. */
  readonly limits?: MemoryLimits
}

/**
 * Folds the lanes into every active and followed generation, or the one being built, until stopped. Fails when another owner has taken one of them.
 *
 * `stop` may be anything that completes, a promise say, which answers one microtask late even when it was settled long ago:
 * a lane under backlog, whose every read is ready at once, would never see it. It is awaited once, here, and the lanes
 * look at what is known by then.
 */
export const runLanes = ({ lanes, stop, ...rest }: RunLanesOptions): Effect.Effect<void, FencedError | GenerationMissingError, EventLog | PartitionIndex | ReadModelStore> =>
  Effect.suspend(() => {
    const stopped = Deferred.makeUnsafe<void>()
    const told = Effect.andThen(stop, Effect.andThen(Deferred.succeed(stopped, undefined), Effect.never))
    const folding = Effect.forEach(lanes, (lane) => runLane({ lane, stop: Deferred.await(stopped), ...rest }), { concurrency: "unbounded", discard: true })
    return Effect.raceFirst(told, folding)
  })
