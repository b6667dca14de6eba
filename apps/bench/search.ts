/**
 * Window documents into Elasticsearch: how many a second the publisher merges and puts, when it copies a whole generation
 * into an empty index, and when it catches up with an outbox that has waited.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { SEARCH_CONSUMER, WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import { windowIndexElasticsearch } from "@tidemark/infra-elasticsearch/WindowIndexElasticsearch"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { makeSearchPublisher } from "@tidemark/projections/runtime/searchPublisher"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { configurationOf, writeLog } from "./benchLog.ts"
import { writeTopic } from "./topicLog.ts"
import { distributedConfiguration, freshNamespace, modeOption } from "./engineSettings.ts"
import { conditions, known, median, numberOption, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"

const EVENTS = 200_000
const RUNS = 3
const EVERY_MS = 20
const LANES = 4
const URL_DEFAULT = "http://127.0.0.1:25420"
const NAMESPACE = "bench"

type Ports = EventLog | ReadModelStore | PartitionIndex | WindowIndex

/** Folds the whole log. */
const fold = Effect.gen(function* () {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  yield* ensureGenerations([pageViews])
  const stop = yield* Deferred.make<void>()
  let wanted = 0n
  for (let partition = 0; partition < log.identity.partitions; partition++) wanted += (yield* log.bounds(partition)).end
  const stand = Effect.scoped(Effect.gen(function* () {
    const checkpoints = yield* (yield* store.snapshot).checkpoints(pageViews.name, 1)
    return checkpoints.flatMap(({ partitions }) => partitions).reduce((sum, { nextOffset }) => sum + nextOffset, 0n)
  }))
  const watch = Effect.gen(function* () {
    while ((yield* stand) < wanted) yield* Effect.sleep(50)
    yield* Deferred.succeed(stop, undefined)
  })
  const failed = (cause: string) => {
    throw new Error(cause)
  }
  const observer = { committed: () => {}, halted: ({ detail }: { readonly detail: string }) => failed(detail), retrying: ({ cause }: { readonly cause: string }) => failed(cause) }
  yield* Effect.all([runLanes({ lanes: Array.from({ length: LANES }, (_, lane) => lane), stop: Deferred.await(stop), observer }), watch], { concurrency: 2 })
})

interface Published {
  readonly documents: number
  readonly seconds: number
  /** Of this process, all its threads. */
  readonly cpuSeconds: number
  /** Of the search engine's process, whatever else it did; NaN where it does not tell. */
  readonly engineCpuSeconds: number
}

interface NodesStats {
  readonly nodes: Readonly<Record<string, { readonly process: { readonly cpu: { readonly total_in_millis: number } } }>>
}

/** CPU time the engine has used so far, of all its nodes. */
const engineCpuSeconds = (url: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const { nodes } = (await (await fetch(`${url}/_nodes/stats/process`)).json()) as NodesStats
    return Object.values(nodes).reduce((sum, { process: { cpu } }) => sum + (cpu.total_in_millis >= 0 ? cpu.total_in_millis : NaN), 0) / 1_000
  })

/** Runs a publisher until the outbox is empty. */
const publish = (url: string): Effect.Effect<Published, unknown, Ports> => Effect.gen(function* () {
  const store = yield* ReadModelStore
  const publisher = makeSearchPublisher({ tenants: Effect.succeed([]) })
  const engineCpuBefore = yield* engineCpuSeconds(url)
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  let [seconds, cpuSeconds] = [0, 0]
  const drained = Effect.gen(function* () {
    // The cursor is there and nothing is behind it: the last acknowledgement was made.
    for (let looks = 0; looks < 2;) {
      yield* Effect.sleep(20)
      const age = publisher.ageMs(Date.now())
      const isDone = publisher.status().documents > 0 && age === 0 && (yield* store.readOutbox(SEARCH_CONSUMER, 0n, 1)).length === 0
      if (isDone && looks === 0) {
        const { user, system } = process.cpuUsage(startedCpu)
        cpuSeconds = (user + system) / 1e6
        seconds = (performance.now() - startedMs) / 1_000
      }
      looks = isDone ? looks + 1 : 0
    }
  })
  yield* Effect.raceFirst(publisher.run, drained)
  return { documents: publisher.status().documents, seconds, cpuSeconds, engineCpuSeconds: (yield* engineCpuSeconds(url)) - engineCpuBefore }
})

