/** How far every projection is in every partition, and how complete its data is. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { pausedIn } from "@tidemark/domain/ports/projectionPause"
import * as Effect from "effect/Effect"
import type { QueryError } from "./errors.ts"
import { openPointer } from "./openModel.ts"
import { logEnds } from "./projections.ts"
import { maxEventTimeMs } from "./windowState.ts"

export interface PartitionFreshness {
  readonly projection: string
  readonly generation: number
  readonly partition: number
  readonly nextOffset: bigint
  readonly logEnd: bigint
  readonly lagEvents: bigint
  /** Somebody has paused the projection: it falls behind on purpose. */
  readonly paused: boolean
  /** Largest receive time folded, Unix ms. */
  readonly receivedMaxMs: number | null
  /** The tenant's event times are complete to here in this partition, Unix ms. */
  readonly watermarkMs: number | null
}

/** By projection, then partition. All from one snapshot. */
export const freshness = (_input: Readonly<Record<string, never>>, tenantId: string): Effect.Effect<readonly PartitionFreshness[], QueryError, ReadModelStore | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const ends = yield* logEnds
    const pointers = [...(yield* snapshot.pointers)].sort((a, b) => (a.projection < b.projection ? -1 : 1))
    const paused = pausedIn(yield* snapshot.halts)
    const answers: PartitionFreshness[] = []
    for (const pointer of pointers) {
      const { projection, generation, partitions, definition } = yield* openPointer(snapshot, pointer, tenantId)
      for (const checkpoint of partitions) {
        const { partition, nextOffset, receivedMaxMs } = checkpoint
        const logEnd = ends.get(partition) ?? nextOffset
        const maxMs = maxEventTimeMs(checkpoint, tenantId)
        const watermarkMs = maxMs === null ? null : maxMs - definition.window.outOfOrdernessMs
        answers.push({ projection, generation, partition, nextOffset, logEnd, lagEvents: logEnd > nextOffset ? logEnd - nextOffset : 0n, paused: paused.has(projection), receivedMaxMs, watermarkMs })
      }
    }
    return answers
  }))
