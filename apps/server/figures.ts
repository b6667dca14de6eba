/** Lag, watermarks, ledgers and conservation of the active generations, read for a scrape. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { PartitionCheckpoint, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Figures } from "./context.ts"
import { conservationFault } from "./operations.ts"

/** Lowest M over the partition's tenants, Unix ms; undefined when it has seen nothing. */
const lowestMaxMs = ({ heartbeatMaxMs, tenantMaxMs }: PartitionCheckpoint): number | undefined => {
  const heartbeat = heartbeatMaxMs ?? -Infinity
  const lowest = tenantMaxMs.size === 0 ? heartbeat : Math.min(...[...tenantMaxMs.values()].map((maxMs) => Math.max(maxMs, heartbeat)))
  return lowest === -Infinity ? undefined : lowest
}

/** Seconds from the lowest watermark to `nowMs`; undefined while a partition has none. */
const watermarkGapSeconds = (partitions: readonly PartitionCheckpoint[], outOfOrdernessMs: number, nowMs: number): number | undefined => {
  const lowest = partitions.map(lowestMaxMs)
  if (lowest.some((maxMs) => maxMs === undefined)) return undefined
  const watermarkMs = Math.min(...lowest.map((maxMs) => maxMs ?? 0)) - outOfOrdernessMs
  return Math.max(0, (nowMs - watermarkMs) / 1_000)
}

/** All from one snapshot. */
export const readFigures: Effect.Effect<Figures, LogUnavailableError | StoreUnavailableError, EventLog | ReadModelStore> = Effect.scoped(
  Effect.gen(function* () {
    const log = yield* EventLog
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const nowMs = yield* Clock.currentTimeMillis
    const lag: Figures["lag"][number][] = []
    const projections: Figures["projections"][number][] = []
    let conservationFaults = 0
    for (const { projection, generation } of yield* snapshot.pointers) {
      const record = yield* snapshot.generation(projection, generation)
      if (record === undefined) continue
      const { window } = JSON.parse(record.definition) as ProjectionDefinition
      const starts = new Map(record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
      const partitions = (yield* snapshot.checkpoints(projection, generation)).flatMap((checkpoint) => checkpoint.partitions)
      for (const checkpoint of partitions) {
        const { end } = yield* log.bounds(checkpoint.partition)
        lag.push({ projection, generation, partition: checkpoint.partition, events: Math.max(0, Number(end - checkpoint.nextOffset)) })
        if (conservationFault(checkpoint, starts.get(checkpoint.partition) ?? 0n) !== undefined) conservationFaults += 1
      }
      projections.push({
        projection,
        watermarkGapSeconds: watermarkGapSeconds(partitions, window.outOfOrdernessMs, nowMs),
        lateEvents: partitions.reduce((sum, { counters }) => sum + Number(counters.late), 0),
        deadLetters: partitions.reduce((sum, { counters }) => sum + Number(counters.deadLettered), 0)
      })
    }
    return { lag, projections, conservationFaults }
  })
)
