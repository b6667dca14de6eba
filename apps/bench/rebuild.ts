/** Replay of a stored log into new generations: how many events a second, with how many threads. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { configurationOf, writeLog } from "./benchLog.ts"
import { modeOption } from "./engineSettings.ts"
import { foldInThreads } from "./foldInThreads.ts"
import { conditions, listOption, median, numberOption, rounded } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { modelOutcome } from "./modelOutcome.ts"
import { rebuildDistributed } from "./rebuildDistributed.ts"
import { TOPIC_LANES, TOPIC_PARTITIONS } from "./topicLog.ts"

const PARTITIONS = 4
const LANES = 4
const DAY_MS = 86_400_000

interface Replay {
  readonly configuration: Configuration
  readonly definitions: readonly ProjectionDefinition[]
  readonly threads: number
  readonly records: number
}

interface Replayed {
  readonly seconds: number
  /** Of all threads, collector included. */
  readonly cpuSeconds: number
  /** As `modelOutcome` tells it: equal digests are equal rows. */
  readonly digest: string
}

const replay = (options: Replay): Promise<Replayed> => {
  const dataDir = options.configuration.dataDir.value
  for (const derived of ["models", "index"]) rmSync(join(dataDir, derived), { recursive: true, force: true })
  const program = Effect.gen(function* () {
    yield* ensureGenerations(options.definitions)
    const measured = yield* Effect.promise(() => foldInThreads({ ...options, lanes: LANES, models: options.definitions.length }))
    return { ...measured, digest: (yield* modelOutcome(options.definitions)).digest }
  })
  return Effect.runPromise(program.pipe(Effect.provide(engines(options.configuration))))
}

/** One digest of all runs and threads of one set of models. Throws when there are several: no rate is worth anything then. */
const theDigest = (models: string, digests: readonly string[]): string => {
  const different = [...new Set(digests)]
  if (different.length !== 1) throw new Error(`the rows of ${models} are not the same in every run: ${different.join(" ≠ ")}`)
  return different[0] ?? ""
}

/** One table of rebuilds on the engines of the distributed mode; throws when a digest is not that of the served generation. */
const rebuildOnEngines = async (argv: readonly string[], dataDir: string): Promise<Report> => {
  const asked = { events: numberOption(argv, "events", 500_000), runs: numberOption(argv, "runs", 3), threads: listOption(argv, "threads", ["1", "2"]).map(Number) }
  const rows: Report["rows"][number][] = []
  let bytes = NaN
  for (const name of listOption(argv, "models", ["page-views"])) {
    const definition = projections.find((one) => one.name === name)
    if (definition === undefined) throw new RangeError(`--models: there is no ${name}`)
    const { eventBytes, servedDigest, rebuilds } = await rebuildDistributed(dataDir, definition, asked)
    bytes = eventBytes
    const digest = theDigest(name, [servedDigest, ...rebuilds.map((one) => one.digest)])
    for (const threads of asked.threads) {
      const done = rebuilds.filter((one) => one.threads === threads)
      const rates = done.map(({ buildSeconds, catchUpSeconds }) => asked.events / (buildSeconds + catchUpSeconds))
      rows.push({
        models: name, threads, eventsPerSecond: rounded(median(rates)), slowest: rounded(Math.min(...rates)), fastest: rounded(Math.max(...rates)),
        "catch-up s": rounded(median(done.map(({ catchUpSeconds }) => catchUpSeconds)), 1), "cpu µs/event": rounded(median(done.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / asked.events)), 2),
        digest: `${digest}, as served`
      })
    }
  }
  return { name: "rebuild", conditions: { ...conditions(), mode: "distributed", events: asked.events, "event bytes": rounded(bytes), partitions: TOPIC_PARTITIONS, lanes: TOPIC_LANES, runs: asked.runs }, rows }
}

/** `--mode embedded|distributed`, `--events`, `--per-day` of them by receive time (one a millisecond when absent), `--runs`, `--threads 1,2,4`, `--models page-views,all`; the distributed mode knows no `--per-day` and no `all`. */
export const rebuild = async (argv: readonly string[]): Promise<Report> => {
  const events = numberOption(argv, "events", 500_000)
  const perDay = numberOption(argv, "per-day", DAY_MS)
  const runs = numberOption(argv, "runs", 3)
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-"))
  try {
    if (modeOption(argv) === "distributed") return await rebuildOnEngines(argv, dataDir)
    const shape = { events, partitions: PARTITIONS, lanes: LANES, everyMs: DAY_MS / perDay }
    const eventBytes = await writeLog(dataDir, shape)
    const rows: Report["rows"][number][] = []
    for (const models of listOption(argv, "models", ["page-views", "all"])) {
      const definitions = projections.filter(({ name }) => models === "all" || models === name)
      if (definitions.length === 0) throw new RangeError(`--models: there is no ${models}`)
      const digests: string[] = []
      for (const threads of listOption(argv, "threads", ["1", "2", "4"]).map(Number)) {
        const options = { configuration: configurationOf(dataDir, shape), definitions, threads, records: events + PARTITIONS }
        const done: Replayed[] = []
        for (let run = 0; run < runs; run++) done.push(await replay(options))
        digests.push(...done.map(({ digest }) => digest))
        const rates = done.map(({ seconds }) => events / seconds)
        rows.push({
          models, threads, eventsPerSecond: rounded(median(rates)), slowest: rounded(Math.min(...rates)), fastest: rounded(Math.max(...rates)),
          "cpu µs/event": rounded(median(done.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / events)), 2),
          digest: theDigest(models, digests)
        })
      }
    }
    return { name: "rebuild", conditions: { ...conditions(), events, "event bytes": rounded(eventBytes), "events a day": rounded(perDay), partitions: PARTITIONS, lanes: LANES, runs }, rows }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}
