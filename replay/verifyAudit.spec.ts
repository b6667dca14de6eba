import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryIndexDisk, memoryPartitionIndex } from "@tidemark/projections/simulation/memoryPartitionIndex"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { beforeAll, describe, expect, it } from "vitest"
import { audit, auditWindow, pickWindow } from "./verifyAudit.ts"
import type { AuditFigures, AuditedWindow } from "./verifyAudit.ts"

const START_MS = 1_700_000_040_000
const EVENTS = 300
const PARTITIONS = 2

const modelDisk = createMemoryModelDisk()
const layer = Layer.mergeAll(
  memoryEventLog(createMemoryLogDisk(), { logId: "log-1", partitions: PARTITIONS, lanes: 2, createdAtMs: START_MS }),
  memoryReadModelStore(modelDisk), memoryPartitionIndex(createMemoryIndexDisk())
)
const run = <A, E>(program: Effect.Effect<A, E, EventLog | ReadModelStore>): Promise<A> => Effect.runPromise(program.pipe(Effect.provide(layer)))

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

beforeAll(() => Effect.runPromise(Effect.gen(function* () {
  const log = yield* EventLog
  yield* ensureGenerations([pageViews])
  yield* log.append(Array.from({ length: EVENTS }, (_, i) => view(i)))
  const stop = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(runLanes({ lanes: [0, 1], stop: Deferred.await(stop), observer: { committed: () => {}, halted: () => {}, retrying: () => {} } }))
  const folded = () => [...modelDisk.state.checkpoints.values()].flatMap(({ partitions }) => partitions).reduce((sum, { nextOffset }) => sum + Number(nextOffset), 0)
  while (folded() < EVENTS + PARTITIONS) yield* Effect.sleep(10)
  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.join(fiber)
}).pipe(Effect.provide(layer))))

const windowsOf = (): readonly AuditedWindow[] => [...modelDisk.state.rows.values()].map(({ lane: { projection, generation }, row: { tenantId, resolution, windowStartMs, keyId, key } }) => ({ projection, generation, tenantId, resolution, startMs: windowStartMs, keyId, key }))

/** Changes one stored row, looks, and puts it back. */
const withRow = async <A>(change: (row: StoredRow) => Partial<StoredRow>, look: (window: AuditedWindow) => Promise<A>): Promise<A> => {
  const [id, stored] = [...modelDisk.state.rows][4] ?? []
  const window = windowsOf()[4]
  if (id === undefined || stored === undefined || window === undefined) throw new Error("no row")
  modelDisk.state.rows.set(id, { ...stored, row: { ...stored.row, ...change(stored.row) } })
  try {
    return await look(window)
  } finally {
    modelDisk.state.rows.set(id, stored)
  }
}

describe("the audit", () => {
  it("finds nothing wrong with any window that the runtime stored", async () => {
    const windows = windowsOf()
    expect(windows.length).toBeGreaterThan(20)
    for (const window of windows) expect(await run(auditWindow(window))).toEqual({ difference: undefined })
  })

  it("finds a count, a fingerprint, an import or a measure that is wrong, and names the window", async () => {
    const found = (change: (row: StoredRow) => Partial<StoredRow>) => withRow(change, (window) => run(auditWindow(window)))
    expect(await found(({ events }) => ({ events: events + 1n }))).toMatchObject({ difference: expect.stringMatching(/^page-views generation 1, (minute|hour|day) 2023-11-\S+, key \["\/\d"\] of t: \d+ events are counted, the log holds \d+$/) as string })
    expect(await found(({ fingerprint }) => ({ fingerprint: fingerprint ^ 1n }))).toMatchObject({ difference: expect.stringContaining("the fingerprint differs") as string })
    expect(await found(({ backfillEvents }) => ({ backfillEvents: backfillEvents + 1n }))).toMatchObject({ difference: expect.stringContaining("imported events differs") as string })
    const measure = (at: number) => found(({ measures }) => ({ measures: measures.map((bytes, index) => (index === at ? (modelDisk.state.rows.values().next().value?.row.measures[at] ?? bytes) : bytes)) }))
    expect(await measure(0)).toMatchObject({ difference: expect.stringContaining("measure duration differs") as string })
  })

  it("picks stored windows of every resolution, and tells its figures after each", async () => {
    let at = 0
    const random = () => (at = (at * 16_807 + 12_345) % 2_147_483_647) / 2_147_483_647
    const resolutions = new Set<number>()
    for (let i = 0; i < 60; i++) {
      const window = await run(Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => pickWindow(snapshot, random)))))
      expect(windowsOf()).toContainEqual(window)
      if (window !== undefined) resolutions.add(window.resolution)
    }
    expect([...resolutions].sort()).toEqual([0, 1, 2])
    const [figures, difference] = await run(Effect.raceFirst(
      Effect.callback<readonly [AuditFigures, string | undefined], never, EventLog | ReadModelStore>((resume) => {
        const fiber = Effect.runFork(audit({ seed: 1, audited: (...told) => resume(Effect.succeed(told)) }).pipe(Effect.provide(layer)))
        return Fiber.interrupt(fiber)
      }),
      Effect.never
    ))
    expect([figures, difference]).toEqual([{ windows: 1, differing: 0 }, undefined])
  })
})
