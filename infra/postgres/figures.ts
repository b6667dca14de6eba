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
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { readModelStorePostgres } from "./ReadModelStorePostgres.ts"
import { databaseUrl, dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const PROJECTION = "page-views"
const DEFINITION = canonicalJson(defineProjection({
  name: PROJECTION, version: 1, handles: [{ type: "page.viewed" }], key: { page: "event.data.page" },
  measures: { views: { kind: "count" }, visitors: { kind: "uniques", of: "event.subject" }, duration: { kind: "quantiles", of: "event.data.durationMs" } }
}))
const LANE = { projection: PROJECTION, generation: 1, lane: 0 }
const COUNTERS = { records: 1n, system: 0n, events: 1n, folded: 1n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
const BATCH_ROWS = 2_000
const ROUNDS = 60
const TENANTS = ["acme", "bravo", "charlie", "delta"]
const PAGES = Array.from({ length: 500 }, (_, page) => [`/page/${page}`])
const KEY_IDS = new Map(TENANTS.flatMap((tenant) => PAGES.map((key) => [`${tenant} ${key[0]}`, keyIdOf(tenant, key)])))
const START_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000
const CLOCK_TICK_US = 10_000
const FILL_MINUTES = 100
const DROPPED_MINUTES = 250

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

const commitAt = (epoch: bigint, offset: bigint, rows: readonly Row[], hints: boolean): LaneCommit => ({
  lane: LANE, epoch, expected: [{ partition: 0, nextOffset: offset }],
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

interface Spent {
  readonly millis: readonly number[]
  readonly clientUs: number
  readonly serverUs: number
}

/** Runs `action` for rounds 0, 1, … and says what it cost; `before` is not counted. */
const measure = <A, E>(namespace: string, rounds: number, before: (round: number) => A, action: (made: A, round: number) => Effect.Effect<void, E>) =>
  Effect.gen(function* () {
    const millis: number[] = []
    const server = yield* Effect.promise(() => serverCpu(namespace))
    let clientUs = 0
    for (let round = 0; round < rounds; round++) {
      const made = before(round)
      const cpu = process.cpuUsage()
      const startMs = performance.now()
      yield* action(made, round)
      millis.push(performance.now() - startMs)
      const { user, system } = process.cpuUsage(cpu)
      clientUs += user + system
    }
    const spent: Spent = { millis, clientUs, serverUs: (yield* Effect.promise(() => serverCpu(namespace))) - server }
    return spent
  })

const report = (name: string, rows: number, { millis, clientUs, serverUs }: Spent): void => {
  const total = rows * millis.length
  const rate = total / (millis.reduce((sum, one) => sum + one, 0) / 1_000)
  print(`${name}: ${rows} rows in p50 ${quantileOf(millis, 0.5).toFixed(1)} ms, p99 ${quantileOf(millis, 0.99).toFixed(1)} ms, ${Math.round(rate)} rows/s; CPU µs a row: client ${(clientUs / total).toFixed(1)}, server ${(serverUs / total).toFixed(1)}`)
}

interface Position {
  readonly epoch: bigint
  readonly offset: bigint
}

/** Times commits of the rows made by `rowsOf`; answers the position after them. */
const timeCommits = (store: ReadModelStoreShape, namespace: string, name: string, { epoch, offset }: Position, rowsOf: (round: number) => readonly Row[], hints = false) =>
  Effect.gen(function* () {
    const spent = yield* measure(namespace, ROUNDS, rowsOf, (rows, round) => Effect.orDie(store.commit([commitAt(epoch, offset + BigInt(round), rows, hints)])))
    report(name, BATCH_ROWS, spent)
    return { epoch, offset: offset + BigInt(ROUNDS) }
  })

const MEASURES = measuresOf(110)
const minuteRows = (shift: number, revision = 1n) => Array.from({ length: BATCH_ROWS }, (_, i) => rowAt(i, 0, START_MS + shift * MINUTE_MS, MEASURES, revision))
/** The minute that is written over and over, and copied when the table is filled. */
const BUSY_MINUTE = 2_000

const commits = (store: ReadModelStoreShape, namespace: string) =>
  Effect.gen(function* () {
    print(`row: ${MEASURES.reduce((sum, bytes) => sum + bytes.length, 0)} bytes of measures`)
    let at = yield* timeCommits(store, namespace, "warm-up, new rows", { epoch: 1n, offset: 0n }, (round) => minuteRows(round))
    at = yield* timeCommits(store, namespace, "new rows", at, (round) => minuteRows(1_000 + round))
    at = yield* timeCommits(store, namespace, "new rows with outbox", at, (round) => minuteRows(BUSY_MINUTE + round), true)
    yield* timeCommits(store, namespace, "the same rows over again", at, (round) => minuteRows(BUSY_MINUTE, BigInt(round + 2)))
    const keys = minuteRows(BUSY_MINUTE)
    report("readRows", BATCH_ROWS, yield* measure(namespace, 20, () => keys, () => Effect.orDie(Effect.asVoid(store.readRows(LANE, keys)))))
  })

/** Fills the table by SQL and answers how many minutes it now goes back: minutes of four tenants with 500 pages each, as copies of one row with other keys. */
const fill = (namespace: string, millions: number): Promise<number> =>
  withClient(async (client) => {
    const table = `"${namespace}".page_views_g1`
    const minutes = Math.ceil((millions * 1_000_000) / BATCH_ROWS / FILL_MINUTES) * FILL_MINUTES
    const { rows } = await client.query<{ column_name: string }>("SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'page_views_g1' ORDER BY ordinal_position", [namespace])
    const own: Readonly<Record<string, string>> = { tenant_id: "k.tenant_id", window_start: "m.at", key_id: "k.key_id", page: "k.page" }
    const columns = rows.map(({ column_name: name }) => own[name] ?? `r."${name}"`)
    const startMs = performance.now()
    for (let from = 0; from < minutes; from += FILL_MINUTES) {
      await client.query(`INSERT INTO ${table} SELECT ${columns.join(", ")} FROM (SELECT * FROM ${table} LIMIT 1) r, (SELECT DISTINCT tenant_id, key_id, page FROM ${table} WHERE window_start = $3) k,
generate_series(to_timestamp($1), to_timestamp($2), interval '1 minute') AS m(at)`,
      [START_MS / 1_000 - (from + FILL_MINUTES) * 60, START_MS / 1_000 - (from + 1) * 60, new Date(START_MS + BUSY_MINUTE * MINUTE_MS)])
    }
    print(`filled ${millions} million rows in ${((performance.now() - startMs) / 1_000).toFixed(0)} s`)
    await client.query(`VACUUM ANALYZE ${table}`)
    const sizes = await client.query<{ all: string; heap: string; indexes: string; n: string }>(
      `SELECT pg_size_pretty(pg_total_relation_size('${table}')) AS all, pg_size_pretty(pg_table_size('${table}')) AS heap, pg_size_pretty(pg_indexes_size('${table}')) AS indexes, count(*) AS n FROM ${table}`)
    print(`table of ${sizes.rows[0]?.n} rows: ${sizes.rows[0]?.all}, heap and sketches ${sizes.rows[0]?.heap}, indexes ${sizes.rows[0]?.indexes}`)
    return minutes
  })

const timeScan = (store: ReadModelStoreShape, namespace: string, name: string, query: Omit<RowScan, "projection" | "generation" | "tenantId" | "resolution">) =>
  Effect.gen(function* () {
    let rows = 0
    const scan = Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) =>
      snapshot.scan({ projection: PROJECTION, generation: 1, tenantId: "acme", resolution: 0, ...query }, (chunk) => { rows += chunk.length })))
    const spent = yield* measure(namespace, 50, () => { rows = 0 }, () => Effect.orDie(scan))
    report(name, rows, spent)
  })

const questions = (store: ReadModelStoreShape, namespace: string) =>
  Effect.gen(function* () {
    const keyId = KEY_IDS.get("acme /page/7") ?? ""
    const from = (minutes: number): number => START_MS - minutes * MINUTE_MS
    yield* timeScan(store, namespace, "one window of one key", { fromMs: from(500), toMs: from(499), keyId })
    yield* timeScan(store, namespace, "one window of all keys", { fromMs: from(500), toMs: from(499) })
    yield* timeScan(store, namespace, "series of one key, an hour", { fromMs: from(560), toMs: from(500), keyId })
    yield* timeScan(store, namespace, "series of one key, 1,000 minutes", { fromMs: from(1_000), toMs: from(0), keyId })
    yield* timeScan(store, namespace, "series of all keys, 10 minutes", { fromMs: from(510), toMs: from(500) })
  })

/** Commits into the table as it is now, and a flush that retention makes drop 250 minutes. */
const commitsAgain = (store: ReadModelStoreShape, namespace: string, oldestMinutes: number) =>
  Effect.gen(function* () {
    const { epoch, partitions } = yield* store.takeOver(LANE)
    const at = yield* timeCommits(store, namespace, "new rows in the full table", { epoch, offset: partitions[0]?.nextOffset ?? 0n }, (round) => minuteRows(5_000 + round))
    const dropBelowMs = START_MS - (oldestMinutes - DROPPED_MINUTES) * MINUTE_MS
    const spent = yield* measure(namespace, 1, () => undefined, () => Effect.orDie(store.commit([{ ...commitAt(at.epoch, at.offset, [], false), dropBelowMs }])))
    report("rows dropped by retention", DROPPED_MINUTES * BATCH_ROWS, spent)
  })

const main = async (): Promise<void> => {
  const namespace = freshNamespace()
  const millions = Number(process.argv[2] ?? "0")
  const program = Effect.gen(function* () {
    const store = yield* ReadModelStore
    yield* store.createGeneration({ projection: PROJECTION, generation: 1, definition: DEFINITION, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }, [{ lane: 0, partitions: [0] }])
    yield* store.takeOver(LANE)
    yield* commits(store, namespace)
    if (millions === 0) return
    const oldestMinutes = yield* Effect.promise(() => fill(namespace, millions))
    yield* questions(store, namespace)
    yield* commitsAgain(store, namespace, oldestMinutes)
  })
  try {
    await Effect.runPromise(Effect.provide(program, readModelStorePostgres({ url: databaseUrl(), namespace, writersMax: 1 })))
  } finally {
    await dropNamespace(namespace)
  }
}

await main()
