/**
 * Builds a generation beside the served ones: made with a number of its own, folded from its checkpoints by readers of
 * its own, and handed to the owners of the lanes once it has caught up. From then on it and the active generation are
 * folded from one reader and committed in one transaction, so neither is ever ahead. Rules: docs/semantics.md §4, §8.
 */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { haltIn } from "@tidemark/domain/ports/projectionPause"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationId, GenerationRecord, Halt, LaneCheckpoint } from "@tidemark/domain/ports/ReadModelStore"
import { lanePartitions } from "@tidemark/projections/runtime/generationCheck"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { foldHere } from "./foldHere.ts"
import type { Fold } from "./foldHere.ts"
import { makePaceMemory } from "./pace.ts"
import type { PaceMemory } from "./pace.ts"

/** The generation cannot be folded further; `code` and `detail` as the runtime says them. */
export class BuildHaltedError extends Schema.TaggedError<BuildHaltedError>()("BuildHaltedError", { code: Schema.String, detail: Schema.String }) {}

/** Records the generation has folded, and records the log holds for it. */
export interface BuildProgress {
  readonly processed: bigint
  readonly total: bigint
}

export interface BuildOptions {
  readonly id: GenerationId
  readonly lanes: readonly number[]
  /** Completes: the build flushes what it holds and ends; it goes on from there another time. */
  readonly stop: Effect.Effect<void>
  /** Built up to this many records behind the log's end. */
  readonly lagMax: bigint
  /** How quickly it may go; as fast as it can unless given. */
  readonly pace?: PaceMemory
  /** Who folds the lanes; the calling thread unless given. */
  readonly fold?: Fold
  readonly progress?: (progress: BuildProgress) => void
}

const WATCH_EVERY_MS = 50

/** The number a new generation of the projection gets. Numbers are never used again. */
export const nextGeneration = (existing: readonly GenerationRecord[]): number => existing.reduce((highest, { generation }) => Math.max(highest, generation), 0) + 1

/** Stores a generation that covers the log from its start. Repeatable: one that is there is left as it is. */
export const createShadow = Effect.fn("createShadow")(function* (definition: ProjectionDefinition, generation: number) {
  const log = yield* EventLog
  const { logId, partitions, lanes } = log.identity
  const coverage: { partition: number; nextOffset: bigint }[] = []
  for (let partition = 0; partition < partitions; partition++) coverage.push({ partition, nextOffset: (yield* log.bounds(partition)).start })
  const record: GenerationRecord = {
    projection: definition.name, generation, definition: canonicalJson(definition), definitionHash: definitionHash(definition), createdAtMs: yield* Clock.currentTimeMillis, logId, coverage
  }
  const laneList = Array.from({ length: lanes }, (_, lane) => ({ lane, partitions: lanePartitions(lane, partitions, lanes) }))
  yield* (yield* ReadModelStore).createGeneration(record, laneList)
})

/** How far the lanes' checkpoints are. */
export const buildProgress = Effect.fn("buildProgress")(function* (id: GenerationId, lanes: readonly number[]) {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const record = yield* snapshot.generation(id.projection, id.generation)
    const starts = new Map(record?.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
    let [processed, total] = [0n, 0n]
    for (const { lane, partitions } of yield* snapshot.checkpoints(id.projection, id.generation)) {
      if (!lanes.includes(lane.lane)) continue
      for (const { partition, nextOffset } of partitions) {
        const start = starts.get(partition) ?? 0n
        processed += nextOffset - start
        total += (yield* log.bounds(partition)).end - start
      }
    }
    const progress: BuildProgress = { processed, total }
    return progress
  }))
})

/**
 * Folds the lanes from their checkpoints until at most `lagMax` records are missing ("caught up") or `stop` completes.
 * Fails with `BuildHaltedError` when the generation halts, with `FencedError` when somebody else builds it.
 */
export const buildGeneration = Effect.fn("buildGeneration")(function* ({ id, lanes, stop, lagMax, pace = makePaceMemory(), fold = foldHere, progress }: BuildOptions) {
  const end = yield* Deferred.make<void>()
  const halted = yield* Deferred.make<never, BuildHaltedError>()
  const watch = Effect.gen(function* () {
    for (;;) {
      const reached = yield* buildProgress(id, lanes)
      yield* Effect.sync(() => progress?.(reached))
      if (reached.total - reached.processed <= lagMax) return "caught up" as const
      yield* Effect.sleep(WATCH_EVERY_MS)
    }
  })
  const onHalted = ({ code, detail }: Pick<Halt, "code" | "detail">) => void Deferred.doneUnsafe(halted, Effect.fail(new BuildHaltedError({ code, detail })))
  return yield* Effect.scoped(Effect.gen(function* () {
    const folding = yield* Effect.forkScoped(fold({ id, lanes, stop: Deferred.await(end), pace, halted: onHalted }))
    const outcome = yield* Effect.raceAllFirst([watch, Effect.as(stop, "stopped" as const), Deferred.await(halted), Effect.andThen(Fiber.join(folding), Effect.never)])
    yield* Deferred.succeed(end, undefined)
    yield* Fiber.join(folding)
    return outcome
  }))
})

/** Next offsets, by partition. */
export const positionsOf = (checkpoints: readonly LaneCheckpoint[]): ReadonlyMap<number, bigint> =>
  new Map(checkpoints.flatMap(({ partitions }) => partitions.map(({ partition, nextOffset }) => [partition, nextOffset] as const)))

/** Where the log has no more for a generation that is to pass a halted one, nothing will ever bring it there. */
const demandLog = Effect.fn("demandLog")(function* ({ code, detail }: Halt, behind: readonly (readonly [number, bigint])[], own: ReadonlyMap<number, bigint>) {
  const log = yield* EventLog
  for (const [partition, nextOffset] of behind) {
    const { end } = yield* log.bounds(partition)
    if (end > (own.get(partition) ?? 0n)) continue
    return yield* new BuildHaltedError({
      code: "SERVED_BEYOND_LOG",
      detail: `partition ${partition}: the served generation has halted at offset ${nextOffset} (${code}: ${detail}) and the log ends at ${end}; resume once the log is restored or has grown beyond it`
    })
  }
})

/**
 * Has the owners of the lanes fold the generation, and waits until it stands where the active one stands, in one snapshot;
 * at least there in every partition where the active one has halted, since that one will not move. Whoever built it is
 * fenced by that, so the build must have ended. Fails with `BuildHaltedError` when it halts, or can never come so far.
 */
export const joinServed = Effect.fn("joinServed")(function* (id: GenerationId) {
  const store = yield* ReadModelStore
  yield* store.follow(id, true)
  const isLevel = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const halt = (yield* snapshot.halts).find((one) => one.projection === id.projection && one.generation === id.generation)
    if (halt !== undefined) return yield* new BuildHaltedError({ code: halt.code, detail: halt.detail })
    const pointer = yield* snapshot.pointer(id.projection)
    if (pointer === undefined) return true
    const active = [...positionsOf(yield* snapshot.checkpoints(id.projection, pointer.generation))]
    const own = positionsOf(yield* snapshot.checkpoints(id.projection, id.generation))
    const servedHalt = haltIn(yield* snapshot.halts, pointer)
    if (servedHalt === undefined) return active.every(([partition, nextOffset]) => (own.get(partition) ?? -1n) === nextOffset)
    const behind = active.filter(([partition, nextOffset]) => (own.get(partition) ?? -1n) < nextOffset)
    yield* demandLog(servedHalt, behind, own)
    return behind.length === 0
  }))
  while (!(yield* isLevel)) yield* Effect.sleep(WATCH_EVERY_MS)
})
