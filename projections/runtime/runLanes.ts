/** Several lanes of one worker, side by side. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { FencedError, GenerationMissingError, ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import type { Choice } from "./chosenGenerations.ts"
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
}

/** Folds the lanes into every active and followed generation, or the one being built, until stopped. Fails when another owner has taken one of them. */
export const runLanes = ({ lanes, ...rest }: RunLanesOptions): Effect.Effect<void, FencedError | GenerationMissingError, EventLog | PartitionIndex | ReadModelStore> =>
  Effect.forEach(lanes, (lane) => runLane({ lane, ...rest }), { concurrency: "unbounded", discard: true })
