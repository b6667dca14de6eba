/** What a rebuild would read, before anything is written. Rules: docs/semantics.md §8. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { nextGeneration } from "./buildGeneration.ts"
import { foldSample } from "./foldSample.ts"
import { storedSize } from "./storedSize.ts"

/** Bytes read of each partition, at its start, its middle and its last quarter, to know how large a record is. */
const SAMPLE_BYTES = 64 << 10

export interface RebuildEstimate {
  readonly projection: string
  /** The number the new generation would get, and the served one. */
  readonly generation: number
  readonly fromGeneration: number
  /** Records the log holds now. */
  readonly events: bigint
  /** Of these records, from a sample. */
  readonly bytes: bigint
  /** Rows of minute, hour and day that the served generation holds, and about how many bytes: the new one writes about as many beside them. */
  readonly rows: bigint
  readonly rowBytes: bigint
  /** At the rate of the last rebuild, or of a sample; null where the log is too short for one. */
  readonly seconds: number | null
  readonly rateFrom: RateSource | null
}

/** `last-rebuild`: measured with everything that a rebuild does. `sample`: records of the log folded by one thread just now, storing not counted. */
export type RateSource = "last-rebuild" | "sample"

export interface PlanInput {
  /** Of the last rebuild, records a second; a sample is folded when absent. */
  readonly recordsPerSecond: number | undefined
  /** Tenants that may have rows; those with live events are known anyway. */
  readonly tenants: readonly string[]
}

/** The served generation with its size, undefined when there is none, and the next number. */
const activeOf = Effect.fn("activeOf")(function* (projection: string, tenants: readonly string[]) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const pointer = yield* snapshot.pointer(projection)
    const generations = yield* snapshot.generations(projection)
    const record = generations.find(({ generation }) => generation === pointer?.generation)
    if (record === undefined) return undefined
    return { record, next: nextGeneration(generations), size: yield* storedSize(snapshot, record, yield* snapshot.checkpoints(projection, record.generation), tenants) }
  }))
})

/** Mean bytes of a record, by reading a little at three places; 0 for an empty partition. */
const meanBytes = Effect.fn("meanBytes")(function* (partition: number, start: bigint, end: bigint) {
  const log = yield* EventLog
  const length = end - start
  let [bytes, records] = [0, 0]
  for (const nextOffset of new Set([start, start + length / 2n, start + (length * 3n) / 4n])) {
    if (nextOffset >= end) continue
    for (const batch of yield* log.read([{ partition, nextOffset }], { bytesMax: SAMPLE_BYTES, waitMaxMs: 0 })) {
      bytes += batch.bytes.length
      records += batch.ends.length
    }
  }
  return records === 0 ? 0 : bytes / records
})

/** Answers undefined for a projection that is not served. Without a known rate it takes about a second. */
export const planRebuild = Effect.fn("planRebuild")(function* (definition: ProjectionDefinition, { recordsPerSecond, tenants }: PlanInput) {
  const log = yield* EventLog
  const active = yield* activeOf(definition.name, tenants)
  if (active === undefined) return undefined
  const { record, next, size } = active
  let [events, bytes] = [0n, 0n]
  for (let partition = 0; partition < log.identity.partitions; partition++) {
    const { start, end } = yield* log.bounds(partition)
    events += end - start
    bytes += BigInt(Math.round(Number(end - start) * (yield* meanBytes(partition, start, end))))
  }
  const rate = recordsPerSecond ?? (yield* foldSample(definition))
  const estimate: RebuildEstimate = {
    projection: definition.name, generation: next, fromGeneration: record.generation, events, bytes, rows: size.rows, rowBytes: size.bytes,
    seconds: rate === undefined ? null : Number(events) / rate, rateFrom: rate === undefined ? null : recordsPerSecond === undefined ? "sample" : "last-rebuild"
  }
  return estimate
})
