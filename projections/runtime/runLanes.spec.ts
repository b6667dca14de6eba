import { defineProjection } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import type { EventAttributes } from "@tidemark/domain/events/event"
import { encodeHeartbeat, encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt, ReadSnapshot, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { createMemoryLogDisk, memoryEventLog } from "../simulation/memoryEventLog.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "../simulation/memoryPartitionIndex.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import { ensureGenerations } from "./ensureGenerations.ts"
import type { RereadReport } from "./observer.ts"
import type { Activity } from "./runLane.ts"
import { runLanes } from "./runLanes.ts"

const MINUTE = 60_000
const DAY = 86_400_000
const T0 = 1_700_000_040_000 - (1_700_000_040_000 % MINUTE)

const clicks = (over: Partial<Parameters<typeof defineProjection>[0]> = {}): ProjectionDefinition =>
  defineProjection({
    name: "clicks", version: 1, handles: [{ type: "click" }], key: { page: "event.data.page" },
    measures: { clicks: { kind: "count" }, spent: { kind: "sum", of: "event.data.spent" } }, ...over
  })

interface Engines {
  readonly logDisk: ReturnType<typeof createMemoryLogDisk>
  readonly modelDisk: ReturnType<typeof createMemoryModelDisk>
  readonly indexDisk: ReturnType<typeof createMemoryIndexDisk>
  readonly layer: Layer.Layer<EventLog | ReadModelStore | import("@tidemark/domain/ports/PartitionIndex").PartitionIndex>
}

const makeEngines = (partitions = 1, lanes = 1): Engines => {
  const logDisk = createMemoryLogDisk()
  const modelDisk = createMemoryModelDisk()
  const indexDisk = createMemoryIndexDisk()
  const identity = { logId: "log-1", partitions, lanes, createdAtMs: T0 }
  const layer = Layer.mergeAll(memoryEventLog(logDisk, identity), memoryReadModelStore(modelDisk), memoryPartitionIndex(indexDisk))
  return { logDisk, modelDisk, indexDisk, layer }
}

let ids = 0
const click = (timeMs: number, data: unknown = { page: "/", spent: 1 }, over: Partial<EventAttributes> = {}): Uint8Array => {
  const event: EventAttributes = {
    id: `e-${++ids}`, source: "s", type: "click", timeMs, receivedAtMs: Math.max(timeMs, over.receivedAtMs ?? 0), tenantId: "t", partitionKey: "t:u", schemaVersion: 0, ...over
  }
  return encodeEvent(event, JSON.stringify(data))
}

/** Appends the records, runs the lanes until everything is committed or halted, and looks. */
const run = async <A>(engines: Engines, definition: ProjectionDefinition, values: readonly Uint8Array[], look: (snapshot: ReadSnapshot) => Effect.Effect<A, unknown>): Promise<{ readonly seen: A; readonly halts: readonly Halt[]; readonly rereads: readonly RereadReport[] }> => {
  const halts: Halt[] = []
  const rereads: RereadReport[] = []
  const program = Effect.gen(function* () {
    const log = yield* EventLog
    const store = yield* ReadModelStore
    if (values.length > 0) yield* log.append(values.map((value) => ({ partition: 0, key: "k", value })))
    yield* ensureGenerations([definition])
    const stop = yield* Deferred.make<void>()
    const { lanes } = log.identity
    const caughtUp = yield* Deferred.make<void>()
    const reached = Effect.gen(function* () {
      const end = (yield* log.bounds(0)).end
      const snapshot = yield* store.snapshot
      const checkpoints = yield* snapshot.checkpoints(definition.name, 1)
      if (halts.length > 0 || checkpoints.some(({ partitions }) => partitions.some(({ partition, nextOffset }) => partition === 0 && nextOffset >= end))) yield* Deferred.succeed(caughtUp, undefined)
    }).pipe(Effect.scoped, Effect.orDie)
    const fiber = yield* Effect.forkChild(runLanes({
      lanes: Array.from({ length: lanes }, (_, lane) => lane),
      stop: Deferred.await(stop),
      observer: { committed: () => Effect.runFork(reached), halted: (halt) => { halts.push(halt); Effect.runFork(reached) }, retrying: () => void Effect.runFork(reached), reread: (reports) => void rereads.push(...reports) }
    }))
    yield* reached
    yield* Effect.raceFirst(Deferred.await(caughtUp), Fiber.join(fiber))
    yield* Deferred.succeed(stop, undefined)
    yield* Fiber.join(fiber)
    return yield* Effect.scoped(Effect.flatMap(store.snapshot, look))
  })
  return { seen: await Effect.runPromise(program.pipe(Effect.provide(engines.layer))), halts, rereads }
}

const rows = (snapshot: ReadSnapshot, resolution: 0 | 1 | 2 = 0) =>
  Effect.gen(function* () {
    const found: StoredRow[] = []
    yield* snapshot.scan({ projection: "clicks", generation: 1, tenantId: "t", resolution, fromMs: 0, toMs: T0 * 2 }, (chunk) => void found.push(...chunk))
    return found
  })

const everything = (snapshot: ReadSnapshot) =>
  Effect.gen(function* () {
    const page = { projection: "clicks", generation: 1, tenantId: "t", limit: 1_000 }
    const range = { projection: "clicks", generation: 1, partition: 0, min: 0n, max: 10_000n }
    const [lane] = yield* snapshot.checkpoints("clicks", 1)
    return {
      minutes: yield* rows(snapshot), hours: yield* rows(snapshot, 1), days: yield* rows(snapshot, 2), late: yield* snapshot.late(page),
      deadLetters: yield* snapshot.deadLettersIn(range), duplicates: yield* snapshot.duplicatesIn(range), lane, counters: lane?.partitions[0]?.counters
    }
  })

describe("a lane", () => {
  it("folds events into minute, hour and day, and commits the checkpoint with them", async () => {
    const { seen } = await run(makeEngines(), clicks(), [click(T0), click(T0 + 1, { page: "/a", spent: "0.5" }), click(T0 + MINUTE), encodeHeartbeat(T0 + 2 * MINUTE)], everything)
    expect(seen.minutes.map(({ windowStartMs, key, events }) => [windowStartMs, key[0], events]).sort()).toEqual([[T0, "/", 1n], [T0, "/a", 1n], [T0 + MINUTE, "/", 1n]].sort())
    for (const level of [seen.hours, seen.days]) expect(level.reduce((sum, { events }) => sum + events, 0n)).toBe(3n)
    expect(seen.counters).toEqual({ records: 5n, system: 2n, events: 3n, folded: 3n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n })
    expect(seen.lane?.partitions[0]).toMatchObject({ nextOffset: 5n, heartbeatMaxMs: T0 + 2 * MINUTE })
  })

  it("counts every record in exactly one place: duplicate, filtered, dead letter, undecodable, system", async () => {
    const values = [
      click(T0, { page: "/" }, { id: "same" }), click(T0 + 5, { page: "/b" }, { id: "same" }), click(T0, {}, { type: "other" }), click(T0, { page: "/", spent: "1.1234567" }),
      new TextEncoder().encode("{not json"), encodeHeartbeat(T0)
    ]
    const { seen } = await run(makeEngines(), clicks(), values, everything)
    expect(seen.counters).toEqual({ records: 7n, system: 2n, events: 5n, folded: 1n, held: 0n, duplicate: 1n, deadLettered: 2n, filtered: 1n, late: 0n, applied: 0n })
    expect(seen.duplicates).toEqual([{ partition: 0, offset: 2n, tenantId: "t" }])
    expect(seen.deadLetters).toEqual([
      { partition: 0, offset: 4n, tenantId: "t", code: "DECIMAL_SCALE", pointer: "/measures/spent" }, { partition: 0, offset: 5n, tenantId: "", code: "ENVELOPE", pointer: "" }
    ])
  })

  it("applies what is late within the revise time, holds what is later, and enters both in the ledger", async () => {
    const definition = clicks({ window: { reviseWithinMs: MINUTE } })
    const values = [
      click(T0 + 70_000), // M = T0 + 70 s: the minute of T0 is closed now
      click(T0 + 59_999), // late, applied
      click(T0 + 130_000), // M = T0 + 130 s: past revision of the minute of T0
      click(T0 + 1), // held
      click(T0 + 2, { page: "/" }, { backfill: "import" }) // a backfill is never late
    ]
    const { seen } = await run(makeEngines(), definition, values, everything)
    expect(seen.late.map(({ offset, outcome, lateByMs, contribution }) => ({ offset, outcome, lateByMs, contribution }))).toEqual([
      { offset: 2n, outcome: "applied", lateByMs: 0, contribution: { clicks: "1", spent: "1" } }, { offset: 4n, outcome: "held", lateByMs: 60_000, contribution: { clicks: "1", spent: "1" } }
    ])
    expect(seen.counters).toMatchObject({ folded: 4n, held: 1n, late: 2n, applied: 1n })
    expect(seen.minutes.find(({ windowStartMs }) => windowStartMs === T0)).toMatchObject({ events: 2n, lateEvents: 1n, backfillEvents: 1n })
  })

  it("folds a held event once when it is released, also across restarts", async () => {
    const engines = makeEngines()
    const definition = clicks({ window: { reviseWithinMs: 0 } })
    const held = click(T0, { page: "/held", spent: 7 })
    await run(engines, definition, [click(T0 + 10 * MINUTE), held], everything)
    const release = () => encodeLateApplied(T0 + 11 * MINUTE, 0, 2n, held)
    const { seen } = await run(engines, definition, [release(), release()], everything)
    expect(seen.counters).toMatchObject({ system: 3n, events: 2n, folded: 2n, held: 0n, late: 1n, applied: 1n })
    expect(seen.late).toMatchObject([{ offset: 2n, outcome: "applied" }])
    expect(seen.minutes.find(({ windowStartMs }) => windowStartMs === T0)).toMatchObject({ key: ["/held"], events: 1n, lateEvents: 1n, offsets: [{ partition: 0, min: 3n, max: 3n }] })
    const again = await run(engines, definition, [release()], everything)
    expect(again.seen.counters).toMatchObject({ folded: 2n, held: 0n })
  })

  it("holds an event whose window has expired, and dead-letters an import of it", async () => {
    const definition = clicks({ retentionDays: 1 })
    const late = T0 - 3 * DAY
    const { seen } = await run(makeEngines(), definition, [click(late, { page: "/" }, { receivedAtMs: T0 }), click(late, { page: "/" }, { receivedAtMs: T0, backfill: "import" })], everything)
    expect(seen.counters).toMatchObject({ folded: 0n, held: 1n, deadLettered: 1n })
    expect(seen.deadLetters).toMatchObject([{ code: "WINDOW_EXPIRED", pointer: "/time" }])
  })

  it("drops a row once every partition of the lane has passed its retention, with the flush that passes it", async () => {
    const engines = makeEngines(2, 1)
    const definition = clicks({ retentionDays: 1 })
    const old = T0 - (T0 % DAY)
    await run(engines, definition, [click(old), click(old + DAY, { page: "/kept" })], everything)
    const both = (at: number) => run(engines, definition, [encodeHeartbeat(at)], everything)
    const ahead = await both(old + 2 * DAY)
    expect(ahead.seen.days.map(({ windowStartMs }) => windowStartMs)).toEqual([old, old + DAY])
    const partition = engines.logDisk.partitions[1]
    partition?.records.push(encodeHeartbeat(old + 2 * DAY))
    const passed = await both(old + 2 * DAY)
    expect(passed.halts).toEqual([])
    for (const level of [passed.seen.minutes, passed.seen.hours, passed.seen.days]) expect(level.map(({ windowStartMs, key }) => [windowStartMs, key])).toEqual([[old + DAY, ["/kept"]]])
    expect(engines.modelDisk.state.keyCounts.size).toBe(1)
    // The digest is that of the rows that are left: the same as if nothing else had ever been folded into the lane.
    const fresh = makeEngines(2, 1)
    const { seen } = await run(fresh, definition, [encodeHeartbeat(old), click(old + DAY, { page: "/kept" }, { id: `e-${ids}` })], everything)
    expect(passed.seen.lane?.digest).toEqual(seen.lane?.digest)
  })

  it("begins where the log does when its head has expired, and goes on there after a restart with or without an index", async () => {
    for (const isIndexKept of [true, false]) {
      const engines = makeEngines()
      const again = click(T0, { page: "/" }, { id: "again" })
      const values = [click(T0), click(T0), again, click(T0), again].map((value) => ({ partition: 0, key: "k", value }))
      await Effect.runPromise(Effect.flatMap(EventLog, (log) => log.append(values)).pipe(Effect.provide(engines.layer)))
      const partition = engines.logDisk.partitions[0]
      if (partition === undefined) throw new Error("no partition")
      partition.records.splice(0, 3)
      partition.start = 3n
      const first = await run(engines, clicks(), [], everything)
      expect(first.halts).toEqual([])
      if (!isIndexKept) engines.indexDisk.segments.clear()
      const { seen, halts } = await run(engines, clicks(), [again, click(T0)], everything)
      expect(halts).toEqual([])
      expect(seen.counters).toMatchObject({ records: 5n, folded: 3n, duplicate: 2n })
    }
  })

  it("admits the first keys of a window by offset and folds the rest into __other__, however it is flushed", async () => {
    const definition = clicks({ keyMax: 2 })
    const pages = ["/a", "/b", "/c", "/a", "/d", "/c"]
    const values = pages.map((page, at) => click(T0 + at, { page, spent: 1 }))
    const whole = await run(makeEngines(), definition, values, everything)
    const engines = makeEngines()
    let parts = await run(engines, definition, [], everything)
    for (const value of values) parts = await run(engines, definition, [value], everything)
    for (const { seen } of [whole, parts]) {
      expect(seen.minutes.map(({ key, events }) => `${key[0]} ${events}`).sort()).toEqual(["/a 2", "/b 1", "__other__ 3"])
      expect(seen.hours.map(({ key, events }) => `${key[0]} ${events}`).sort()).toEqual(["/a 2", "/b 1", "__other__ 3"])
    }
    expect(parts.seen.lane?.digest).toEqual(whole.seen.lane?.digest)
    expect(parts.seen.minutes.map(({ revision: _revision, ...row }) => row)).toEqual(whole.seen.minutes.map(({ revision: _revision, ...row }) => row))
  })

  it("knows a duplicate across restarts", async () => {
    const engines = makeEngines()
    await run(engines, clicks(), [click(T0, { page: "/" }, { id: "x" })], everything)
    const { seen } = await run(engines, clicks(), [click(T0, { page: "/" }, { id: "x" })], everything)
    expect(seen.counters).toMatchObject({ folded: 1n, duplicate: 1n })
  })
})

describe("a lane halts instead of guessing", () => {
  it("when the record before its checkpoint is another one", async () => {
    const engines = makeEngines()
    await run(engines, clicks(), [click(T0)], everything)
    const partition = engines.logDisk.partitions[0]
    if (partition === undefined) throw new Error("no partition")
    partition.records[1] = click(T0 + 1)
    const { halts } = await run(engines, clicks(), [], everything)
    expect(halts).toMatchObject([{ code: "LOG_DIVERGED", projection: "clicks", generation: 1, lane: 0 }])
  })

  it("when the log has lost its head below the checkpoint, or its tail", async () => {
    for (const [code, lose] of [
      ["LOG_GAP", (log: { start: bigint; records: Uint8Array[] }) => { log.start += 3n; log.records.splice(0, 3) }],
      ["LOG_DIVERGED", (log: { start: bigint; records: Uint8Array[] }) => { log.records.pop() }]
    ] as const) {
      const engines = makeEngines()
      await run(engines, clicks(), [click(T0)], everything)
      const partition = engines.logDisk.partitions[0]
      if (partition === undefined) throw new Error("no partition")
      if (code === "LOG_GAP") partition.records.push(click(T0 + 1), click(T0 + 2))
      lose(partition)
      const { halts, seen } = await run(engines, clicks(), [], everything)
      expect(halts).toMatchObject([{ code }])
      expect(seen.counters).toMatchObject({ folded: 1n })
    }
  })
})

describe("a log without its head and without an index", () => {
  it("halts the generation that has folded what is lost, for its duplicates would count", async () => {
    const engines = makeEngines()
    await run(engines, clicks(), [click(T0), click(T0 + 1), click(T0 + 2)], everything)
    engines.indexDisk.segments.clear()
    const partition = engines.logDisk.partitions[0]
    if (partition === undefined) throw new Error("no partition")
    partition.records.splice(0, 2)
    partition.start = 2n
    const { halts, seen } = await run(engines, clicks(), [click(T0 + 3)], everything)
    expect(halts).toMatchObject([{ code: "LOG_GAP", projection: "clicks" }])
    expect(seen.counters).toMatchObject({ folded: 3n })
  })
})

describe("making sure of the generations", () => {
  it("ends well in a process that another one overtakes between its look and its flip", async () => {
    const engines = makeEngines()
    const program = Effect.gen(function* () {
      const store = yield* ReadModelStore
      let isOvertaken = false
      const slow: typeof store = {
        ...store,
        flip: (projection, generation, version) => Effect.suspend(() => {
          const overtake = isOvertaken ? Effect.void : Effect.asVoid(store.flip(projection, generation, version))
          isOvertaken = true
          return Effect.andThen(overtake, store.flip(projection, generation, version))
        })
      }
      yield* ensureGenerations([clicks(), clicks({ name: "others" })]).pipe(Effect.provideService(ReadModelStore, slow))
      return yield* Effect.scoped(Effect.flatMap(store.snapshot, ({ pointers }) => pointers))
    })
    const pointers = await Effect.runPromise(program.pipe(Effect.provide(engines.layer)))
    expect(pointers).toMatchObject([{ projection: "clicks", generation: 1, pointerVersion: 1 }, { projection: "others", generation: 1, pointerVersion: 1 }])
  })
})

describe("what a lane reads again", () => {
  const clicksAgain = (records: number) => [{ projection: "clicks", records }]

  it("is nothing at its first start, nor when the index knows everything below the checkpoint", async () => {
    const engines = makeEngines()
    expect((await run(engines, clicks(), [click(T0), click(T0 + 1)], everything)).rereads).toEqual([])
    expect((await run(engines, clicks(), [click(T0 + 2)], everything)).rereads).toEqual([])
  })

  it("is told after a restart without the index: all of the log below the checkpoint", async () => {
    const engines = makeEngines()
    await run(engines, clicks(), [click(T0), click(T0 + 1)], everything)
    engines.indexDisk.segments.clear()
    const { rereads, seen } = await run(engines, clicks(), [click(T0 + 2), click(T0 + 3)], everything)
    expect(rereads).toEqual(clicksAgain(3))
    expect(seen.counters).toMatchObject({ records: 5n, folded: 4n })
  })

  it("is told once when a commit failed: what was folded, or what the store has of it after all", async () => {
    for (const fault of ["unknown, stored", "unknown, not stored", "unavailable"] as const) {
      const engines = makeEngines()
      let faults = 1
      engines.modelDisk.commitFault = () => (faults-- > 0 ? fault : undefined)
      const first = await run(engines, clicks(), [click(T0), click(T0 + 1)], everything)
      const second = await run(engines, clicks(), [], everything)
      // The first run may end before it has taken the lane over again: its checkpoint is where it should be already.
      expect([...first.rereads, ...second.rereads], fault).toEqual(clicksAgain(3))
      expect((await run(engines, clicks(), [click(T0 + 2)], everything)).rereads, fault).toEqual([])
    }
  })
})

describe("a commit that fails", () => {
  it("of unknown outcome is never sent again: the lane takes over from the checkpoint", async () => {
    for (const fault of ["unknown, stored", "unknown, not stored", "unavailable"] as const) {
      const engines = makeEngines()
      let faults = 1
      engines.modelDisk.commitFault = () => (faults-- > 0 ? fault : undefined)
      const { seen } = await run(engines, clicks(), [click(T0), click(T0 + 1)], everything)
      expect(seen.counters).toMatchObject({ records: 3n, folded: 2n })
      expect(seen.minutes).toMatchObject([{ events: 2n }])
    }
  })

  it("because of a newer owner ends the run", async () => {
    const engines = makeEngines()
    engines.modelDisk.commitFault = () => "fenced"
    await expect(run(engines, clicks(), [click(T0)], everything)).rejects.toMatchObject({ _tag: "FencedError", projection: "clicks" })
  })
})

describe("the stop of a lane under backlog", () => {
  it("is seen though it is a promise and every read is ready at once", async () => {
    const engines = makeEngines()
    const records = 2_000
    const reads = { before: 0, after: 0 }
    let settle = () => {}
    const settled = new Promise<void>((resolve) => (settle = resolve))
    const pace = {
      isSlowed: () => true,
      wait: () => Effect.promise(async () => {
        reads[reads.before < 3 ? "before" : "after"] += 1
        if (reads.before === 3) settle()
      }),
      timed: <A, E, R>(_activity: Activity, work: Effect.Effect<A, E, R>) => work
    }
    const program = Effect.gen(function* () {
      const log = yield* EventLog
      yield* log.append(Array.from({ length: records }, (_, at) => ({ partition: 0, key: "k", value: click(T0 + at, { page: "/", spent: 1, pad: "x".repeat(8_192) }) })))
      yield* ensureGenerations([clicks()])
      yield* runLanes({ lanes: [0], stop: Effect.promise(() => settled), observer: { committed: () => {}, halted: () => {}, retrying: () => {} }, pace })
      return yield* Effect.scoped(Effect.flatMap((yield* ReadModelStore).snapshot, (snapshot) => snapshot.checkpoints("clicks", 1)))
    })
    const [lane] = await Effect.runPromise(program.pipe(Effect.provide(engines.layer)))
    const folded = lane?.partitions[0]?.nextOffset ?? 0n
    expect(folded).toBeGreaterThan(0n)
    expect(folded).toBeLessThan(BigInt(records / 10))
    expect(reads.after).toBeLessThanOrEqual(1)
  })
})
