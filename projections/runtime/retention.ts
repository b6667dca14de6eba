/** Rows below the lane's `retainedFrom` go, with the flush that passes it. Rules: docs/semantics.md §5, retention. */
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { windowStart } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import type { GenerationLane } from "./generationLane.ts"
import { NO_ROW, rowHash } from "./rowDigest.ts"

const DAY_MS = 86_400_000

/** Windows that start before this have expired in a partition at R = `receivedMaxMs`; −Infinity: none have. */
export const retainedFromMs = (retentionDays: number | undefined, receivedMaxMs: number): number =>
  retentionDays === undefined ? -Infinity : windowStart(receivedMaxMs - retentionDays * DAY_MS, DAY_MS)

const lowest = (lane: GenerationLane, receivedMaxMs: (partition: number) => number): number => {
  let fromMs = Infinity
  for (const partition of lane.checkpoints.keys()) fromMs = Math.min(fromMs, retainedFromMs(lane.compiled.definition.retentionDays, receivedMaxMs(partition)))
  return fromMs
}

/**
 * Where the lane's rows begin after a flush that moves R of its partitions to `receivedMaxMs`; null when no row is lost
 * by it. Takes the committed rows below it out of the lane's digest: without the commit, the memory has to go.
 */
export const dropExpired = Effect.fn("dropExpired")(function* (store: ReadModelStoreShape, lane: GenerationLane, receivedMaxMs: (partition: number) => number) {
  const beforeMs = lowest(lane, (partition) => lane.checkpoints.get(partition)?.receivedMaxMs ?? -Infinity)
  const fromMs = lowest(lane, receivedMaxMs)
  if (!(fromMs > beforeMs) || fromMs === Infinity) return null
  yield* store.visitRowsBelow(lane.id, fromMs, (rows) => {
    for (const row of rows) lane.digest.replace(row.keyId, rowHash(row), NO_ROW)
  })
  return fromMs
})
