import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { kafkaPartition } from "@tidemark/domain/events/partitioning"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { targetLog } from "@tidemark/infra-wiring/logs"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { Workload } from "@tidemark/projections/simulation/workload"
import { copyLog } from "@tidemark/replay/copyLog"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { readContents } from "./modelContents.ts"
import type { ModelContents } from "./modelContents.ts"
import { KEYS, ask, runCli, startProcess } from "./processHarness.ts"

const PARTITIONS = 8
const START_MS = Date.UTC(2026, 10, 1)
const TENANTS = ["acme", "birch", "c", "d"]
const APPEND_RECORDS = 1_000
const LANES = 4
const ACCESS_LOG = join(import.meta.dirname, "fixtures", "weblog-apache", "apache_logs.gz")
const CLI = join(import.meta.dirname, "..", "cli", "bin", "tidemark.mjs")

const dataOf = (random: SeededRandom, poisoned: boolean): readonly [type: string, data: string] => {
  if (poisoned) return ["order.paid", `{"live":true,"currency":"EUR","amount":"much"}`]
  if (random.chance(0.3)) return ["order.paid", JSON.stringify({ live: true, currency: random.pick(["EUR", "USD"]), amount: (random.between(1, 99_999) / 100).toFixed(2) })]
  return ["page.viewed", JSON.stringify({ page: `/p/${random.between(1, 60)}`, durationMs: random.between(0, 30_000), referrer: random.pick(["https://a.io/x", null]), userAgent: "Linux" })]
}

/** As clients send and ingest stores: 5 % retried, 3 % late, 1 % with clocks in the future (clamped), 0.5 % poison, four tenants. */
const stream = (seed: number, events: number): readonly LogRecord[] => {
  const random = new SeededRandom(seed)
  const records: LogRecord[] = []
  let receivedAtMs = START_MS
  while (records.length < events) {
    receivedAtMs += random.between(0, 20)
    const again = records.length > 100 && random.chance(0.05) ? records[records.length - random.between(1, 100)] : undefined
    if (again !== undefined) {
      records.push(again)
      continue
    }
    const tenantId = random.pick(TENANTS)
    const userId = `u${random.between(1, 2_000)}`
    const future = random.chance(0.01)
    const ageMs = future ? 0 : random.chance(0.03) ? random.between(80_000, 9 * 86_400_000) : random.between(0, 5_000)
    const [type, data] = dataOf(random, random.chance(0.005))
    const key = `${tenantId}:${userId}`
    const value = encodeEvent({
      id: `e${records.length}`, source: "urn:both", type, timeMs: receivedAtMs - ageMs, receivedAtMs, tenantId, partitionKey: key, schemaVersion: type === "page.viewed" ? 2 : 1, userId,
      ...(future ? { originalTimeMs: receivedAtMs + 60_000, timeFlag: "clamped" as const } : {})
    }, data)
    records.push({ partition: kafkaPartition(key, PARTITIONS), key, value })
  }
  return records
}

/** What nobody should send: unreadable records, releases of what is not held, times that leap, imports. */
const storm = (seed: number, count: number): readonly LogRecord[] => {
  const workload = new Workload(new SeededRandom(seed), PARTITIONS, START_MS)
  const stored = Array.from({ length: PARTITIONS }, (): Uint8Array[] => [new Uint8Array()])
  const records: LogRecord[] = []
  while (records.length < count) {
    for (const { partition, value } of workload.next((asked) => stored[asked] ?? [])) {
      stored[partition]?.push(value)
      records.push({ partition, key: "", value })
    }
  }
  return records
}

