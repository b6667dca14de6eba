/** Taking a lane over: every generation it is to fold from its checkpoint, and one reader per partition from the lowest of them. */
import { PartitionState } from "@tidemark/domain/events/partitionState"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { ScannedEvent } from "@tidemark/domain/events/scannedEvent"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { choiceText, chosenGenerations } from "./chosenGenerations.ts"
import type { Choice } from "./chosenGenerations.ts"
import { createGenerationLane } from "./generationLane.ts"
import type { GenerationLane } from "./generationLane.ts"
import { checkContinuity, checkIdentity, compilePinned, lanePartitions } from "./generationCheck.ts"
import { HaltError } from "./halt.ts"
import { readLog } from "./readLog.ts"

/** Bytes of one read of the log. */
export const READ_BYTES_MAX = 1 << 20

/** The one reader of a partition, feeding all generations of the lane. */
export interface PartitionReader {
  readonly partition: number
  readonly state: PartitionState
  /** The record being read; what it holds counts until the next one. */
  readonly scanned: ScannedEvent
  /** Bytes of the last record read; undefined before the first. */
  lastRecord: Uint8Array | undefined
  /** Whether what is observed is saved: not by a rebuild, and not when the index ends below what the log still holds. */
  readonly isIndexed: boolean
  /** Taken from the state and not yet saved, oldest first. */
  unsaved: PartitionSegment[]
}

/** A generation that could not be taken over. */
export interface HaltedGeneration {
  readonly record: GenerationRecord
  readonly error: HaltError
}

export interface OpenLane {
  readonly lane: number
  readonly readers: ReadonlyMap<number, PartitionReader>
  readonly generations: readonly GenerationLane[]
  readonly halted: readonly HaltedGeneration[]
  /** First offset that was read to know what the index does not, by partition. */
  readonly readFrom: ReadonlyMap<number, bigint>
  /** Records between the positions of the readers and the log's end. */
  readonly behind: number
  /** What was to be folded, as `currentChoice` says it. */
  readonly choice: string
}

interface Taken {
  readonly record: GenerationRecord
  readonly generation: GenerationLane
}

const takeOver = Effect.fn("takeOver")(function* (record: GenerationRecord, lane: number, log: EventLogShape, seed: number) {
  const store = yield* ReadModelStore
  const compiled = yield* compilePinned(record, seed)
  const checkpoint = yield* store.takeOver({ projection: record.projection, generation: record.generation, lane })
  yield* checkIdentity(record, checkpoint, log)
  for (const part of checkpoint.partitions) yield* checkContinuity(log, part)
  yield* store.clearHalt(checkpoint.lane)
  return createGenerationLane(record, compiled, checkpoint, seed)
})

/** Observes the records between the stored prefix and `to`, folding nothing. */
const catchUp = Effect.fn("catchUp")(function* (log: EventLogShape, partition: number, state: PartitionState, to: bigint) {
  while (state.nextOffset < to) {
    const [batch] = yield* readLog(log, [{ partition, nextOffset: state.nextOffset }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
    if (batch === undefined || batch.firstOffset !== state.nextOffset) {
      return yield* new HaltError({ code: "LOG_GAP", detail: `partition ${partition}: no record at ${state.nextOffset}, needed to know duplicates` })
    }
    for (let at = 0; at < batch.ends.length && state.nextOffset < to; at++) {
      state.observe(decodeRecord(batch.bytes.subarray(at === 0 ? 0 : batch.ends[at - 1], batch.ends[at])))
    }
  }
})

/** Lowest checkpoint of the generations in a partition. */
const lowestOffset = (generations: readonly Taken[], partition: number): bigint =>
  generations.reduce<bigint | undefined>((lowest, { generation: { checkpoints } }) => {
    const next = checkpoints.get(partition)?.nextOffset ?? 0n
    return lowest === undefined || next < lowest ? next : lowest
  }, undefined) ?? 0n

/**
 * The reader of a partition, and the generations it cannot serve: they have folded records that neither the log nor the
 * index knows any more, so duplicates of these would count. Those that began at or above the log's start need none.
 */
const openReader = Effect.fn("openReader")(function* (log: EventLogShape, partition: number, seed: number, generations: readonly Taken[], isSaved: boolean) {
  const index = yield* PartitionIndex
  const prefix = yield* index.load(partition, lowestOffset(generations, partition))
  const { start, end } = yield* log.bounds(partition)
  const isKnown = prefix.nextOffset >= start
  const lost = isKnown ? [] : generations.filter(({ generation: { coverage } }) => (coverage.get(partition) ?? 0n) < start)
  const state = isKnown ? PartitionState.fromSegments(partition, seed, prefix.segments, prefix.imports) : PartitionState.startingAt(partition, seed, start)
  const readFrom = state.nextOffset
  yield* catchUp(log, partition, state, lowestOffset(generations.filter((one) => !lost.includes(one)), partition))
  const reader: PartitionReader = { partition, state, scanned: new ScannedEvent(), lastRecord: undefined, isIndexed: isSaved && (isKnown || prefix.nextOffset === 0n), unsaved: [] }
  const detail = `partition ${partition}: the log now starts at ${start}, and the partition index knows the records before it up to ${prefix.nextOffset} only`
  return { reader, readFrom, behind: Number(end - state.nextOffset), lost: lost.map(({ record }): HaltedGeneration => ({ record, error: new HaltError({ code: "LOG_GAP", detail }) })) }
})

/**
 * Takes over every chosen generation in the lane. One that may not go on is answered as halted; the others do. Fails with
 * `HaltError` when no reader can be opened for a partition.
 */
export const openLane = Effect.fn("openLane")(function* (lane: number, choice: Choice) {
  const log = yield* EventLog
  const seed = hashSeedOf(log.identity.logId)
  const taken: Taken[] = []
  const halted: HaltedGeneration[] = []
  const chosen = yield* chosenGenerations(choice)
  for (const record of chosen) {
    yield* takeOver(record, lane, log, seed).pipe(
      Effect.match({
        onSuccess: (generation) => ({ generation }),
        onFailure: (error) => ({ error })
      }),
      Effect.flatMap((outcome) => {
        if ("generation" in outcome) return Effect.sync(() => void taken.push({ record, generation: outcome.generation }))
        if (outcome.error._tag === "HaltError") {
          const { error } = outcome
          return Effect.sync(() => void halted.push({ record, error }))
        }
        return Effect.fail(outcome.error)
      })
    )
  }
  const readers = new Map<number, PartitionReader>()
  const readFrom = new Map<number, bigint>()
  const { partitions, lanes } = log.identity
  let behind = 0
  for (const partition of lanePartitions(lane, partitions, lanes)) {
    const { reader, lost, readFrom: from, behind: ahead } = yield* openReader(log, partition, seed, taken.filter(({ record }) => !halted.some((one) => one.record === record)), choice === "served")
    readers.set(partition, reader)
    readFrom.set(partition, from)
    behind += ahead
    halted.push(...lost)
  }
  const generations = taken.filter(({ record }) => !halted.some((one) => one.record === record)).map(({ generation }) => generation)
  const opened: OpenLane = { lane, readers, generations, halted, readFrom, behind, choice: choiceText(chosen) }
  return opened
})
