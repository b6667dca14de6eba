/**
 * Catch-up in the distributed mode: a topic that is there already, from Kafka into committed Postgres rows. Every run has
 * a topic and a schema of its own with the same events. The jobs of the peers run on the topic of the run before them.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import * as Effect from "effect/Effect"
import { foldInThreads } from "./foldInThreads.ts"
import type { Folded } from "./foldInThreads.ts"
import { conditions, listOption, median, numberOption, rounded, textOption } from "./measuring.ts"
import type { Report } from "./measuring.ts"
import { modelOutcome } from "./modelOutcome.ts"
import { TOPIC_LANES as LANES, TOPIC_PARTITIONS as PARTITIONS, recordsOf, topicConfiguration, writeTopic } from "./topicLog.ts"

const catchUpOnce = (configuration: Configuration, definitions: readonly ProjectionDefinition[], threads: number) => {
  rmSync(join(configuration.dataDir.value, "index"), { recursive: true, force: true })
  const engines = readerEngines(configuration, () => () => {})
  const program = Effect.gen(function* () {
    yield* ensureGenerations(definitions)
    const records = yield* recordsOf
    const folded = yield* Effect.promise(() => foldInThreads({ configuration, lanes: LANES, threads, records, models: definitions.length }))
    return { ...folded, ...(yield* modelOutcome(definitions)) }
  })
  return Effect.runPromise(program.pipe(Effect.provide(engines)))
}

interface PeerRun {
  readonly job: string
  readonly toCommit: number
  readonly late: number
  readonly digest: string
}

const field = (run: Readonly<Record<string, unknown>>, names: readonly string[]): unknown => names.map((name) => run[name]).find((value) => value !== undefined)

/** One round of the peers' jobs on the topic, as their own runner measures it. */
const runPeers = (folder: string, configuration: Configuration, jobs: readonly string[], scratch: string): readonly PeerRun[] => {
  const file = join(scratch, "peers.json")
  const topic = `${configuration.namespace.value}.raw-events`
  const { status, stderr } = spawnSync(join(folder, "run"), ["--bootstrap", configuration.kafkaBrokers.value ?? "", "--topic", topic, "--jobs", jobs.join(","), "--repeat", "1", "--json", file], { encoding: "utf8" })
  if (status !== 0) throw new Error(`the peers' jobs failed: ${stderr.trim().split("\n").slice(-3).join(" ")}`)
  const answer = JSON.parse(readFileSync(file, "utf8")) as { readonly runs?: readonly Readonly<Record<string, unknown>>[] } | readonly Readonly<Record<string, unknown>>[]
  const runs = "runs" in answer ? (answer.runs ?? []) : (answer as readonly Readonly<Record<string, unknown>>[])
  return runs.map((run) => ({
    job: String(run["job"]), toCommit: Number(field(run, ["eventsPerSecondToCommit", "toCommit", "to_commit"])),
    late: Number(field(run, ["lateDropped", "late"]) ?? NaN), digest: String(run["digest"] ?? "")
  }))
}

interface Costs {
  readonly cpu: number | string
  readonly rows: number | string
  readonly flushes: number | string
}

/** Medians of the runs. */
const costsOf = (done: readonly Folded[], events: number): Costs => ({
  cpu: rounded(median(done.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / events)), 2),
  rows: rounded(median(done.map(({ rows }) => rows / events)), 3),
  flushes: median(done.map(({ flushes }) => flushes))
})

const rowOf = (what: string, threads: number | string, rates: readonly number[], late: readonly number[], digests: readonly string[], costs: Costs): Report["rows"][number] => ({
  what, threads, eventsPerSecond: rounded(median(rates)), slowest: rounded(Math.min(...rates)), fastest: rounded(Math.max(...rates)), "cpu µs/event": costs.cpu, "rows/event": costs.rows, flushes: costs.flushes,
  late: [...new Set(late)].join(" / "), digest: new Set(digests).size === 1 ? (digests[0] ?? "") : `${new Set(digests).size} different`
})

