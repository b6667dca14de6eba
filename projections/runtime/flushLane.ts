/** One flush of a lane: all its generations in one transaction. Rules: docs/semantics.md §7. */
import type { LaneCommit, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { FoldFailure } from "./foldBatch.ts"
import { pendingRecords } from "./generationLane.ts"
import type { GenerationLane } from "./generationLane.ts"
import type { FlushReport } from "./observer.ts"
import type { PartitionReader } from "./openLane.ts"
import { flushCommitted, prepareFlush } from "./prepareFlush.ts"

interface Prepared {
  readonly generation: GenerationLane
  readonly commit: LaneCommit
  readonly records: number
}

export interface Flushed {
  readonly reports: readonly FlushReport[]
  /** Generations whose numbers do not add up: nothing of them was committed, and they must be dropped. */
  readonly failures: readonly FoldFailure[]
}

const reportOf = ({ commit, records }: Prepared, durationMs: number): FlushReport => ({
  lane: commit.lane, durationMs, records, rows: commit.rows.length, lateEvents: commit.late.length, deadLetters: commit.deadLetters.length
})

/** Commits everything pending. Fails as the store does; then all memory of the lane has to go. */
export const flushLane = Effect.fn("flushLane")(function* (store: ReadModelStoreShape, generations: readonly GenerationLane[], readers: ReadonlyMap<number, PartitionReader>) {
  const startMs = yield* Clock.currentTimeMillis
  const prepared: Prepared[] = []
  const failures: FoldFailure[] = []
  for (const generation of generations) {
    const records = pendingRecords(generation)
    if (records === 0) continue
    yield* prepareFlush(store, generation, readers).pipe(
      Effect.map((commit) => void prepared.push({ generation, commit, records })),
      Effect.catchTag("HaltError", (error) => Effect.sync(() => void failures.push({ generation, error })))
    )
  }
  if (prepared.length > 0) yield* store.commit(prepared.map(({ commit }) => commit))
  for (const { generation, commit } of prepared) flushCommitted(generation, commit)
  const durationMs = (yield* Clock.currentTimeMillis) - startMs
  const flushed: Flushed = { reports: prepared.map((one) => reportOf(one, durationMs)), failures }
  return flushed
})
