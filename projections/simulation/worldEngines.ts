/**
 * The engines as one process sees them: every call may take its time before it reaches the disk and before the answer
 * comes back, and some fail. In between others act, and the caller may be killed.
 */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape, LogIdentity } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PartitionIndex, PartitionIndexError } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneId, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { memoryEventLog } from "./memoryEventLog.ts"
import type { MemoryLogDisk } from "./memoryEventLog.ts"
import { memoryEventStore } from "./memoryEventStore.ts"
import type { MemorySettingsDisk } from "./memoryEventStore.ts"
import { memoryPartitionIndex } from "./memoryPartitionIndex.ts"
import type { MemoryIndexDisk } from "./memoryPartitionIndex.ts"
import { memoryReadModelStore } from "./memoryReadModelStore.ts"
import type { MemoryModelDisk } from "./memoryReadModelStore.ts"
import type { PlantedBug, TookEffect } from "./plantedBugs.ts"
import type { SeededRandom } from "./random.ts"

/** How slow and how faulty the engines are just now: probabilities from 0 to 1. */
export interface EngineWeather {
  /** An answer takes longer than a turn of the scheduler. */
  slow: number
  /** Longest such delay, ms. */
  slowMsMax: number
  commitFault: number
  appendFault: number
  indexFault: number
  busFault: number
  isStoreDown: boolean
  isLogDown: boolean
}

/** No faults, no delays. */
export const calm = (): EngineWeather => ({ slow: 0, slowMsMax: 0, commitFault: 0, appendFault: 0, indexFault: 0, busFault: 0, isStoreDown: false, isLogDown: false })

export interface Engines {
  readonly log: EventLogShape
  readonly store: ReadModelStoreShape
  readonly index: PartitionIndexShape
}

/** What the engines store, and of which log. */
export interface WorldDisks {
  readonly identity: LogIdentity
  readonly logDisk: MemoryLogDisk
  readonly modelDisk: MemoryModelDisk
  readonly indexDisk: MemoryIndexDisk
  readonly tookEffect: TookEffect
}

/** The engines over these disks, which are made if there is nothing yet, with the bug planted in them. */
export const plantedEngines = ({ identity, logDisk, modelDisk, indexDisk, tookEffect }: WorldDisks, bug: PlantedBug | undefined): Engines => {
  const layer = Layer.mergeAll(memoryEventLog(logDisk, identity), memoryReadModelStore(modelDisk), memoryPartitionIndex(indexDisk))
  const engines = Effect.runSync(Effect.gen(function* () {
    return { log: yield* EventLog, store: yield* ReadModelStore, index: yield* PartitionIndex }
  }).pipe(Effect.provide(layer)))
  return {
    log: bug?.wrapLog?.(engines.log, logDisk, tookEffect) ?? engines.log,
    store: bug?.wrapStore?.(engines.store, modelDisk, tookEffect) ?? engines.store,
    index: engines.index
  }
}

/** What the world hears of the calls of its processes. */
export interface EngineListener {
  readonly tookOver: (lane: LaneId, epoch: bigint) => void
  readonly fenced: (lane: LaneId) => void
  readonly unknown: () => void
}

type Seam = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const makeSeam = (random: SeededRandom, weather: EngineWeather): Seam => {
  const pause = Effect.suspend(() => {
    if (random.chance(weather.slow)) return Effect.sleep(random.between(1, weather.slowMsMax))
    return random.chance(0.5) ? Effect.yieldNow : Effect.void
  })
  return (effect) => pause.pipe(Effect.andThen(effect), Effect.exit, Effect.flatMap((exit) => Effect.andThen(pause, exit)))
}

const slowLog = (log: EventLogShape, seam: Seam): EventLogShape => ({
  identity: log.identity,
  append: (batch) => seam(log.append(batch)),
  read: (from, options) => seam(log.read(from, options)),
  bounds: (partition) => seam(log.bounds(partition)),
  verify: (partition, from) => seam(log.verify(partition, from))
})

