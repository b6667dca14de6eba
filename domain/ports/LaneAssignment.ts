/**
 * Which lanes this process folds: all of them when it is alone, its share when several processes work side by side.
 *
 * Assignment serves liveness only. Two processes may hold one lane for a while; the epoch of the checkpoint decides
 * whose flushes count (docs/semantics.md §7), and the checkpoint says where to go on, never the assignment.
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { PartitionPosition } from "./EventLog.ts"

/** The group cannot be joined. Trying again is safe. */
export class LaneAssignmentError extends Schema.TaggedError<LaneAssignmentError>()("LaneAssignmentError", { cause: Schema.Defect() }) {}

export interface LaneAssignmentShape {
  /**
   * Joins until the scope closes. `onOwned` gets all lanes owned from now on, ascending, whenever they change: first
   * without those lost, then with those won; one call at a time, and each may take its time to stop lanes well. A
   * process that lost touch with the others for so long that its lanes may be theirs gets an empty list, and a closing
   * scope gives one before it leaves. Returns once joined; the first call may come later.
   */
  readonly join: (onOwned: (lanes: readonly number[]) => Effect.Effect<void>) => Effect.Effect<void, LaneAssignmentError, Scope.Scope>
  /** Checkpoints of owned lanes, shown by tools that measure lag. A hint: it may be lost, and nothing reads it back. */
  readonly report: (positions: readonly PartitionPosition[]) => Effect.Effect<void>
}

export class LaneAssignment extends Context.Service<LaneAssignment, LaneAssignmentShape>()("tidemark/LaneAssignment") {}
