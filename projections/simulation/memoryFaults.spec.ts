import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import type { Notification } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCommit, ReadModelStoreShape, Row } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { createMemoryLogDisk, memoryEventLog } from "./memoryEventLog.ts"
import type { AppendFault } from "./memoryEventLog.ts"
import { memoryPubSub } from "./memoryPubSub.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "./memoryReadModelStore.ts"
import type { CommitFault } from "./memoryReadModelStore.ts"

const identity = { logId: "log-1", partitions: 2, lanes: 1, createdAtMs: 1_700_000_000_000 }
const record = (partition: number, text: string) => ({ partition, key: "k", value: new TextEncoder().encode(text) })
const options = { bytesMax: 1 << 20, waitMaxMs: 60_000 }

/** Runs `use` as one process: the layer lives no longer than that. */
const inProcess = <S, I, A>(service: Effect.Effect<S, never, I>, layer: Layer.Layer<I>, use: (shape: S) => Effect.Effect<A, unknown, Scope.Scope>): Promise<A> =>
  Effect.runPromise(service.pipe(Effect.flatMap(use), Effect.scoped, Effect.provide(layer)))

describe("memory log, when the simulation decides", () => {
  const withLog = <A>(disk: ReturnType<typeof createMemoryLogDisk>, use: (log: EventLogShape) => Effect.Effect<A, unknown, Scope.Scope>) =>
    inProcess(EventLog, memoryEventLog(disk, identity), use)

  it.each<[AppendFault, string, bigint]>([
    ["rejected", "AppendRejectedError", 1n],
    ["unknown, not stored", "AppendUnknownError", 1n],
    ["unknown, stored", "AppendUnknownError", 2n]
  ])("an append ends %s: the caller learns %s, the end is %d", async (fault, tag, end) => {
    const disk = createMemoryLogDisk()
    let told = 0
    disk.onAppend = () => void told++
    disk.appendFault = () => fault
    expect(await withLog(disk, (log) => Effect.flip(log.append([record(0, "a")])))).toMatchObject({ _tag: tag })
    disk.appendFault = () => undefined
    expect(await withLog(disk, (log) => log.bounds(0))).toEqual({ start: 0n, end })
    expect(told).toBe(Number(end) - 1)
    expect(await withLog(disk, (log) => log.append([record(0, "b")]))).toEqual([{ partition: 0, offset: end }])
  })

  it("an append ends unknown and stored in part: what is stored is dense, and sending all of it again stores the rest", async () => {
    const disk = createMemoryLogDisk()
    const batch = [record(0, "a"), record(1, "b"), record(0, "c")]
    const told: unknown[] = []
    disk.onAppend = (stored) => void told.push(...stored)
    disk.appendFault = ([first]) => ({ stored: first === undefined ? [] : [first] })
    expect(await withLog(disk, (log) => Effect.flip(log.append(batch)))).toMatchObject({ _tag: "AppendUnknownError" })
    expect(told).toEqual([{ partition: 0, offset: 1n }])
    disk.appendFault = () => undefined
    expect(await withLog(disk, (log) => log.append(batch))).toEqual([{ partition: 0, offset: 2n }, { partition: 1, offset: 1n }, { partition: 0, offset: 3n }])
    const texts = disk.partitions.map(({ records }) => records.slice(1).map((value) => new TextDecoder().decode(value)))
    expect(texts).toEqual([["a", "a", "c"], ["b"]])
  })

  it("refuses to be read while it does not answer, and again serves what it stored", async () => {
    const disk = createMemoryLogDisk()
    disk.isReadable = () => false
    const looks = (log: EventLogShape) => [log.read([{ partition: 0, nextOffset: 0n }], options), log.bounds(0), log.verify(0)] as const
    for (const at of [0, 1, 2] as const) expect(await withLog(disk, (log) => Effect.flip<unknown, unknown, never>(looks(log)[at]))).toMatchObject({ _tag: "LogUnavailableError" })
    disk.isReadable = () => true
    expect(await withLog(disk, (log) => log.verify(0))).toMatchObject({ records: 1n })
  })

  it("never jumps: expired and truncated records are out of range", async () => {
    const disk = createMemoryLogDisk()
    await withLog(disk, (log) => log.append([record(0, "a"), record(0, "b"), record(0, "c")]))
    const [stored] = disk.partitions
    stored?.records.splice(0, 2)
    if (stored !== undefined) stored.start = 2n
    stored?.records.pop()
    const read = (nextOffset: bigint) => withLog(disk, (log) => Effect.flip(log.read([{ partition: 0, nextOffset }], options)))
    for (const wanted of [1n, 4n]) expect(await read(wanted)).toMatchObject({ _tag: "OffsetOutOfRangeError", wanted, start: 2n, end: 3n })
  })

  it("lets readers wait by the clock of the test alone, and leaves nothing behind when they stop", async () => {
    const disk = createMemoryLogDisk()
    const found = await Effect.runPromise(Effect.gen(function* () {
      const log = yield* EventLog
      const reading = yield* Effect.forkChild(log.read([{ partition: 0, nextOffset: 1n }], options), { startImmediately: true })
      yield* TestClock.adjust(options.waitMaxMs - 1)
      const before = reading.pollUnsafe()
      yield* TestClock.adjust(1)
      return { before, batches: yield* Fiber.join(reading) }
    }).pipe(Effect.provide(memoryEventLog(disk, identity)), Effect.provide(TestClock.layer())))
    expect(found).toEqual({ before: undefined, batches: [] })
    expect(disk.listeners.size).toBe(0)
  })

  it("wakes a reader that waits again at once, once for each append", async () => {
    const disk = createMemoryLogDisk()
    const seen = await withLog(disk, (log) => Effect.gen(function* () {
      const offsets: bigint[] = []
      const reading = yield* Effect.forkChild(Effect.gen(function* () {
        while (offsets.length < 3) {
          const batches = yield* log.read([{ partition: 0, nextOffset: BigInt(offsets.length + 1) }], options)
          offsets.push(...batches.map(({ firstOffset }) => firstOffset))
        }
      }), { startImmediately: true })
      for (const text of ["a", "b", "c"]) {
        yield* log.append([record(1, text)])
        yield* log.append([record(0, text)])
        yield* Effect.yieldNow
      }
      yield* Fiber.join(reading)
      return offsets
    }))
    expect(seen).toEqual([1n, 2n, 3n])
  })
})