/** Folds the whole log into every shipped projection. */
const fold = Effect.gen(function* () {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  yield* ensureGenerations(projections)
  const { lanes, partitions } = log.identity
  let records = 0n
  for (let partition = 0; partition < partitions; partition++) records += (yield* log.bounds(partition)).end
  const halts: Halt[] = []
  const reached = Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    for (const { projection, generation } of yield* snapshot.pointers) {
      const next = (yield* snapshot.checkpoints(projection, generation)).flatMap((lane) => lane.partitions).reduce((sum, { nextOffset }) => sum + nextOffset, 0n)
      if (next < records) return false
    }
    return true
  }))
  const stop = Effect.gen(function* () {
    while (halts.length === 0 && !(yield* reached)) yield* Effect.sleep(200)
  }).pipe(Effect.orDie)
  const observer = { committed: () => {}, halted: (halt: Halt) => void halts.push(halt), retrying: () => {} }
  yield* runLanes({ lanes: Array.from({ length: lanes }, (_, lane) => lane), stop, observer })
  expect(halts).toEqual([])
})

/** What a process of that configuration is started with. */
const environmentOf = ({ mode, dataDir, namespace }: Configuration): Record<string, string> => ({
  ...Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (/^(PATH|TIDEMARK_KAFKA_BROKERS|TIDEMARK_[A-Z]+_URL)$/.test(name) && value !== undefined ? [[name, value]] : []))),
  TIDEMARK_MODE: mode.value, TIDEMARK_DATA_DIR: dataDir.value, TIDEMARK_NAMESPACE: namespace.value, TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: String(LANES)
})

interface Place {
  readonly partition: number
  readonly offset: string
}

const dataOfAnswer = async <T>(graphql: string, query: string, variables: Readonly<Record<string, unknown>> = {}): Promise<T> => {
  const { data, errors } = (await ask(graphql, KEYS.read, query, variables)) as { readonly data?: T | null; readonly errors?: unknown }
  if (data === undefined || data === null || errors !== undefined) throw new Error(`${query}: ${JSON.stringify(errors)}`)
  return data
}

/** Waits until every projection has folded the whole log and knows its watermark; answers a position within what was folded, a third of the way. */
const foldedWhole = async (graphql: string): Promise<readonly Place[]> => {
  const look = () => dataOfAnswer<{ projections: { lagEvents: string; status: string; watermark: string | null; position: Place[] }[] }>(graphql, "{ projections { lagEvents status watermark position { partition offset } } }")
  await expect.poll(async () => (await look()).projections.map(({ lagEvents, status, watermark }) => [lagEvents, status, watermark === null]), { timeout: 90_000, interval: 200 })
    .toEqual(projections.map(() => ["0", "LIVE", false]))
  return (await look()).projections[0]?.position.map(({ partition, offset }) => ({ partition, offset: String(BigInt(offset) / 3n) })) ?? []
}

const RANGE = `from: "2015-05-17T00:00:00.000Z", to: "2015-05-21T00:00:00.000Z"`
const FIGURES = "measures { name value text exact errorBound }"
const GROUPS = `projection generation pointerVersion truncated groups { key { name value } points { start end state corrections events ${FIGURES} } }`
const LINEAGE = "expectedEvents foundEvents fingerprintMatches events { edges { late { byMs } node { id type time source partition offset receivedAt schemaVersion userId backfill data } } }"
const ONE_WINDOW = `projection: "requests", key: [{ name: "path", value: "/favicon.ico" }, { name: "status", value: "200" }], start: "2015-05-18T00:00:00.000Z", resolution: DAY`

