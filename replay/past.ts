/**
 * The time machine: a generation as it was at an earlier position, for the questions that are asked of the present one.
 * Nothing is stored for it and nothing is written. Rules: docs/semantics.md §8; reasons: docs/adr.
 */
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import type { PrefixClocks } from "@tidemark/domain/ports/PartitionIndex"
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadSnapshot, RowScan, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { compilePinned } from "@tidemark/projections/runtime/generationCheck"
import { retainedFromMs } from "@tidemark/projections/runtime/retention"
import * as Effect from "effect/Effect"
import { LineageUnavailableError } from "./windowProof.ts"
import { foldedOf, locate } from "./pastPosition.ts"
import type { AsOf } from "./pastPosition.ts"
import { PastExpiredError, READ_LIMITS, ReadBudget } from "./pastReading.ts"
import type { PastError, ReadLimits } from "./pastReading.ts"
import { scanPast } from "./pastRows.ts"

export interface PastInput {
  readonly snapshot: ReadSnapshot
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  readonly asOf: AsOf
  /** `READ_LIMITS` when absent. */
  readonly limits?: ReadLimits
}

/** A generation at a position. */
export interface Past {
  /** Where it is, and M and R there; by partition. */
  readonly prefixes: readonly PrefixClocks[]
  /** Visits the tenant's rows as they were, in no order. All scans together read what the limits allow at most. */
  readonly scan: (scan: RowScan, visit: (rows: readonly StoredRow[]) => void) => Effect.Effect<void, PastError, EventLog>
}

/** R of all partitions, Unix ms: windows expire for readers by the latest of them. */
const latestMs = (prefixes: readonly { readonly receivedMaxMs: number | null }[]): number =>
  prefixes.reduce((latest, { receivedMaxMs }) => Math.max(latest, receivedMaxMs ?? -Infinity), -Infinity)

/** Opens the past of a generation within a snapshot of the present. */
export const openPast = Effect.fn("openPast")(function* ({ snapshot, projection, generation, tenantId, asOf, limits = READ_LIMITS }: PastInput) {
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined || record.isDropped === true) return yield* new LineageUnavailableError({ projection, generation })
  const seed = hashSeedOf(record.logId)
  const compiled = yield* Effect.mapError(compilePinned(record, seed), (cause) => new LineageUnavailableError({ projection, generation, cause }))
  const checkpoints = yield* snapshot.checkpoints(projection, generation)
  const budget = new ReadBudget(limits)
  const prefixes = yield* locate(asOf, foldedOf(record, checkpoints), budget)
  const { retentionDays } = compiled.definition
  const keptFromMs = retainedFromMs(retentionDays, latestMs(checkpoints.flatMap(({ partitions }) => partitions)))
  const thenFromMs = retainedFromMs(retentionDays, latestMs(prefixes))
  const input = { snapshot, projection, generation, tenantId, compiled, seed, budget, position: new Map(prefixes.map(({ partition, nextOffset }) => [partition, nextOffset] as const)) }
  const past: Past = {
    prefixes,
    scan: (scan, visit) => Effect.suspend((): Effect.Effect<void, PastError, EventLog> =>
      keptFromMs > thenFromMs && scan.fromMs < keptFromMs ? Effect.fail(new PastExpiredError({ retainedFromMs: keptFromMs })) : scanPast(input, scan, visit))
  }
  return past
})
