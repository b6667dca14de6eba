/** The partition index is saved beside the reader, after flushes; losing some of it costs time only. */
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import * as Effect from "effect/Effect"
import type { PartitionReader } from "./openLane.ts"

/** Saves what every reader observed since the last time, oldest first. What fails stays for the next time. */
export const saveIndex = Effect.fn("saveIndex")(function* (readers: ReadonlyMap<number, PartitionReader>) {
  const index = yield* PartitionIndex
  for (const reader of readers.values()) {
    if (!reader.isIndexed) continue
    const taken = reader.state.takeSegment()
    if (taken !== undefined) reader.unsaved.push(taken)
    for (let segment = reader.unsaved[0]; segment !== undefined; segment = reader.unsaved[0]) {
      yield* index.save(segment)
      reader.state.segmentSaved(segment)
      reader.unsaved.shift()
    }
  }
})
