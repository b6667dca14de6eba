/** How the lanes of a generation that is built are folded: in the calling thread, or as whoever builds it wishes. */
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { FencedError, GenerationId, GenerationMissingError, Halt, ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { MEMORY_LIMITS } from "@tidemark/projections/runtime/memoryLimits"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { paceOf } from "./pace.ts"
import type { PaceMemory } from "./pace.ts"

/** Somebody who folds a share of the lanes has ended unasked. Begin again: the checkpoints are found. */
export class FoldingEndedError extends Schema.TaggedError<FoldingEndedError>()("FoldingEndedError", { detail: Schema.String }) {}

export interface Folding {
  readonly id: GenerationId
  readonly lanes: readonly number[]
  /** Completes: what is held is flushed, and the folding ends. */
  readonly stop: Effect.Effect<void>
  readonly pace: PaceMemory
  /** A lane cannot be folded further; the others go on until `stop`. */
  readonly halted: (halt: Pick<Halt, "code" | "detail">) => void
}

/** Succeeds once it was stopped and everything is flushed. */
export type Fold = (folding: Folding) => Effect.Effect<void, FencedError | GenerationMissingError | FoldingEndedError, EventLog | PartitionIndex | ReadModelStore>

/** In the calling thread. */
export const foldHere = ({ id, lanes, stop, pace, halted }: Folding, limits = MEMORY_LIMITS): ReturnType<Fold> =>
  runLanes({ lanes, stop, observer: { committed: () => {}, halted, retrying: () => {} }, choice: id, pace: paceOf(pace), limits })