/** A whole copy into an empty index, again and again. */
const copies = (url: string, runs: number) => Effect.gen(function* () {
  const index = yield* WindowIndex
  const figures: Published[] = []
  for (let run = 0; run <= runs; run++) {
    for (const image of yield* index.images) yield* index.drop(image)
    const figure = yield* publish(url)
    // The first run warms the engine up.
    if (run > 0) figures.push(figure)
  }
  return figures
})

const row = (what: string, figures: readonly Published[]) => ({
  what,
  documents: figures[0]?.documents ?? 0,
  documentsPerSecond: rounded(median(figures.map(({ documents, seconds }) => documents / seconds))),
  slowest: rounded(Math.min(...figures.map(({ documents, seconds }) => documents / seconds))),
  cpuMicrosPerDocument: rounded(median(figures.map(({ documents, cpuSeconds }) => (cpuSeconds * 1e6) / documents)), 1),
  engineCpuMicrosPerDocument: known(median(figures.map(({ documents, engineCpuSeconds: cpu }) => (cpu * 1e6) / documents)), 1),
  runs: figures.length
})

/** Where rows are read from: LMDB, or Postgres after a topic of Kafka. Writes the log, and answers how it is opened. */
const writtenLog = async (mode: "embedded" | "distributed", dataDir: string, events: number): Promise<Configuration> => {
  if (mode === "embedded") {
    const shape = { events, partitions: LANES, lanes: LANES, everyMs: EVERY_MS }
    await writeLog(dataDir, shape)
    return configurationOf(dataDir, shape)
  }
  const configuration = distributedConfiguration(dataDir, freshNamespace(), { TIDEMARK_PARTITIONS: String(LANES), TIDEMARK_LANES: String(LANES) })
  await writeTopic(configuration, { events, partitions: LANES, lanes: LANES, everyMs: EVERY_MS })
  return configuration
}

/** `--url`, `--events`, `--runs`, `--mode embedded|distributed`. */
export const search = async (argv: readonly string[]): Promise<Report> => {
  const mode = modeOption(argv)
  const url = textOption(argv, "url") ?? process.env["TIDEMARK_ELASTICSEARCH_URL"] ?? URL_DEFAULT
  const [events, runs] = [numberOption(argv, "events", EVENTS), numberOption(argv, "runs", RUNS)]
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-search-"))
  try {
    const configuration = await writtenLog(mode, dataDir, events)
    const engines = Layer.mergeAll(readerEngines(configuration, () => () => {}), windowIndexElasticsearch({ url, namespace: NAMESPACE }))
    const program = Effect.gen(function* () {
      const store = yield* ReadModelStore
      const index = yield* WindowIndex
      for (const image of yield* index.images) yield* index.drop(image)
      yield* store.registerOutbox(SEARCH_CONSUMER)
      yield* fold
      const image = { projection: pageViews.name, generation: 1, incarnation: yield* store.incarnation }
      yield* index.setComplete(image, true)
      const caughtUp = yield* publish(url)
      const copied = yield* copies(url, runs)
      for (const left of yield* index.images) yield* index.drop(left)
      return [row("copy a generation", copied), row("catch up from the outbox, engine cold", [caughtUp])]
    })
    return { name: "search", conditions: { ...conditions(), mode, events, projection: pageViews.name, lanes: LANES, documentsPerRequest: 2_000 }, rows: await Effect.runPromise(program.pipe(Effect.provide(engines))) }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
