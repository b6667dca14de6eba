import { laneAssignmentContract } from "@tidemark/domain/ports/LaneAssignment.contract"
import { laneAssignmentStatic } from "./LaneAssignmentStatic.ts"

laneAssignmentContract("one process", () => ({ lanes: 4, open: () => laneAssignmentStatic(4), dispose: async () => {} }))
