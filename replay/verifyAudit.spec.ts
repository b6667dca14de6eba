import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog, LogGapError } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { pageViews } from "@tidemark/projections/page-views/projection"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { beforeAll, describe, expect, it } from "vitest"
import { auditWindow } from "./auditWindow.ts"
import type { AuditOutcome, AuditedWindow } from "./auditWindow.ts"
import { makeFoldedLog } from "./foldedLog.ts"
import { audit, pickWindow } from "./verifyAudit.ts"
import type { AuditFigures, AuditOptions } from "./verifyAudit.ts"
import type { ProofBounds } from "./windowProof.ts"

const START_MS = 1_700_000_040_000
const EVENTS = 300
const PARTITIONS = 2
const NOTHING_SKIPPED = { records: 0, time: 0, keys: 0, retained: 0, definition: 0 }

const { logDisk, modelDisk, layer, fold, run } = makeFoldedLog([pageViews], START_MS)

/** Views of three pages by some users, some late, some imported, some repeated. */
const view = (i: number) => {
  const atMs = START_MS + i * 1_000
  const imported = i % 29 === 0
  return {
    partition: i % PARTITIONS, key: "k",
    value: encodeEvent({
      id: `e${i % 11 === 10 ? i - PARTITIONS : i}`, source: "s", type: "page.viewed", timeMs: i % 13 === 0 ? atMs - 90_000 : atMs, receivedAtMs: atMs, tenantId: "t",
      partitionKey: `t:u${i % PARTITIONS}`, userId: `u${i % 7}`, schemaVersion: 2, backfill: imported ? "old" : undefined
    }, JSON.stringify({ page: `/${i % 3}`, durationMs: i }))
  }
}

beforeAll(() => fold(Array.from({ length: EVENTS }, (_, i) => view(i))))

/** The first of several minutes, whenever one is chosen. */
const first = () => 0.999_999
const look = (window: AuditedWindow, bounds?: ProofBounds): Promise<AuditOutcome> =>
  run(Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => auditWindow(snapshot, window, first, bounds)))))
const RIGHT: AuditOutcome = { kind: "audited", difference: undefined }

const windowsOf = (): readonly AuditedWindow[] => [...modelDisk.state.rows.values()].map(({ lane: { projection, generation }, row: { tenantId, resolution, windowStartMs, keyId, key } }) => ({ projection, generation, tenantId, resolution, startMs: windowStartMs, keyId, key }))

/** Changes one stored row of a resolution, looks, and puts it back. */
const withRow = async <A>(resolution: 0 | 1 | 2, change: (row: StoredRow) => Partial<StoredRow>, then: (window: AuditedWindow) => Promise<A>): Promise<A> => {
  const at = windowsOf().findIndex((window) => window.resolution === resolution)
  const [id, stored] = [...modelDisk.state.rows][at] ?? []
  const window = windowsOf()[at]
  if (id === undefined || stored === undefined || window === undefined) throw new Error("no row")
  modelDisk.state.rows.set(id, { ...stored, row: { ...stored.row, ...change(stored.row) } })
  try {
    return await then(window)
  } finally {
    modelDisk.state.rows.set(id, stored)
  }
}

