/** What a rebuild would read, before anything is written. Rules: docs/semantics.md §8. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { nextGeneration } from "./buildGeneration.ts"

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
  /** At `recordsPerSecond`; null while no rate is known. */
  readonly seconds: number | null
}

/** The served generation, undefined when there is none, and the next number. */
const activeOf = Effect.fn("activeOf")(function* (projection: string) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const pointer = yield* snapshot.pointer(projection)
    const generations = yield* snapshot.generations(projection)
    return { record: generations.find(({ generation }) => generation === pointer?.generation), next: nextGeneration(generations) }
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

/** Answers undefined for a projection that is not served. `recordsPerSecond`: of the last rebuild, when one is known. */
export const planRebuild = Effect.fn("planRebuild")(function* (definition: ProjectionDefinition, recordsPerSecond: number | undefined) {
  const log = yield* EventLog
  const { record, next } = yield* activeOf(definition.name)
  if (record === undefined) return undefined
  let [events, bytes] = [0n, 0n]
  for (let partition = 0; partition < log.identity.partitions; partition++) {
    const { start, end } = yield* log.bounds(partition)
    events += end - start
    bytes += BigInt(Math.round(Number(end - start) * (yield* meanBytes(partition, start, end))))
  }
  const estimate: RebuildEstimate = {
    projection: definition.name, generation: next, fromGeneration: record.generation, events, bytes,
    seconds: recordsPerSecond === undefined ? null : Number(events) / recordsPerSecond
  }
  return estimate
})
