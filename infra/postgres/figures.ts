/**
 * Measures this adapter on the server of TIDEMARK_POSTGRES_URL, in a namespace of its own that is removed afterwards:
 * `node infra/postgres/dist/figures.js [million rows to fill]`.
 */
import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { Count } from "@tidemark/domain/measures/count"
import { Quantiles } from "@tidemark/domain/measures/quantiles"
import { Uniques } from "@tidemark/domain/measures/uniques"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCommit, ReadModelStoreShape, ResolutionCode, Row, RowScan } from "@tidemark/domain/ports/ReadModelStore"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { readModelStorePostgres } from "./ReadModelStorePostgres.ts"
import { databaseUrl, dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const PROJECTION = "page-views"
const DEFINITION = canonicalJson(defineProjection({
  name: PROJECTION, version: 1, handles: [{ type: "page.viewed" }], key: { page: "event.data.page" },
  measures: { views: { kind: "count" }, visitors: { kind: "uniques", of: "event.subject" }, duration: { kind: "quantiles", of: "event.data.durationMs" } }
}))
const COUNTERS = { records: 1n, system: 0n, events: 1n, folded: 1n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
const BATCH_ROWS = 2_000
const ROUNDS = 60
const TENANTS = ["acme", "bravo", "charlie", "delta"]
const PAGES = Array.from({ length: 500 }, (_, page) => [`/page/${page}`])
const KEY_IDS = new Map(TENANTS.flatMap((tenant) => PAGES.map((key) => [`${tenant} ${key[0]}`, keyIdOf(tenant, key)])))
const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
const CLOCK_TICK_US = 10_000

/** Canonical bytes of a window with this many visitors: 8 bytes each, so 110 of them make about 1 KB with the durations. */
const measuresOf = (visitors: number): Uint8Array[] => {
  const views = new Count()
  views.add(visitors * 3)
  const uniques = new Uniques()
  const duration = new Quantiles(6)
  for (let i = 0; i < visitors; i++) {
    uniques.addHash(Math.imul(i, 0x9e3779b1) >>> 0, Math.imul(i, 0x85ebca6b) >>> 0)
    duration.add(100 + (i * 7_919) % 60_000)
  }
  return [duration.encode(), views.encode(), uniques.encode()]
}

const rowAt = (index: number, resolution: ResolutionCode, windowStartMs: number, measures: readonly Uint8Array[], revision: bigint): Row => {
  const tenantId = TENANTS[index % TENANTS.length] ?? ""
  const key = PAGES[Math.floor(index / TENANTS.length) % PAGES.length] ?? []
  return {
    tenantId, resolution, windowStartMs, keyId: KEY_IDS.get(`${tenantId} ${key[0]}`) ?? "", key, measures, events: 330n, lateEvents: 1n, backfillEvents: 0n,
    fingerprint: 12_345_678_901_234_567_890n, offsets: [0, 4, 8].map((partition) => ({ partition, min: 1_000_000n, max: 2_000_000n })), revision
  }
}

const commitAt = (offset: bigint, rows: readonly Row[], hints: boolean): LaneCommit => ({
  lane: { projection: PROJECTION, generation: 1, lane: 0 }, epoch: 1n, expected: [{ partition: 0, nextOffset: offset }],
  next: [{ partition: 0, nextOffset: offset + 1n, lastRecordHash: "ab".repeat(16), counters: COUNTERS, receivedMaxMs: 5, heartbeatMaxMs: null, tenantMaxMs: new Map(TENANTS.map((tenant) => [tenant, 4])) }],
  digest: new Uint8Array(4_096), rows, late: [], duplicates: [], deadLetters: [], keyCounts: [], dropBelowMs: null,
  hints: hints ? rows.map(({ tenantId, resolution, windowStartMs, keyId, revision }) => ({ tenantId, resolution, windowStartMs, keyId, revision })) : []
})

const quantileOf = (values: readonly number[], q: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0
const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** CPU time of the server's processes for this namespace, µs; 0 when the server is on another machine. */
const serverCpu = (namespace: string): Promise<number> =>
  withClient(async (client) => {
    const { rows } = await client.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE application_name = $1", [`tidemark ${namespace}`])
    return rows.map(({ pid }) => `/proc/${pid}/stat`).filter((file) => existsSync(file)).reduce((sum, file) => {
      const fields = readFileSync(file, "utf8").split(") ")[1]?.split(" ") ?? []
      return sum + (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US
    }, 0)
  })

/** Times `ROUNDS` commits of `BATCH_ROWS` rows made by `rowsOf`; answers the next offset. */
const timeCommits = (store: ReadModelStoreShape, namespace: string, name: string, from: bigint, rowsOf: (round: number) => readonly Row[], hints: boolean) =>
  Effect.gen(function* () {
    const millis: number[] = []
    const server = yield* Effect.promise(() => serverCpu(namespace))
    let client = 0
    for (let round = 0; round < ROUNDS; round++) {
      const rows = rowsOf(round)
      const cpu = process.cpuUsage()
      const startMs = performance.now()
      yield* store.commit([commitAt(from + BigInt(round), rows, hints)])
      millis.push(performance.now() - startMs)
      const { user, system } = process.cpuUsage(cpu)
      client += user + system
    }
    const serverSpent = (yield* Effect.promise(() => serverCpu(namespace))) - server
    const rate = (BATCH_ROWS * ROUNDS) / (millis.reduce((sum, one) => sum + one, 0) / 1_000)
    print(`${name}: ${Math.round(rate)} rows/s; commit of ${BATCH_ROWS} rows p50 ${quantileOf(millis, 0.5).toFixed(1)} ms, p99 ${quantileOf(millis, 0.99).toFixed(1)} ms; client CPU ${(client / (BATCH_ROWS * ROUNDS)).toFixed(1)} µs/row, server CPU ${(serverSpent / (BATCH_ROWS * ROUNDS)).toFixed(1)} µs/row`)
    return from + BigInt(ROUNDS)
  })

const commits = (store: ReadModelStoreShape, namespace: string) =>
  Effect.gen(function* () {
    const measures = measuresOf(110)
    print(`row: ${measures.reduce((sum, bytes) => sum + bytes.length, 0)} bytes of measures`)
    const fresh = (shift: number) => (round: number) =>
      Array.from({ length: BATCH_ROWS }, (_, i) => rowAt(i, 0, START_MS + (shift + round) * MINUTE_MS, measures, 1n))
    let next = yield* timeCommits(store, namespace, "warm-up, new rows", 0n, fresh(0), false)
    next = yield* timeCommits(store, namespace, "new rows", next, fresh(1_000), false)
    next = yield* timeCommits(store, namespace, "new rows with outbox", next, fresh(2_000), true)
    const again = (round: number) => Array.from({ length: BATCH_ROWS }, (_, i) => rowAt(i, 0, START_MS + 2_000 * MINUTE_MS, measures, BigInt(round + 2)))
    next = yield* timeCommits(store, namespace, "the same rows over again", next, again, false)
    const keys = again(0)
    const startMs = performance.now()
    for (let i = 0; i < 20; i++) yield* store.readRows({ projection: PROJECTION, generation: 1, lane: 0 }, keys)
    print(`readRows of ${BATCH_ROWS} keys: ${Math.round((20 * BATCH_ROWS) / ((performance.now() - startMs) / 1_000))} rows/s`)
  })

/** Fills the table by SQL: minutes of four tenants with 500 pages each, as copies of one row with other keys. */
const fill = (namespace: string, millions: number): Promise<void> =>
  withClient(async (client) => {
    const table = `"${namespace}".page_views_g1`
    const minutes = Math.round((millions * 1_000_000) / (TENANTS.length * PAGES.length))
    const { rows } = await client.query<{ column_name: string }>("SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'page_views_g1' ORDER BY ordinal_position", [namespace])
    const own: Readonly<Record<string, string>> = { tenant_id: "k.tenant_id", window_start: "m.at", key_id: "k.key_id", page: "k.page" }
    const columns = rows.map(({ column_name: name }) => own[name] ?? `r."${name}"`)
    const startMs = performance.now()
    for (let from = 0; from < minutes; from += 100) {
      await client.query(`INSERT INTO ${table} SELECT ${columns.join(", ")} FROM (SELECT * FROM ${table} LIMIT 1) r, (SELECT DISTINCT tenant_id, key_id, page FROM ${table} WHERE window_start = $3) k,
generate_series(to_timestamp($1), to_timestamp($2), interval '1 minute') AS m(at)`,
      [START_MS / 1_000 - (from + 100) * 60, START_MS / 1_000 - (from + 1) * 60, new Date(START_MS + 2_000 * MINUTE_MS)])
    }
    print(`filled ${millions} million rows in ${((performance.now() - startMs) / 1_000).toFixed(0)} s`)
    await client.query(`VACUUM ANALYZE ${table}`)
    const sizes = await client.query<{ all: string; heap: string; indexes: string; n: string }>(
      `SELECT pg_size_pretty(pg_total_relation_size('${table}')) AS all, pg_size_pretty(pg_table_size('${table}')) AS heap, pg_size_pretty(pg_indexes_size('${table}')) AS indexes, count(*) AS n FROM ${table}`)
    print(`table of ${sizes.rows[0]?.n} rows: ${sizes.rows[0]?.all}, heap and sketches ${sizes.rows[0]?.heap}, indexes ${sizes.rows[0]?.indexes}`)
  })

const timeScan = (store: ReadModelStoreShape, name: string, query: Omit<RowScan, "projection" | "generation" | "tenantId" | "resolution">) =>
  Effect.gen(function* () {
    const millis: number[] = []
    let rows = 0
    for (let round = 0; round < 20; round++) {
      const startMs = performance.now()
      rows = 0
      yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) =>
        snapshot.scan({ projection: PROJECTION, generation: 1, tenantId: "acme", resolution: 0, ...query }, (chunk) => { rows += chunk.length })))
      millis.push(performance.now() - startMs)
    }
    print(`${name}: ${rows} rows, p50 ${quantileOf(millis, 0.5).toFixed(1)} ms, worst of 20 ${quantileOf(millis, 1).toFixed(1)} ms`)
  })

const questions = (store: ReadModelStoreShape) =>
  Effect.gen(function* () {
    const keyId = KEY_IDS.get("acme /page/7") ?? ""
    const from = (minutes: number): number => START_MS - minutes * MINUTE_MS
    yield* timeScan(store, "one window of one key", { fromMs: from(500), toMs: from(499), keyId })
    yield* timeScan(store, "one window of all keys", { fromMs: from(500), toMs: from(499) })
    yield* timeScan(store, "series of one key, an hour", { fromMs: from(560), toMs: from(500), keyId })
    yield* timeScan(store, "series of one key, 1,000 minutes", { fromMs: from(1_000), toMs: from(0), keyId })
    yield* timeScan(store, "series of all keys, 10 minutes", { fromMs: from(510), toMs: from(500) })
  })

const main = async (): Promise<void> => {
  const namespace = freshNamespace()
  const millions = Number(process.argv[2] ?? "0")
  const program = Effect.gen(function* () {
    const store = yield* ReadModelStore
    yield* store.createGeneration({ projection: PROJECTION, generation: 1, definition: DEFINITION, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }, [{ lane: 0, partitions: [0] }])
    yield* store.takeOver({ projection: PROJECTION, generation: 1, lane: 0 })
    yield* commits(store, namespace)
    if (millions === 0) return
    yield* Effect.promise(() => fill(namespace, millions))
    yield* questions(store)
    const checkpoint = yield* store.takeOver({ projection: PROJECTION, generation: 1, lane: 0 })
    const measures = measuresOf(110)
    const next = checkpoint.partitions[0]?.nextOffset ?? 0n
    const millis: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const rows = Array.from({ length: BATCH_ROWS }, (_, i) => rowAt(i, 0, START_MS + (5_000 + round) * MINUTE_MS, measures, 1n))
      const startMs = performance.now()
      yield* store.commit([{ ...commitAt(next + BigInt(round), rows, false), epoch: checkpoint.epoch }])
      millis.push(performance.now() - startMs)
    }
    print(`new rows in the full table: ${Math.round((BATCH_ROWS * ROUNDS) / (millis.reduce((sum, one) => sum + one, 0) / 1_000))} rows/s, p99 ${quantileOf(millis, 0.99).toFixed(1)} ms`)
  })
  try {
    await Effect.runPromise(Effect.provide(program, readModelStorePostgres({ url: databaseUrl(), namespace, writersMax: 1 })))
  } finally {
    await dropNamespace(namespace)
  }
}

await main()
