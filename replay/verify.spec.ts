import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog, LogCorruptError, LogGapError, LogIdentityError, OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { LogReadError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { projections } from "@tidemark/projections/registry"
import { memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import type { ModelState } from "@tidemark/projections/simulation/memoryModelState"
import { simulatedProjections } from "@tidemark/projections/simulation/oracleProjections"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { beforeAll, describe, expect, it } from "vitest"
import { makeFoldedLog, randomRecords } from "./foldedLog.ts"
import { verify } from "./verify.ts"
import type { VerifyOptions } from "./verify.ts"
import type { VerifyReport } from "./verifyReport.ts"

const PARTITIONS = 4
const LANES = 2
const RECORDS = 700
const START_MS = 1_700_000_000_000
const definitions = [...simulatedProjections.map(({ definition }) => definition), ...projections]

/** Folds a random log with the real runtime; answers the disks it left. */
const fold = async (seed: number, lanes = LANES) => {
  const world = makeFoldedLog(definitions, START_MS, { partitions: PARTITIONS, lanes })
  await world.fold(randomRecords(seed, { records: RECORDS, partitions: PARTITIONS, startMs: START_MS }))
  return world
}

type Folded = Awaited<ReturnType<typeof fold>>

const check = ({ logDisk, modelDisk, identity }: Folded, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> =>
  Effect.runPromise(verify({ full: true, tenants: [], progress: () => {}, ...options }).pipe(Effect.provide(Layer.mergeAll(memoryEventLog(logDisk, identity), memoryReadModelStore(modelDisk)))))

const at = <A>(list: readonly A[], index: number): A => {
  const found = list[index]
  if (found === undefined) throw new RangeError(`nothing at ${index}`)
  return found
}

describe("verification", () => {
  let folded: Folded
  beforeAll(async () => {
    folded = await fold(11)
  })

  it("agrees with what the runtime stored for a log that reaches every rule, in one pass or in many", async () => {
    for (const seed of [1, 2]) {
      const other = await fold(seed)
      const lines: string[] = []
      const whole = await check(other, { progress: (line) => void lines.push(line) })
      expect(whole.models?.flatMap(({ examples, error }) => [...examples, error]).filter((found) => found !== null)).toEqual([])
      expect(whole).toMatchObject({ ok: true, conservation: [] })
      expect(lines).toContain("log: partition 0 of 4")
      // Small enough that lanes are read in several slices; the comparison is the same.
      expect(await check(other, { rowsMax: 300 })).toEqual(whole)
      const compared = whole.models?.find(({ projection }) => projection === "sim-types")
      for (const comparison of [compared?.rows.minute, compared?.rows.day, compared?.late, compared?.duplicates, compared?.deadLetters, compared?.keyCounts]) expect(comparison?.compared).toBeGreaterThan(10)
    }
  })

  it("tells the digest of each model, which is the same for any number of lanes and another one for another log", async () => {
    const digestsOf = async (seed: number, lanes: number) => (await check(await fold(seed, lanes))).models?.map(({ projection, modelDigest }) => `${projection} ${modelDigest ?? "none"}`)
    const two = (await check(folded)).models?.map(({ projection, modelDigest }) => `${projection} ${modelDigest ?? "none"}`)
    expect(two).toHaveLength(definitions.length)
    expect(await digestsOf(11, 4)).toEqual(two)
    expect(await digestsOf(11, 1)).toEqual(two)
    expect(two?.join()).not.toContain("none")
    // No log of the workload has an event that this projection takes.
    const taken = (await digestsOf(12, 2))?.filter((line) => !line.startsWith("requests "))
    expect(taken?.filter((line) => two?.includes(line))).toEqual([])
    const { model } = await planted("sim-pages", (state) => {
      const [id, { lane, row }] = rowOf(state, 0)
      state.rows.set(id, { lane, row: { ...row, events: row.events + 1n } })
    })
    expect(model.modelDigest).toBeNull()
  })

  it("without --full leaves the read models alone", async () => {
    expect(await check(folded, { full: false })).toMatchObject({ ok: true, models: null, log: [{ partition: 0, error: null }, {}, {}, {}] })
  })

  /** Plants a difference in a copy, verifies, and answers the model concerned. */
  const planted = async (projection: string, plant: (state: ModelState) => void) => {
    const state: ModelState = structuredClone(folded.modelDisk.state)
    plant(state)
    const report = await check({ ...folded, modelDisk: { ...createMemoryModelDisk(), state } })
    expect(report.ok).toBe(false)
    const model = report.models?.find((each) => each.projection === projection)
    if (model === undefined) throw new Error(`no ${projection}`)
    const others = report.models?.filter((each) => each !== model).flatMap(({ examples }) => examples)
    expect(others).toEqual([])
    return { report, model }
  }
  const rowOf = (state: ModelState, resolution: 0 | 1 | 2, projection = "sim-pages") =>
    at([...state.rows].filter(([, { row, lane }]) => row.resolution === resolution && lane.projection === projection), 3)

  const changes: readonly (readonly [what: string, change: (row: StoredRow) => Partial<StoredRow>])[] = [
    ["one event more", ({ events }) => ({ events: events + 1n })],
    ["one late event more", ({ lateEvents }) => ({ lateEvents: lateEvents + 1n })],
    ["one imported event more", ({ backfillEvents }) => ({ backfillEvents: backfillEvents + 1n })],
    ["another fingerprint", ({ fingerprint }) => ({ fingerprint: fingerprint ^ 1n })],
    ["another offset range", ({ offsets }) => ({ offsets: offsets.map((range) => ({ ...range, max: range.max + 1n })) })],
    ["another measure", ({ measures }) => ({ measures: measures.map((bytes) => Uint8Array.from([...bytes.slice(0, -1), (bytes.at(-1) ?? 0) ^ 1])) })],
    ["another key text", () => ({ key: ["/elsewhere"] })],
    ["no revision", () => ({ revision: 0n })]
  ]
  it.each(changes)("finds a row with %s, at each resolution", async (_what, change) => {
    for (const [resolution, name] of ["minute", "hour", "day"].entries()) {
      const { model } = await planted("sim-pages", (state) => {
        const [id, { lane, row }] = rowOf(state, resolution as 0 | 1 | 2)
        state.rows.set(id, { lane, row: { ...row, ...change(row) } })
      })
      expect(model.rows[name as "minute"]).toMatchObject({ differing: 1, missing: 0, extra: 0 })
      expect(model.examples).toHaveLength(1)
      expect(model.examples[0]?.at).toMatch(new RegExp(`^${name} \\d{4}-.*, lane [01]$`))
    }
  })

  it("finds a row that is missing and one that is too many, also of a tenant that sent nothing", async () => {
    const missing = await planted("sim-pages", (state) => void state.rows.delete(rowOf(state, 1)[0]))
    expect(missing.model.rows.hour).toMatchObject({ differing: 0, missing: 1, extra: 0 })
    expect(missing.model.examples[0]?.stored).toBe("nothing")
    const extra = await planted("sim-pages", (state) => {
      const [id, { lane, row }] = rowOf(state, 0)
      state.rows.set(`${id} again`, { lane, row: { ...row, windowStartMs: 0 } })
    })
    expect(extra.model.rows.minute).toMatchObject({ differing: 0, missing: 0, extra: 1 })
    const state: ModelState = structuredClone(folded.modelDisk.state)
    const [id, { lane, row }] = rowOf(state, 2)
    state.rows.set(`${id} again`, { lane, row: { ...row, tenantId: "stranger" } })
    const stranger = await check({ ...folded, modelDisk: { ...createMemoryModelDisk(), state } }, { tenants: ["stranger"] })
    expect(stranger.models?.find(({ projection }) => projection === "sim-pages")?.rows.day).toMatchObject({ extra: 1 })
  })

  it("finds a wrong, a missing and an additional entry of each ledger", async () => {
    const wrongLate = await planted("sim-pages", (state) => {
      const [id, { lane, entry }] = at([...state.late].filter(([, { lane: of }]) => of.projection === "sim-pages"), 2)
      state.late.set(id, { lane, entry: { ...entry, outcome: entry.outcome === "held" ? "applied" : "held" } })
    })
    expect(wrongLate.model.late).toMatchObject({ differing: 1, missing: 0, extra: 0 })
    const missing = await planted("sim-types", (state) => {
      state.duplicates.delete(at([...state.duplicates].filter(([, { lane }]) => lane.projection === "sim-types"), 1)[0])
      state.deadLetters.delete(at([...state.deadLetters].filter(([, { lane }]) => lane.projection === "sim-types"), 1)[0])
    })
    expect(missing.model).toMatchObject({ duplicates: { missing: 1 }, deadLetters: { missing: 1 } })
    const extra = await planted("sim-money", (state) => {
      const [id, { lane, entry }] = at([...state.duplicates].filter(([, { lane: of }]) => of.projection === "sim-money"), 1)
      state.duplicates.set(`${id}/again`, { lane, entry: { ...entry, offset: 1_000_000n } })
    })
    expect(extra.model.duplicates).toMatchObject({ extra: 1 })
  })

  it("finds a number of keys that is wrong, missing or too many", async () => {
    const changeCounts = (change: (counts: Map<number, number>) => void) => planted("sim-pages", (state) => {
      const [id, counts] = at([...state.keyCounts].filter(([name]) => name.startsWith("sim-pages/")), 2)
      const changed = new Map(counts)
      change(changed)
      state.keyCounts.set(id, changed)
    })
    const wrong = await changeCounts((counts) => counts.forEach((keys, partition) => counts.set(partition, keys + 1)))
    expect(wrong.model.keyCounts).toMatchObject({ missing: 0, extra: 0 })
    expect(wrong.model.keyCounts.differing).toBeGreaterThan(0)
    expect(wrong.model.examples[0]?.at).toMatch(/^number of keys in minute \d{4}-.* of \w+, partition \d$/)
    const missing = await changeCounts((counts) => counts.clear())
    expect(missing.model.keyCounts).toMatchObject({ differing: 0, extra: 0 })
    expect(missing.model.keyCounts.missing).toBeGreaterThan(0)
    const extra = await changeCounts((counts) => counts.set(77, 1))
    expect(extra.model.keyCounts).toMatchObject({ differing: 0, missing: 0, extra: 1 })
    // A window of its own, without any row.
    const stray = await planted("sim-pages", (state) => void state.keyCounts.set(at([...state.keyCounts.keys()].filter((name) => name.startsWith("sim-pages/")), 0).replace(/^(sim-pages\/1\/\d)\/-?\d+\//, "$1/60000/"), new Map([[0, 1]])))
    expect(stray.model.keyCounts).toMatchObject({ differing: 0, missing: 0, extra: 1 })
  })

  it("finds a wrong counter, an imbalance, a wrong clock, a wrong digest and another last record", async () => {
    const changeCheckpoint = (state: ModelState, change: (counters: { folded: bigint; filtered: bigint }) => object, rest: object = {}) => {
      const [id, checkpoint] = at([...state.checkpoints].filter(([, { lane }]) => lane.projection === "revenue"), 0)
      const [first, ...others] = checkpoint.partitions
      if (first === undefined) throw new Error("no partition")
      state.checkpoints.set(id, { ...checkpoint, partitions: [{ ...first, counters: { ...first.counters, ...change(first.counters) }, ...rest }, ...others] })
    }
    const shifted = await planted("revenue", (state) => changeCheckpoint(state, ({ folded: counted, filtered }) => ({ folded: counted + 1n, filtered: filtered - 1n })))
    expect([shifted.report.conservation, shifted.model.checkpoints]).toMatchObject([[], { differing: 1 }])
    const unbalanced = await planted("revenue", (state) => changeCheckpoint(state, ({ folded: counted }) => ({ folded: counted + 1n })))
    expect(unbalanced.report.conservation).toMatchObject([{ projection: "revenue", generation: 1, partition: 0 }])
    const clock = await planted("revenue", (state) => changeCheckpoint(state, () => ({}), { heartbeatMaxMs: 5 }))
    expect(clock.model.checkpoints).toMatchObject({ differing: 1 })
    const record = await planted("revenue", (state) => changeCheckpoint(state, () => ({}), { lastRecordHash: "0".repeat(32) }))
    expect(record.model.checkpoints).toMatchObject({ differing: 1 })
    const digest = await planted("revenue", (state) => {
      const [id, checkpoint] = at([...state.checkpoints].filter(([, { lane }]) => lane.projection === "revenue"), 0)
      state.checkpoints.set(id, { ...checkpoint, digest: checkpoint.digest.map((byte, index) => (index === 77 ? byte ^ 1 : byte)) })
    })
    expect(digest.model.digests).toMatchObject({ differing: 1 })
  })

  /** Verifies with a log whose reads, and whose check of partition 1, end in `fault`. */
  const checkFaulty = ({ logDisk, modelDisk, identity }: Folded, fault: Exclude<LogReadError, LogUnavailableError>): Promise<VerifyReport> => {
    const faulty = Layer.effect(EventLog, Effect.map(EventLog, (log) => ({ ...log, verify: (partition: number) => (partition === 1 ? Effect.fail(fault) : log.verify(partition)), read: () => Effect.fail(fault) })))
    return Effect.runPromise(verify({ full: true, tenants: [], progress: () => {} }).pipe(
      Effect.provide(Layer.mergeAll(faulty.pipe(Layer.provide(memoryEventLog(logDisk, identity))), memoryReadModelStore(modelDisk)))))
  }
  const faults: readonly (readonly [text: string, fault: Exclude<LogReadError, LogUnavailableError>])[] = [
    ["LOG_CORRUPT: partition 1: block at offset 7: checksum differs", new LogCorruptError({ partition: 1, offset: 7n, detail: "checksum differs" })],
    ["LOG_GAP: partition 1: offsets 3 to 8 hold no record", new LogGapError({ partition: 1, wanted: 3n, found: 9n })],
    ["LOG_GAP: partition 1: offset 3 is wanted, the log holds 5 to 9", new OffsetOutOfRangeError({ partition: 1, wanted: 3n, start: 5n, end: 9n })],
    ["LOG_IDENTITY: opened as log log-1: it has 3 partitions now", new LogIdentityError({ logId: "log-1", detail: "it has 3 partitions now" })]
  ]
  it.each(faults)("reports %s, and that its read models were not checked", async (text, fault) => {
    const report = await checkFaulty(folded, fault)
    expect(report).toMatchObject({ ok: false, log: [{ error: null }, { error: text }, { error: null }, { error: null }] })
    expect(report.models?.length).toBeGreaterThan(3)
    for (const model of report.models ?? []) expect(model.error).toBe(text)
  })

  it("calls records that the log counts and does not show a gap, and no end of the log", async () => {
    const { logDisk, modelDisk, identity } = folded
    const silent = Layer.effect(EventLog, Effect.map(EventLog, (log) => ({ ...log, read: () => Effect.succeed([]) })))
    const report = await Effect.runPromise(verify({ full: true, tenants: [], progress: () => {} }).pipe(
      Effect.provide(Layer.mergeAll(silent.pipe(Layer.provide(memoryEventLog(logDisk, identity))), memoryReadModelStore(modelDisk)))))
    expect(report.ok).toBe(false)
    for (const model of report.models ?? []) expect(model.error).toMatch(/^LOG_GAP: partition 0: offsets 0 to \d+ hold no record$/)
  })

  it("finds that the log holds another event than was folded", async () => {
    const { logDisk } = folded
    const partition = at(logDisk.partitions, 2)
    const index = partition.records.findIndex((bytes) => Buffer.from(bytes).includes('"type":"signed.up"'))
    const before = at(partition.records, index)
    partition.records[index] = encodeEvent({ id: "other", source: "s", type: "signed.up", timeMs: START_MS, receivedAtMs: START_MS, tenantId: "acme", partitionKey: "k", schemaVersion: 0 }, undefined)
    const report = await check(folded)
    partition.records[index] = before
    expect(report.ok).toBe(false)
    expect(report.models?.find(({ projection }) => projection === "event-counts")?.examples.length).toBeGreaterThan(0)
  })
})
