import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

const PARTITIONS = 8
const START_MS = Date.UTC(2026, 10, 1)
const TENANTS = ["acme", "birch", "c", "d"]
const APPEND_RECORDS = 1_000

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

describe("both modes on one log", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-both-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const configurationOf = (mode: "embedded" | "distributed"): Configuration =>
    readConfiguration({
      flags: new Map(),
      environment: { ...process.env, TIDEMARK_MODE: mode, TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_LANES: "4", TIDEMARK_DATA_DIR: join(directory, mode), TIDEMARK_NAMESPACE: `both${randomBytes(4).toString("hex")}` },
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

  const compare = async (records: readonly LogRecord[]): Promise<ReadonlyMap<string, ModelContents>> => {
    const [embedded = new Map<string, ModelContents>(), distributed] = await bothFolds(records)
    expect([...embedded.keys()].sort()).toEqual(projections.map(({ name }) => name).sort())
    for (const [projection, { rows, ledgers, checkpoints }] of embedded) {
      const other = distributed?.get(projection)
      const differing = rows.filter((row, at) => row !== other?.rows[at])
      expect([projection, other?.rows.length, differing.slice(0, 3)]).toEqual([projection, rows.length, []])
      expect([projection, other?.ledgers]).toEqual([projection, ledgers])
      expect([projection, other?.checkpoints]).toEqual([projection, checkpoints])
    }
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
})
