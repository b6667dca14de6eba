/**
 * Rebuilds in the distributed mode: a generation built from Kafka into Postgres beside the served one, by the threads that
 * the server builds with, digests kept, until the owners of the lanes fold it and it stands where the served one stands.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { buildGeneration, createShadow, joinServed } from "@tidemark/replay/buildGeneration"
import { checksOf } from "@tidemark/server/checkThread"
import { foldInThreads as buildInThreads } from "@tidemark/server/foldThreads"
import * as Effect from "effect/Effect"
import { foldInThreads } from "./foldInThreads.ts"
import { modelOutcome } from "./modelOutcome.ts"
import { TOPIC_LANES, TOPIC_PARTITIONS, recordsOf, topicConfiguration, writeTopic } from "./topicLog.ts"

/** As the server: the owners of the lanes fold the rest. */
const LAG_MAX = 1_000n
const LANES = Array.from({ length: TOPIC_LANES }, (_, lane) => lane)

export interface DistributedRebuild {
  readonly threads: number
  /** From the creation of the generation to the last flush of its builders; loading their threads included. */
  readonly buildSeconds: number
  /** From there until it stands where the served one stands. */
  readonly catchUpSeconds: number
  /** Of this process, all threads; the engines are not counted. */
  readonly cpuSeconds: number
  /** As `modelOutcome` tells it. */
  readonly digest: string
}

export interface DistributedRebuilds {
  readonly eventBytes: number
  /** Of the generation that was served meanwhile, folded by the projector. */
  readonly servedDigest: string
  readonly rebuilds: readonly DistributedRebuild[]
}

const rebuildOnce = Effect.fn("rebuildOnce")(function* (configuration: Configuration, definition: ProjectionDefinition, generation: number, threads: number) {
  const entry = pathToFileURL(fileURLToPath(import.meta.resolve("@tidemark/server/workerMain")))
  const id = { projection: definition.name, generation }
  const [startMs, startCpu] = [performance.now(), process.cpuUsage()]
  yield* createShadow(definition, generation)
  yield* buildGeneration({ id, lanes: LANES, stop: Effect.never, lagMax: LAG_MAX, fold: buildInThreads(checksOf(entry, configuration), threads) })
  const builtMs = performance.now()
  yield* joinServed(id)
  const levelMs = performance.now()
  const { user, system } = process.cpuUsage(startCpu)
  const { digest } = yield* modelOutcome([definition], generation)
  yield* (yield* ReadModelStore).follow(id, false)
  return { threads, buildSeconds: (builtMs - startMs) / 1_000, catchUpSeconds: (levelMs - builtMs) / 1_000, cpuSeconds: (user + system) / 1e6, digest }
})

/**
 * Writes a topic of so many events, folds it into the served generation, and builds one after the other beside it: `runs`
 * times with each number of threads in turn. Throws when rows are not what their digests say.
 */
export const rebuildDistributed = async (dataDir: string, definition: ProjectionDefinition, { events, runs, threads }: { readonly events: number; readonly runs: number; readonly threads: readonly number[] }): Promise<DistributedRebuilds> => {
  const configuration = topicConfiguration(dataDir)
  const eventBytes = await writeTopic(configuration, { events, partitions: TOPIC_PARTITIONS, lanes: TOPIC_LANES, everyMs: 1 })
  rmSync(join(dataDir, "index"), { recursive: true, force: true })
  const program = Effect.scoped(Effect.gen(function* () {
    yield* ensureGenerations([definition])
    const records = yield* recordsOf
    yield* Effect.promise(() => foldInThreads({ configuration, lanes: TOPIC_LANES, threads: Math.max(...threads), records, models: 1 }))
    const servedDigest = (yield* modelOutcome([definition])).digest
    // The owners of the lanes: they have nothing to fold until they follow what was built.
    yield* Effect.forkScoped(runLanes({ lanes: LANES, stop: Effect.never, observer: { committed: () => {}, halted: () => {}, retrying: () => {} } }))
    const rebuilds: DistributedRebuild[] = []
    for (let run = 0; run < runs; run++) {
      for (const count of threads) rebuilds.push(yield* rebuildOnce(configuration, definition, rebuilds.length + 2, count))
    }
    return { eventBytes, servedDigest, rebuilds }
  }))
  return Effect.runPromise(program.pipe(Effect.provide(readerEngines(configuration, () => () => {}))))
}