describe("the audit", () => {
  it("finds nothing wrong with any window that the runtime stored", async () => {
    const windows = windowsOf()
    expect(windows.length).toBeGreaterThan(20)
    for (const window of windows) expect(await look(window)).toEqual(RIGHT)
  })

  it("finds a count, a fingerprint, an import, a late event or a measure that is wrong, and names the window", async () => {
    const found = (change: (row: StoredRow) => Partial<StoredRow>) => withRow(0, change, look)
    const difference = (text: string | RegExp) => ({ kind: "audited", difference: expect.stringMatching(text) as string })
    expect(await found(({ events }) => ({ events: events + 1n }))).toMatchObject(difference(/^page-views generation 1, minute 2023-11-\S+, key \["\/\d"\] of t: \d+ events are counted, the log holds \d+$/))
    expect(await found(({ fingerprint }) => ({ fingerprint: fingerprint ^ 1n }))).toMatchObject(difference(/: the fingerprint differs$/))
    expect(await found(({ backfillEvents }) => ({ backfillEvents: backfillEvents + 1n }))).toMatchObject(difference(/: the number of imported events differs$/))
    expect(await found(({ lateEvents }) => ({ lateEvents: lateEvents + 1n }))).toMatchObject(difference(/: the number of late events differs$/))
    const measure = (at: number) => found(({ measures }) => ({ measures: measures.map((bytes, index) => (index === at ? ([...modelDisk.state.rows.values()][5]?.row.measures[at] ?? bytes) : bytes)) }))
    expect(await measure(0)).toMatchObject(difference(/: measure duration differs$/))
    expect(await found(({ measures }) => ({ measures: measures.map(() => new Uint8Array([255])) }))).toMatchObject(difference(/: measure duration cannot be read$/))
  })

  const changes: readonly (readonly [what: string, change: (row: StoredRow) => Partial<StoredRow>])[] = [
    ["events", ({ events }) => ({ events: events + 1n })],
    ["lateEvents", ({ lateEvents }) => ({ lateEvents: lateEvents + 1n })],
    ["backfillEvents", ({ backfillEvents }) => ({ backfillEvents: backfillEvents + 1n })],
    ["fingerprint", ({ fingerprint }) => ({ fingerprint: fingerprint ^ 1n })],
    ["the offset range", ({ offsets }) => ({ offsets: offsets.map((range) => ({ ...range, max: range.max + 1n })) })],
    ["measure views", ({ measures }) => ({ measures: measures.map((bytes, at) => (at === 1 ? Uint8Array.from(bytes, (byte) => byte ^ 1) : bytes)) })]
  ]
  it.each(changes)("finds an hour and a day whose %s is not the merge of the minutes, however many events they have", async (what, change) => {
    for (const [resolution, name] of [[1, "hour"], [2, "day"]] as const) {
      const outcome = await withRow(resolution, change, (window) => look(window, { recordsMax: 0n, workMsMax: 1_000 }))
      expect(outcome).toMatchObject({ kind: "audited", difference: expect.stringMatching(new RegExp(`, ${name} 2023-11-.*: ${what} of lane [01] is not the merge of its minutes$`)) as string })
    }
  })

  it("holds an hour or day beyond the bounds against its minutes, and one of them against the log", async () => {
    const day = windowsOf().find(({ resolution }) => resolution === 2)
    const spans = [...modelDisk.state.rows.values()].filter(({ row }) => row.resolution === 0).map(({ row }) => row.offsets.reduce((sum, { min, max }) => sum + max - min + 1n, 0n))
    const longest = spans.reduce((a, b) => (a > b ? a : b))
    if (day === undefined) throw new Error("no day")
    expect(await look(day, { recordsMax: longest * 2n, workMsMax: 10_000 })).toEqual(RIGHT)
    // A minute and its day that are wrong in the same way.
    const rows = [...modelDisk.state.rows].filter(([, { row: { keyId } }]) => keyId === day.keyId)
    const [minute] = rows.filter(([, { row: { resolution } }]) => resolution === 0).sort(([, a], [, b]) => a.row.windowStartMs - b.row.windowStartMs || a.row.lane - b.row.lane)
    const changed = rows.filter(([id, { row }]) => id === minute?.[0] || (row.resolution === 2 && row.lane === minute?.[1].row.lane))
    expect(changed).toHaveLength(2)
    for (const [id, { lane, row }] of changed) modelDisk.state.rows.set(id, { lane, row: { ...row, events: row.events + 1n } })
    expect(await look(day, { recordsMax: longest * 2n, workMsMax: 10_000 })).toMatchObject({ difference: expect.stringMatching(/, minute 2023-.* events are counted, the log holds/) as string })
    for (const [id, stored] of changed) modelDisk.state.rows.set(id, stored)
    expect(await look(day, { recordsMax: 0n, workMsMax: 10_000 })).toEqual({ kind: "skipped", reason: "records" })
    expect(await look(day, { recordsMax: 1_000n, workMsMax: 0 })).toEqual({ kind: "skipped", reason: "time" })
  })

  it("recomputes a window of many events, and finds it when it is wrong", async () => {
    const many = makeFoldedLog([pageViews], START_MS)
    await many.fold(Array.from({ length: 25_000 }, (_, i) => ({
      key: "k", partition: i % 2,
      value: encodeEvent({ id: `m${i}`, source: "s", type: "page.viewed", timeMs: START_MS, receivedAtMs: START_MS, tenantId: "t", partitionKey: `t:${i % 2}`, userId: `u${i % 300}`, schemaVersion: 2 }, `{"page":"/","durationMs":${i}}`)
    })))
    // Of lane 0 whichever lane committed first: it is put into lane 1 below.
    const stored = [...many.modelDisk.state.rows.values()].find(({ lane, row }) => row.resolution === 0 && lane.lane === 0)
    if (stored === undefined) throw new Error("no row")
    const { lane: { projection, generation }, row: { tenantId, resolution, windowStartMs: startMs, keyId, key } } = stored
    const lookAt = () => many.run(Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => auditWindow(snapshot, { projection, generation, tenantId, resolution, startMs, keyId, key }, first)))))
    expect(await lookAt()).toEqual(RIGHT)
    for (const [id, { lane, row }] of many.modelDisk.state.rows) if (lane.lane === 1) many.modelDisk.state.rows.set(id, { lane, row: { ...row, measures: [stored.row.measures[0] ?? new Uint8Array(), ...row.measures.slice(1)] } })
    expect(await lookAt()).toMatchObject({ kind: "audited", difference: expect.stringContaining("measure duration differs") as string })
  }, 30_000)

  it("calls a gap in the log a difference, a head that is no longer stored a reason to skip, and no answer neither", async () => {
    const [minute] = windowsOf().filter(({ resolution }) => resolution === 0)
    if (minute === undefined) throw new Error("no minute")
    const looking = Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => auditWindow(snapshot, minute, first))))
    const gap = new LogGapError({ partition: 0, wanted: 3n, found: 5n })
    const faulty = Layer.effect(EventLog, Effect.map(EventLog, (log) => ({ ...log, read: () => Effect.fail(gap) }))).pipe(Layer.provideMerge(layer))
    expect(await Effect.runPromise(Effect.provide(looking, faulty))).toMatchObject({ difference: expect.stringContaining("its events cannot be read: LOG_GAP: partition 0: offsets 3 to 4 hold no record") as string })
    const starts = logDisk.partitions.map(({ start }) => start)
    for (const partition of logDisk.partitions) partition.start += 10_000n
    expect(await look(minute)).toEqual({ kind: "skipped", reason: "retained" })
    for (const [at, partition] of logDisk.partitions.entries()) partition.start = starts[at] ?? 0n
    logDisk.isReadable = () => false
    expect(await run(Effect.flip(looking))).toMatchObject({ _tag: "LogUnavailableError" })
    logDisk.isReadable = () => true
  })

  it("picks stored windows of every resolution, and tells its figures after each", async () => {
    let at = 0
    const random = () => (at = (at * 16_807 + 12_345) % 2_147_483_647) / 2_147_483_647
    const resolutions = new Set<number>()
    for (let i = 0; i < 60; i++) {
      const window = await run(Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => pickWindow(snapshot, random, [])))))
      expect(windowsOf()).toContainEqual(window)
      if (window !== undefined) resolutions.add(window.resolution)
    }
    expect([...resolutions].sort()).toEqual([0, 1, 2])
    const firstTold = (options: Partial<AuditOptions>) => run(
      Effect.callback<readonly [AuditFigures, string | undefined], never, EventLog | ReadModelStore>((resume) => {
        const fiber = Effect.runFork(audit({ seed: 1, tenants: Effect.succeed([]), audited: (...told) => resume(Effect.succeed(told)), ...options }).pipe(Effect.provide(layer)))
        return Fiber.interrupt(fiber)
      })
    )
    expect(await firstTold({})).toEqual([{ windows: 1, differing: 0, skipped: NOTHING_SKIPPED }, undefined])
    expect(await firstTold({ bounds: { recordsMax: 0n, workMsMax: 1_000 } })).toEqual([{ windows: 0, differing: 0, skipped: { ...NOTHING_SKIPPED, records: 1 } }, undefined])
  })

  it("looks at tenants that only import, once they are named", async () => {
    const imported = makeFoldedLog([pageViews], START_MS)
    await imported.fold([{ partition: 0, key: "k", value: encodeEvent({ id: "i", source: "s", type: "page.viewed", timeMs: START_MS, receivedAtMs: START_MS, tenantId: "importer", partitionKey: "importer:u", userId: "u", schemaVersion: 2, backfill: "old" }, JSON.stringify({ page: "/", durationMs: 1 })) }])
    for (const [id, { lane, row }] of imported.modelDisk.state.rows) imported.modelDisk.state.rows.set(id, { lane, row: { ...row, events: row.events + 1n } })
    const told = await imported.run(Effect.callback<readonly [AuditFigures, string | undefined]>((resume) => {
      const fiber = Effect.runFork(audit({ seed: 1, tenants: Effect.succeed(["importer"]), audited: (...figures) => resume(Effect.succeed(figures)) }).pipe(Effect.provide(imported.layer)))
      return Fiber.interrupt(fiber)
    }))
    expect(told).toEqual([{ windows: 1, differing: 1, skipped: NOTHING_SKIPPED }, expect.stringContaining(" of importer") as string])
  })
})