/** Everything but what depends on where flushes fell (revision) and on the heartbeats of a running process (position, watermark). */
const QUESTIONS: Readonly<Record<string, string>> = {
  hours: `{ series(projection: "requests", measures: ["requests", "bytes", "clients"], ${RANGE}, resolution: HOUR) { ${GROUPS} } }`,
  days: `{ series(projection: "requests", measures: ["requests", "bytes", "clients"], ${RANGE}, resolution: DAY, breakdownBy: "status", fill: true) { ${GROUPS} } }`,
  paths: `{ series(projection: "requests", measures: ["requests", "clients"], ${RANGE}, resolution: DAY, breakdownBy: "path", first: 300) { ${GROUPS} } }`,
  types: `{ series(projection: "event-counts", measures: ["events", "users"], ${RANGE}, resolution: HOUR, breakdownBy: "type") { ${GROUPS} } }`,
  top: `{ top(projection: "requests", measure: "requests", by: "path", ${RANGE}, first: 50) { projection generation truncated rows { value events measure { name value text exact errorBound } } } }`,
  clients: `{ top(projection: "requests", measure: "clients", by: "path", ${RANGE}, first: 200) { truncated rows { value events measure { name value text exact errorBound } } } }`,
  window: `{ window(${ONE_WINDOW}) { start end state corrections events fingerprint generation pointerVersion key { name value } ${FIGURES} why(first: 500) { ${LINEAGE} } } }`,
  pastHours: `query ($past: [PartitionOffsetInput!]!) { series(asOf: { position: $past }, projection: "requests", measures: ["requests", "bytes", "clients"], ${RANGE}, resolution: DAY) { ${GROUPS} } }`,
  pastWindow: `query ($past: [PartitionOffsetInput!]!) { window(asOf: { position: $past }, ${ONE_WINDOW}) { state corrections events fingerprint ${FIGURES} why(first: 500) { ${LINEAGE} } } }`,
  changes: `query ($past: [PartitionOffsetInput!]!) { windowChanges(before: { position: $past }, projection: "requests", measures: ["requests", "bytes"], ${RANGE}, resolution: DAY, first: 200) { compared changed changes { key { name value } start end before { events state ${FIGURES} } after { events state ${FIGURES} } } } }`,
  events: `{ events(first: 100, filter: { types: ["http.request"], text: "favicon" }) { edges { node { id time partition offset data } } } }`
}

const answersOf = async (graphql: string, past: readonly Place[]): Promise<Readonly<Record<string, unknown>>> => {
  const answers: Record<string, unknown> = {}
  for (const [name, query] of Object.entries(QUESTIONS)) answers[name] = await dataOfAnswer(graphql, query, query.includes("$past") ? { past } : {})
  return answers
}