const slowStore = (store: ReadModelStoreShape, seam: Seam, listener: EngineListener): ReadModelStoreShape => ({
  createGeneration: (record, lanes) => seam(store.createGeneration(record, lanes)),
  takeOver: (lane) => seam(Effect.tap(store.takeOver(lane), ({ epoch }) => Effect.sync(() => listener.tookOver(lane, epoch)))),
  readRows: (lane, keys) => seam(store.readRows(lane, keys)),
  readKeyCounts: (lane, windows) => seam(store.readKeyCounts(lane, windows)),
  commit: (commits) => seam(Effect.tapError(store.commit(commits), (error) => Effect.sync(() => {
    if (error._tag === "FencedError") listener.fenced(error)
    if (error._tag === "CommitUnknownError") listener.unknown()
  }))),
  snapshot: seam(store.snapshot),
  flip: (projection, generation, expectedVersion) => seam(store.flip(projection, generation, expectedVersion)),
  follow: (id, isFollowed) => seam(store.follow(id, isFollowed)),
  dropGeneration: (id) => seam(store.dropGeneration(id)),
  generationSize: (id) => seam(store.generationSize(id)),
  recordHalt: (halt) => seam(store.recordHalt(halt)),
  clearHalt: (lane) => seam(store.clearHalt(lane)),
  incarnation: seam(store.incarnation),
  registerOutbox: (consumer) => seam(store.registerOutbox(consumer)),
  visitRowsBelow: (lane, beforeMs, visit) => seam(store.visitRowsBelow(lane, beforeMs, visit)),
  readOutbox: (consumer, after, limit) => seam(store.readOutbox(consumer, after, limit)),
  ackOutbox: (consumer, upTo) => seam(store.ackOutbox(consumer, upTo)),
  forgetOutbox: (consumer) => seam(store.forgetOutbox(consumer))
})

const faultyIndex = (index: PartitionIndexShape, seam: Seam, random: SeededRandom, weather: EngineWeather): PartitionIndexShape => {
  const orFail = <A>(effect: Effect.Effect<A, PartitionIndexError>): Effect.Effect<A, PartitionIndexError> =>
    seam(Effect.suspend(() => (random.chance(weather.indexFault) ? Effect.fail(new PartitionIndexError({ cause: new Error("simulated") })) : effect)))
  return { load: (partition, atMost) => orFail(index.load(partition, atMost)), save: (segment) => orFail(index.save(segment)), clocks: (partition, atMost, receivedMaxMs) => orFail(index.clocks(partition, atMost, receivedMaxMs)) }
}

/** The window index as one process sees it: requests are delayed, writes by `writes`, refused, or take effect without an answer, and items have to be sent again. */
export const processWindows = (index: WindowIndexShape, random: SeededRandom, weather: EngineWeather, writes = weather): Layer.Layer<WindowIndex> => {
  const seam = makeSeam(random, weather)
  const writeSeam = makeSeam(random, writes)
  return Layer.succeed(WindowIndex, {
    put: (model, documents) => writeSeam(index.put(model, documents)),
    read: (model, keys) => seam(index.read(model, keys)),
    find: (model, search) => seam(index.find(model, search)),
    candidates: (model, selections, ranking) => seam(index.candidates(model, selections, ranking)),
    refresh: (image) => seam(index.refresh(image)),
    keepRefused: (model, refused) => seam(index.keepRefused(model, refused)),
    state: (image) => seam(index.state(image)),
    setComplete: (image, complete) => seam(index.setComplete(image, complete)),
    images: seam(index.images),
    drop: (image, beforeMs) => seam(index.drop(image, beforeMs))
  })
}

/** The event store as one process sees it. */
export const processSettings = (disk: MemorySettingsDisk, random: SeededRandom, weather: EngineWeather): Layer.Layer<EventStore> => {
  const seam = makeSeam(random, weather)
  return Layer.effect(EventStore, Effect.map(EventStore, (store) => ({
    append: (stream, events, expectedRevision) => seam(store.append(stream, events, expectedRevision)),
    readStream: (stream, fromRevision, limit) => seam(store.readStream(stream, fromRevision, limit)),
    readAll: (afterPosition, limit, waitMaxMs) => seam(store.readAll(afterPosition, limit, waitMaxMs))
  }))).pipe(Layer.provide(memoryEventStore(disk)))
}

/** The engines of one process. */
export const processEngines = (engines: Engines, random: SeededRandom, weather: EngineWeather, listener: EngineListener): Layer.Layer<EventLog | ReadModelStore | PartitionIndex> => {
  const seam = makeSeam(random, weather)
  return Layer.mergeAll(
    Layer.succeed(EventLog, slowLog(engines.log, seam)),
    Layer.succeed(ReadModelStore, slowStore(engines.store, seam, listener)),
    Layer.succeed(PartitionIndex, faultyIndex(engines.index, seam, random, weather))
  )
}