const lane = { projection: "p", generation: 1, lane: 0 }
const counters = { records: 1n, system: 0n, events: 1n, folded: 1n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }
const row: Row = {
  tenantId: "t", resolution: 0, windowStartMs: 0, keyId: "0".repeat(32), key: ["/"], measures: [new Uint8Array([1])], events: 1n, lateEvents: 0n,
  backfillEvents: 0n, fingerprint: 1n, offsets: [{ partition: 0, min: 1n, max: 1n }], revision: 1n
}
const commitOf = (epoch: bigint): LaneCommit => ({
  lane, epoch, expected: [{ partition: 0, nextOffset: 0n }],
  next: [{ partition: 0, nextOffset: 1n, lastRecordHash: "ab", counters, receivedMaxMs: 5, heartbeatMaxMs: null, tenantMaxMs: new Map([["t", 4]]) }],
  digest: new Uint8Array(4_096), rows: [row], late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: [], dropBelowMs: null
})

describe("memory read-model store, when the simulation decides", () => {
  const withStore = <A>(disk: ReturnType<typeof createMemoryModelDisk>, use: (store: ReadModelStoreShape) => Effect.Effect<A, unknown, Scope.Scope>) =>
    inProcess(ReadModelStore, memoryReadModelStore(disk), use)
  const generation = { projection: "p", generation: 1, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }
  const prepared = async () => {
    const disk = createMemoryModelDisk()
    await withStore(disk, (store) => store.createGeneration(generation, [{ lane: 0, partitions: [0] }]))
    await withStore(disk, (store) => store.takeOver(lane))
    return disk
  }

  it.each<[CommitFault, string, boolean, bigint]>([
    ["unavailable", "StoreUnavailableError", false, 2n],
    ["unknown, not stored", "CommitUnknownError", false, 2n],
    ["unknown, stored", "CommitUnknownError", true, 2n],
    ["fenced", "FencedError", false, 3n]
  ])("a commit ends %s: the owner learns %s, stored is %s, the next owner has epoch %d", async (fault, tag, isStored, epoch) => {
    const disk = await prepared()
    let told = 0
    disk.onCommit = () => void told++
    disk.commitFault = () => fault
    expect(await withStore(disk, (store) => Effect.flip(store.commit([commitOf(1n)])))).toMatchObject({ _tag: tag })
    disk.commitFault = () => undefined
    const owned = await withStore(disk, (store) => store.takeOver(lane))
    expect([owned.epoch, owned.partitions[0]?.nextOffset]).toEqual([epoch, isStored ? 1n : 0n])
    expect(await withStore(disk, (store) => store.readRows(lane, [row]))).toEqual([isStored ? row : undefined])
    expect(told).toBe(isStored ? 1 : 0)
    expect(await withStore(disk, (store) => Effect.flip(store.commit([commitOf(1n)])))).toMatchObject({ _tag: "FencedError" })
  })

  it("never stores a fenced commit, also when its outcome stays unknown", async () => {
    const disk = await prepared()
    disk.commitFault = () => "unknown, stored"
    await withStore(disk, (store) => store.takeOver(lane))
    expect(await withStore(disk, (store) => Effect.flip(store.commit([commitOf(1n)])))).toMatchObject({ _tag: "FencedError" })
    expect(await withStore(disk, (store) => store.readRows(lane, [row]))).toEqual([undefined])
  })

  it("changes nothing while it is down", async () => {
    const disk = await prepared()
    disk.isDown = () => true
    const attempts: ((store: ReadModelStoreShape) => Effect.Effect<unknown, unknown, Scope.Scope>)[] = [
      (store) => store.takeOver(lane), (store) => store.readRows(lane, [row]), (store) => store.snapshot, (store) => store.flip("p", 1, 0),
      (store) => store.recordHalt({ ...lane, code: "LOG_GAP", detail: "", atMs: 1 }), (store) => store.registerOutbox("c"), (store) => store.readOutbox("c", 0n, 1),
      (store) => store.ackOutbox("c", 1n), (store) => store.forgetOutbox("c"), (store) => store.incarnation
    ]
    for (const attempt of attempts) expect(await withStore(disk, (store) => Effect.flip(attempt(store)))).toMatchObject({ _tag: "StoreUnavailableError" })
    disk.isDown = () => false
    expect((await withStore(disk, (store) => store.takeOver(lane))).epoch).toBe(2n)
    expect(await withStore(disk, (store) => Effect.flatMap(store.snapshot, (snapshot) => Effect.all([snapshot.pointers, snapshot.halts])))).toEqual([[], []])
  })

  it("shares no memory with the writer or a reader", async () => {
    const disk = await prepared()
    const measure = new Uint8Array([7])
    const tenantMaxMs = new Map([["t", 4]])
    const commit = commitOf(1n)
    await withStore(disk, (store) => store.commit([{ ...commit, rows: [{ ...row, measures: [measure] }], next: commit.next.map((partition) => ({ ...partition, tenantMaxMs })) }]))
    measure.fill(0)
    tenantMaxMs.clear()
    const [read] = await withStore(disk, (store) => store.readRows(lane, [row]))
    expect([...(read?.measures[0] ?? [])]).toEqual([7])
    read?.measures[0]?.fill(9)
    const [again] = await withStore(disk, (store) => store.readRows(lane, [row]))
    expect([...(again?.measures[0] ?? [])]).toEqual([7])
    expect((await withStore(disk, (store) => store.takeOver(lane))).partitions[0]?.tenantMaxMs).toEqual(new Map([["t", 4]]))
  })
})