describe("both modes on one log", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-both-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const configurationOf = (mode: "embedded" | "distributed"): Configuration =>
    readConfiguration({
      flags: new Map(),
      environment: { ...process.env, TIDEMARK_MODE: mode, TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: String(LANES), TIDEMARK_DATA_DIR: join(directory, mode), TIDEMARK_NAMESPACE: `both${randomBytes(4).toString("hex")}` },
      workingDirectory: directory, terminal: false
    })

  const run = <A>(configuration: Configuration, program: Effect.Effect<A, unknown, EventLog | ReadModelStore | import("@tidemark/domain/ports/PartitionIndex").PartitionIndex>): Promise<A> =>
    Effect.runPromise(program.pipe(Effect.provide(engines(configuration))))

  const bothFolds = async (records: readonly LogRecord[]): Promise<readonly ReadonlyMap<string, ModelContents>[]> => {
    const [embedded, distributed] = [configurationOf("embedded"), configurationOf("distributed")]
    const first = await run(embedded, Effect.gen(function* () {
      const source = yield* EventLog
      for (let at = 0; at < records.length; at += APPEND_RECORDS) yield* source.append(records.slice(at, at + APPEND_RECORDS))
      yield* fold
      const copied = yield* Effect.flatMap(Effect.gen(function* () { return yield* EventLog }), (target) => copyLog({ source, target, progress: () => {} }))
        .pipe(Effect.provide(targetLog(distributed, "distributed", source.identity)))
      expect(copied).toBe(BigInt(records.length))
      return yield* readContents(TENANTS)
    }))
    const second = await run(distributed, Effect.andThen(fold, readContents(TENANTS)))
    return [first, second]
  }

  const expectSame = (embedded: ReadonlyMap<string, ModelContents>, distributed: ReadonlyMap<string, ModelContents>): void => {
    expect([...embedded.keys()].sort()).toEqual(projections.map(({ name }) => name).sort())
    for (const [projection, { rows, ledgers, checkpoints }] of embedded) {
      const other = distributed.get(projection)
      const differing = rows.filter((row, at) => row !== other?.rows[at])
      expect([projection, other?.rows.length, differing.slice(0, 3)]).toEqual([projection, rows.length, []])
      expect([projection, other?.ledgers]).toEqual([projection, ledgers])
      expect([projection, other?.checkpoints]).toEqual([projection, checkpoints])
    }
  }

  const compare = async (records: readonly LogRecord[]): Promise<ReadonlyMap<string, ModelContents>> => {
    const [embedded = new Map<string, ModelContents>(), distributed = new Map<string, ModelContents>()] = await bothFolds(records)
    expectSame(embedded, distributed)
    return embedded
  }

  it("give the same rows, ledgers, counters, clocks and digests for 200,000 events as clients send them", async () => {
    const contents = await compare(stream(1, 200_000))
    expect(contents.get("page-views")?.rows.length).toBeGreaterThan(10_000)
    const kinds = new Set(contents.get("revenue")?.ledgers.map((line) => line.split(" ")[0]))
    expect(kinds).toEqual(new Set(["late", "duplicate", "dead"]))
  })

  it.each([1, 2])("give the same for what nobody should send, seed %i", async (seed) => {
    await compare(storm(seed, 4_000))
  })

  /** Runs the built server in that mode for as long as `action` takes, and ends it by SIGTERM. */
  const serving = async <A>(configuration: Configuration, more: Readonly<Record<string, string>>, action: (ready: Readonly<Record<string, string>>) => Promise<A>): Promise<A> => {
    const server = startProcess(configuration.dataDir.value, { ...environmentOf(configuration), ...more })
    try {
      return await action(await server.ready)
    } finally {
      server.child.kill("SIGTERM")
      await server.exit
    }
  }

  it("give the same answers, rows and ledgers for a real access log, imported into one and copied into the other by the command line", async () => {
    const [embedded, distributed] = [configurationOf("embedded"), configurationOf("distributed")]
    const asked = await serving(embedded, {}, async ({ ingest = "", graphql = "" }) => {
      const { code, out, notes } = await runCli(new URL(ingest).origin, KEYS.admin, "--json", "import", ACCESS_LOG, "--format", "access-log", "--name", "apache_logs")
      expect([code, notes, JSON.parse(out)]).toEqual([0, notes, expect.objectContaining({ accepted: 9_999, duplicate: 0, rejected: 1 })])
      const past = await foldedWhole(graphql)
      return { past, answers: await answersOf(graphql, past) }
    })
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, "--json", "log", "copy", "--to-mode", "distributed"], {
      env: { ...environmentOf(embedded), TIDEMARK_NAMESPACE: distributed.namespace.value }
    })
    expect(Number((JSON.parse(stdout) as { copied: string }).copied)).toBeGreaterThan(9_999)
    // Without the role ingest, which would append heartbeats: the copy stays what it is.
    const others = await serving(distributed, { TIDEMARK_ROLES: "projector,api" }, async ({ graphql = "" }) => {
      await foldedWhole(graphql)
      return answersOf(graphql, asked.past)
    })
    expect(Object.keys(others)).toEqual(Object.keys(asked.answers))
    for (const [name, answer] of Object.entries(asked.answers)) expect([name, others[name]]).toEqual([name, answer])
    const sizes = Object.fromEntries(Object.entries(asked.answers).map(([name, answer]) => [name, JSON.stringify(answer).length]))
    for (const size of Object.values(sizes)) expect(size, JSON.stringify(sizes)).toBeGreaterThan(200)

    const eventsOf = (name: string) => Number((asked.answers[name] as { window: { events: string } }).window.events)
    expect(eventsOf("pastWindow")).toBeGreaterThan(0)
    expect(eventsOf("pastWindow")).toBeLessThan(eventsOf("window"))

    const contents = await run(embedded, Effect.andThen(fold, readContents(["default"])))
    expectSame(contents, await run(distributed, Effect.andThen(fold, readContents(["default"]))))
    expect(contents.get("requests")?.rows.length).toBeGreaterThan(10_000)
  }, 300_000)
})
