/** Lane assignment of the embedded mode: one process owns every lane. */
import { LaneAssignment } from "@tidemark/domain/ports/LaneAssignment"
import type { LaneAssignmentShape } from "@tidemark/domain/ports/LaneAssignment"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const assignAll = (lanes: number): LaneAssignmentShape => ({
  join: (onOwned) => Effect.acquireRelease(onOwned(Array.from({ length: lanes }, (_, lane) => lane)), () => onOwned([])),
  report: () => Effect.void
})

/** All `lanes` for this process. */
export const laneAssignmentStatic = (lanes: number): Layer.Layer<LaneAssignment> => Layer.succeed(LaneAssignment, assignAll(lanes))