describe("memory pub/sub, when the simulation decides", () => {
  const hint = (version: string): Notification => ({ key: "k", version })

  it("serves a subscription that takes again at once", async () => {
    const taken = await inProcess(PubSub, memoryPubSub(), (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 10)
      const versions: string[] = []
      const taking = yield* Effect.forkChild(Effect.gen(function* () {
        while (versions.length < 2) versions.push(...(yield* subscription.take).notifications.map(({ version }) => version))
      }), { startImmediately: true })
      yield* bus.publish("a", [hint("1")])
      yield* Effect.yieldNow
      yield* bus.publish("a", [hint("2")])
      yield* Fiber.join(taking)
      return versions
    }))
    expect(taken).toEqual(["1", "2"])
  })

  it("loses notifications without a word, and says when it is down", async () => {
    const faults = { isDown: () => false, isLost: (_topic: string, [first]: readonly Notification[]) => first?.version === "1" }
    const result = await inProcess(PubSub, memoryPubSub(faults), (bus) => Effect.gen(function* () {
      const subscription = yield* bus.subscribe("a", 10)
      yield* bus.publish("a", [hint("1")])
      yield* bus.publish("a", [hint("2")])
      const taken = yield* subscription.take
      faults.isDown = () => true
      return [taken, yield* Effect.flip(bus.publish("a", [hint("3")])), yield* Effect.flip(bus.subscribe("a", 10))]
    }))
    expect(result).toMatchObject([{ notifications: [hint("2")], overflowed: false }, { _tag: "PubSubUnavailableError" }, { _tag: "PubSubUnavailableError" }])
  })
})