interface Options {
  readonly events: number
  readonly runs: number
  readonly threads: readonly number[]
  readonly models: string
  /** Folder of the peers' jobs; undefined = ours alone. */
  readonly peers: string | undefined
  readonly jobs: readonly string[]
}

interface Done {
  readonly ours: ReadonlyMap<number, readonly Awaited<ReturnType<typeof catchUpOnce>>[]>
  readonly theirs: readonly PeerRun[]
  readonly eventBytes: number
}

const runAll = async ({ events, runs, threads, models, peers, jobs }: Options, dataDir: string): Promise<Done> => {
  const definitions = projections.filter(({ name }) => models === "all" || models === name)
  if (definitions.length === 0) throw new RangeError(`--models: there is no ${models}`)
  const ours = new Map(threads.map((count) => [count, [] as Awaited<ReturnType<typeof catchUpOnce>>[]]))
  const theirs: PeerRun[] = []
  let eventBytes = NaN
  for (let run = 0; run < runs; run++) {
    let configuration: Configuration | undefined
    for (const [count, done] of ours) {
      configuration = topicConfiguration(dataDir)
      eventBytes = await writeTopic(configuration, { events, partitions: PARTITIONS, lanes: LANES, everyMs: 1 })
      done.push(await catchUpOnce(configuration, definitions, count))
    }
    if (peers !== undefined && configuration !== undefined) theirs.push(...runPeers(peers, configuration, jobs, dataDir))
  }
  return { ours, theirs, eventBytes }
}

const rowsOf = ({ events, models }: Options, { ours, theirs }: Done): Report["rows"] => {
  const rows = [...ours].map(([count, done]) =>
    rowOf(`tidemark ${models}`, count, done.map(({ seconds }) => events / seconds), done.map(({ late }) => late), done.map(({ digest }) => digest), costsOf(done, events)))
  for (const job of new Set(theirs.map((run) => run.job))) {
    const done = theirs.filter((run) => run.job === job)
    rows.push(rowOf(job, "own", done.map(({ toCommit }) => toCommit), done.map(({ late }) => late), done.map(({ digest }) => digest), { cpu: "unknown", rows: "unknown", flushes: "unknown" }))
  }
  return rows
}

const bench = async (name: string, options: Options): Promise<Report> => {
  const dataDir = mkdtempSync(join(tmpdir(), "tidemark-bench-"))
  try {
    const done = await runAll(options, dataDir)
    return { name, conditions: { ...conditions(), events: options.events, "event bytes": rounded(done.eventBytes), partitions: PARTITIONS, lanes: LANES, runs: options.runs }, rows: rowsOf(options, done) }
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

const optionsOf = (argv: readonly string[], peers: string | undefined): Options => ({
  events: numberOption(argv, "events", 2_000_000), runs: numberOption(argv, "runs", 3), threads: listOption(argv, "threads", ["2"]).map(Number),
  models: textOption(argv, "models") ?? "page-views", peers, jobs: listOption(argv, "jobs", ["ks-eos", "flink-2"])
})

/** `--events`, `--runs`, `--threads 1,2`, `--models page-views|all`. Figures to the last commit. */
export const catchUp = (argv: readonly string[]): Promise<Report> => bench("catch-up", optionsOf(argv, undefined))

/** As `catch-up`, with the peers' jobs on the same topic in turn: `--jobs ks-eos,flink-2`, `--folder` where they are. */
export const peers = (argv: readonly string[]): Promise<Report> => {
  const folder = resolve(textOption(argv, "folder") ?? join("..", "shared", "peers"))
  if (!existsSync(join(folder, "run"))) throw new RangeError(`The peers' jobs are not in ${folder}: name their folder with --folder, or measure Tidemark alone with catch-up.`)
  return bench("peers", optionsOf(argv, folder))
}
