import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { MaxOpsBeforeYield } from "effect/Scheduler"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import { makeAcceptEvents } from "./acceptEvents.ts"
import type { AcceptAnswer, AcceptRequest } from "./acceptEvents.ts"
import { emptyIndex, fakeHashSeed, makeFakeIndex, makeFakeLog, makeFakeRejectedLog } from "./fakes.ts"
import { makeSchemaRegistry } from "./schemas.ts"
import { splitBody } from "./splitBody.ts"

const NOW = 1_700_000_000_000
const HOUR = 3_600_000
/** The fewest operations after which a fiber may give way and still get on. */
const YIELD_AFTER_MIN = 3
const schemas = makeSchemaRegistry([{ type: "page.viewed", version: 2, schema: { type: "object", properties: { ms: { type: "integer" } } } }])

const request = (events: readonly object[] | string, more: Partial<AcceptRequest> = {}): AcceptRequest => {
  const split = splitBody({ contentType: "application/json", header: () => undefined, text: typeof events === "string" ? events : JSON.stringify(events) })
  if (split.kind === "bad") throw new Error(split.detail)
  return { tenantId: "t", defaultSource: "urn:tidemark:key:abc", items: split.items, strict: false, dryRun: false, ...more }
}

const setUp = (partitions = 1, dedupeBytesMax?: number) => {
  const log = makeFakeLog(partitions)
  const rejected = makeFakeRejectedLog()
  const make = makeAcceptEvents({ schemas, hashSeed: fakeHashSeed, dedupeBytesMax }).pipe(
    Effect.provideService(EventLog, log.shape),
    Effect.provideService(PartitionIndex, emptyIndex),
    Effect.provideService(RejectedLog, rejected.shape)
  )
  return { log, rejected, make }
}

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(TestClock.setTime(NOW).pipe(Effect.andThen(effect), Random.withSeed("accept"), Effect.provide(TestClock.layer())))

const statuses = (answer: AcceptAnswer) => answer.results.map(({ status }) => status)
const event = (id: string, more: object = {}) => ({ type: "a", id, userId: "u", ...more })

const eventAt = (bytes: Uint8Array | undefined) => {
  const decoded = decodeRecord(bytes ?? new Uint8Array())
  if (decoded.kind !== "event") throw new Error(decoded.kind)
  return decoded.event
}

describe("acceptEvents", () => {
  it("appends once, answers in input order and stores what ingest owns", async () => {
    const { log, rejected, make } = setUp(8)
    const body = `{"sentAt":${NOW + HOUR},"events":[{"type":"page.viewed","time":${NOW + HOUR - 1_000},"data":{"ms":9007199254740993,"p":1.10}},{"type":"page.viewed","id":"x","data":{"ms":"1"}},{"type":"b","userId":"u"}]}`
    const split = splitBody({ contentType: "application/json", header: () => undefined, text: body })
    if (split.kind === "bad") throw new Error(split.detail)
    const answer = await run(Effect.flatMap(make, (accept) => accept(request([], { items: split.items, sentAtMs: split.sentAtMs }))))
    expect(answer).toMatchObject({ received: 3, accepted: 2, duplicate: 0, rejected: 1, failed: 0 })
    expect(answer.results[1]).toEqual({ status: "rejected", id: "x", code: "schema", pointer: "/data/ms", detail: "expected integer, got string", hint: undefined })
    expect(log.control.appends).toBe(1)
    const [first] = answer.results
    if (first?.status !== "accepted") throw new Error("not accepted")
    expect(first.id).toMatch(/^018bcfe5-6800-7[0-9a-f]{3}-[89ab]/)
    const bytes = log.stored[first.partition]?.[Number(first.offset)]
    expect(new TextDecoder().decode(bytes)).toContain(`"data":{"ms":9007199254740993,"p":1.10}`)
    expect(eventAt(bytes)).toMatchObject({ timeMs: NOW - 1_000, originalTimeMs: NOW + HOUR - 1_000, timeFlag: "corrected", receivedAtMs: NOW, schemaVersion: 2, tenantId: "t", partitionKey: `t:${first.id}`, source: "urn:tidemark:key:abc" })
    expect(rejected.entries).toMatchObject([{ tenantId: "t", eventId: "x", eventType: "page.viewed", code: "schema", origin: null, receivedAtMs: NOW }])
  })

  it("answers duplicate within a batch, across requests and after a restart, but not beyond 24 h or under another key", async () => {
    const { log, make } = setUp()
    await run(Effect.gen(function* () {
      const accept = yield* make
      expect(statuses(yield* accept(request([event("1"), event("1"), event("2")])))).toEqual(["accepted", "duplicate", "accepted"])
      expect(statuses(yield* accept(request([event("1"), event("1", { userId: "v" })])))).toEqual(["duplicate", "accepted"])
      expect(statuses(yield* accept(request([event("1")], { backfill: "old" })))).toEqual(["accepted"])
      const restarted = yield* make
      expect(statuses(yield* restarted(request([event("2"), event("3")])))).toEqual(["duplicate", "accepted"])
      yield* TestClock.setTime(NOW + 24 * HOUR + 1)
      expect(statuses(yield* restarted(request([event("1")])))).toEqual(["accepted"])
      expect(statuses(yield* restarted(request([event("1")], { backfill: "old" })))).toEqual(["duplicate"])
    }))
    expect(log.stored[0]).toHaveLength(6)
  })

  it("waits for the append of an equal event and takes its answer", async () => {
    for (const [behaviour, first, second, appends] of [["store", "accepted", "duplicate", 1], ["reject", "failed", "accepted", 2], ["full", "failed", "accepted", 2], ["lost", "failed", "accepted", 2], ["kept", "failed", "accepted", 2]] as const) {
      const { log, make } = setUp()
      await run(Effect.gen(function* () {
        const accept = yield* make
        const gate = yield* Deferred.make<void>()
        const reached = yield* Deferred.make<void>()
        log.control.gate = Deferred.succeed(reached, undefined).pipe(Effect.andThen(Deferred.await(gate)))
        log.control.behaviours.push(behaviour)
        const one = yield* Effect.forkChild(accept(request([event("1")])))
        yield* Deferred.await(reached)
        const other = yield* Effect.forkChild(accept(request([event("1")])))
        for (let i = 0; i < 20; i++) yield* Effect.yieldNow
        expect(log.control.appends).toBe(1)
        expect(other.pollUnsafe()).toBeUndefined()
        yield* Deferred.succeed(gate, undefined)
        expect(statuses(yield* Fiber.join(one)), behaviour).toEqual([first])
        expect(statuses(yield* Fiber.join(other)), behaviour).toEqual([second])
        expect(log.control.appends, behaviour).toBe(appends)
      }))
    }
  })

  it("appends one of equal events once, wherever the requests that bring them give way to each other", async () => {
    for (let operations = YIELD_AFTER_MIN; operations <= 60; operations++) {
      const { log, make } = setUp()
      const answers = await run(Effect.gen(function* () {
        const accept = yield* make
        yield* accept(request([event("loaded")]))
        return yield* Effect.all([1, 2, 3].map(() => accept(request([event("1")]))), { concurrency: "unbounded" })
      }).pipe(Effect.provideService(MaxOpsBeforeYield, operations)))
      expect(answers.flatMap(statuses).toSorted(), `giving way after ${operations} operations`).toEqual(["accepted", "duplicate", "duplicate"])
      expect(log.stored[0], `giving way after ${operations} operations`).toHaveLength(2)
    }
  })

  it("lets nobody wait for a request that was interrupted, wherever it was", async () => {
    let stored = 0
    for (let steps = 0; steps < 200; steps++) {
      const { log, make } = setUp()
      await run(Effect.gen(function* () {
        const accept = yield* make
        yield* accept(request([event("loaded")]))
        const one = yield* Effect.forkChild(Effect.provideService(accept(request([event("1")])), MaxOpsBeforeYield, YIELD_AFTER_MIN))
        for (let i = 0; i < steps; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(one)
        const before = log.stored[0]?.length ?? 0
        stored += before - 1
        expect(statuses(yield* accept(request([event("1")]))), `interrupted after ${steps} steps`).toEqual([before === 1 ? "accepted" : "duplicate"])
      }))
    }
    expect(stored).toBeGreaterThan(0)
    expect(stored).toBeLessThan(200)
  })

  it("fails copies within a batch together with their first, and appends again when asked again", async () => {
    const { log, make } = setUp()
    await run(Effect.gen(function* () {
      const accept = yield* make
      log.control.behaviours.push("full", "reject", "kept")
      const body = request([event("1"), event("1"), { userId: "u" }])
      expect((yield* accept(body)).results).toMatchObject([{ status: "failed", code: "storage-full" }, { status: "failed", code: "storage-full" }, { code: "required" }])
      expect(yield* accept(body)).toMatchObject({ received: 3, failed: 2, rejected: 1, results: [{ code: "log-not-writable" }, { code: "log-not-writable" }, { code: "required" }] })
      expect((yield* accept(body)).results[0]).toMatchObject({ status: "failed", code: "outcome-unknown" })
      expect(statuses(yield* accept(body))).toEqual(["accepted", "duplicate", "rejected"])
    }))
    expect(log.stored[0]).toHaveLength(2)
  })

  it("keeps what it rejected once when a request that failed is sent again, and again when it is sent anew", async () => {
    const { log, rejected, make } = setUp()
    await run(Effect.gen(function* () {
      const accept = yield* make
      const body = request([event("1"), { userId: "u" }, { userId: "u" }])
      log.control.behaviours.push("reject", "lost")
      for (let n = 0; n < 3; n++) yield* accept(body)
      expect(rejected.entries).toHaveLength(2)
      yield* accept(body)
    }))
    expect(rejected.entries).toHaveLength(4)
  })

  it("says which members of an accepted event it has no place for", async () => {
    const { make } = setUp()
    const answer = await run(Effect.flatMap(make, (accept) => accept(request([{ ...event("1"), userId: undefined, user_id: "u", colour: 1 }, event("2")]))))
    expect(answer.results).toMatchObject([{ status: "accepted", hint: "not stored: user_id (did you mean userId?), colour; put what belongs to the event into data" }, { status: "accepted", hint: undefined }])
  })

  it("says of a live event that its time, taken for milliseconds, can only have been meant in seconds", async () => {
    const { make } = setUp()
    const times = [1_772_323_200, -1, 99_999_999_999, 100_000_000_000, "1970-01-21T12:18:43Z"]
    const timed = times.map((time, at) => ({ ...event(`t${at}`), time }))
    const [live, imported] = await run(Effect.flatMap(make, (accept) => Effect.all([accept(request(timed)), accept({ ...request(timed), backfill: "old" })])))
    expect(live?.results.map((result) => (result.status === "accepted" ? result.hint : result))).toEqual([
      "time 1772323200 was taken for 1970-01-21T12:18:43.200Z: numbers are milliseconds, and this looks like seconds",
      "time -1 was taken for 1969-12-31T23:59:59.999Z: numbers are milliseconds, and this looks like seconds",
      "time 99999999999 was taken for 1973-03-03T09:46:39.999Z: numbers are milliseconds, and this looks like seconds", undefined, undefined
    ])
    expect(imported?.results).toMatchObject(times.map(() => ({ status: "accepted", hint: undefined })))
  })

  it("refuses live events it has no room to know, and takes them once the log's clock has left older ones behind", async () => {
    const { log, make } = setUp(1, 16 * 1_024)
    const many = (from: number, count: number) => request(Array.from({ length: count }, (_, index) => event(`e${from + index}`)))
    await run(Effect.gen(function* () {
      const accept = yield* make
      expect(yield* accept(many(0, 768))).toMatchObject({ accepted: 768 })
      expect(yield* Effect.flip(accept(many(768, 1)))).toMatchObject({ _tag: "DedupeFullError", bytesMax: 16_384 })
      yield* TestClock.adjust(25 * HOUR)
      expect(yield* Effect.flip(accept(many(768, 1)))).toMatchObject({ _tag: "DedupeFullError" })
      expect(log.stored[0]).toHaveLength(768)
      yield* log.shape.append([{ partition: 0, key: "", value: encodeHeartbeat(NOW + 25 * HOUR) }])
      yield* TestClock.adjust(11_000)
      expect(yield* accept(many(767, 2))).toMatchObject({ accepted: 2 })
      expect(yield* accept(many(768, 1))).toMatchObject({ duplicate: 1 })
    }))
  })

  it("keeps its state across records that others append in between", async () => {
    const { log, make } = setUp()
    await run(Effect.gen(function* () {
      const accept = yield* make
      yield* accept(request([event("1")]))
      log.store({ partition: 0, key: "", value: encodeHeartbeat(NOW) })
      yield* accept(request([event("2")]))
      log.store({ partition: 0, key: "", value: encodeHeartbeat(NOW) })
      expect(statuses(yield* accept(request([event("1"), event("2"), event("3")])))).toEqual(["duplicate", "duplicate", "accepted"])
      expect(statuses(yield* accept(request([event("3")])))).toEqual(["duplicate"])
      yield* TestClock.setTime(NOW + 24 * HOUR + 1)
      expect(statuses(yield* accept(request([event("2"), event("3")])))).toEqual(["accepted", "accepted"])
    }))
  })

  it("keeps a rejected line of an import once, with its line, however often the import comes", async () => {
    const { log, rejected, make } = setUp()
    const body = `${JSON.stringify(event("1"))}\n\n{"unreadable":"1.2.3.4 - - cut","reason":"not in the combined log format"}\nnot json\n{"type":"a"}\nnot json`
    const split = splitBody({ contentType: "application/x-ndjson", header: () => undefined, text: body, imported: true })
    if (split.kind === "bad") throw new Error(split.detail)
    const lines = request([], { items: split.items, backfill: "may", firstLine: 11 })
    await run(Effect.gen(function* () {
      const accept = yield* make
      expect(statuses(yield* accept(lines))).toEqual(["accepted", "rejected", "rejected", "accepted", "rejected"])
      const restarted = yield* make
      expect(statuses(yield* restarted(lines))).toEqual(["duplicate", "rejected", "rejected", "duplicate", "rejected"])
    }))
    expect(log.stored[0]).toHaveLength(2)
    expect(rejected.entries.map(({ origin, code, detail, body: text }) => [origin, code, detail, text])).toEqual([
      ["may:13", "unreadable", "not in the combined log format", "1.2.3.4 - - cut"],
      ["may:14", "json", 'not valid JSON: character 1: expected a value, got "n"', "not json"],
      ["may:16", "json", 'not valid JSON: character 1: expected a value, got "n"', "not json"]
    ])
    expect(rejected.entries[0]?.entryId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    await run(Effect.flatMap(make, (accept) => accept({ ...lines, backfill: "june" })))
    expect(rejected.entries).toHaveLength(6)
  })

  it("knows duplicates after a restart from stored segments and the log's tail, imports included", async () => {
    const { log, rejected } = setUp()
    const index = makeFakeIndex()
    const make = makeAcceptEvents({ schemas, hashSeed: fakeHashSeed }).pipe(
      Effect.provideService(EventLog, log.shape), Effect.provideService(PartitionIndex, index.shape), Effect.provideService(RejectedLog, rejected.shape)
    )
    const many = (name: string, from: number) => request(Array.from({ length: 1_000 }, (_, i) => event(`${name}${from + i}`)))
    await run(Effect.gen(function* () {
      const accept = yield* make
      yield* accept(request([event("i")], { backfill: "old" }))
      index.control.faults = 1
      for (let n = 0; n < 10; n++) yield* accept(many("a", n * 1_000))
      yield* accept(request([event("tail")]))
      expect(index.segments.map(({ from, to }) => [from, to])).toEqual([[0n, 5_001n], [5_001n, 10_001n]])
      log.control.readsFrom.length = 0
      const restarted = yield* make
      expect(statuses(yield* restarted(request([event("a0"), event("a9999"), event("tail"), event("new")])))).toEqual(["duplicate", "duplicate", "duplicate", "accepted"])
      expect(statuses(yield* restarted(request([event("i"), event("j")], { backfill: "old" })))).toEqual(["duplicate", "accepted"])
      expect(log.control.readsFrom).toEqual([10_001n])
    }))
    expect(log.stored[0]).toHaveLength(10_004)
  })

  it("appends and keeps nothing in a dry run", async () => {
    const { log, rejected, make } = setUp()
    const answer = await run(Effect.flatMap(make, (accept) => accept(request([event("1"), event("1"), {}], { dryRun: true }))))
    expect(statuses(answer)).toEqual(["accepted", "duplicate", "rejected"])
    expect(answer.results[0]).toMatchObject({ offset: undefined })
    expect([log.control.appends, log.stored[0]?.length, rejected.entries.length]).toEqual([0, 0, 0])
  })

  it("rejects a type without schema for a strict tenant, with a hint", async () => {
    const { make } = setUp()
    const answer = await run(Effect.flatMap(make, (accept) => accept(request([{ type: "page.veiwed" }], { strict: true }))))
    expect(answer.results[0]).toMatchObject({ code: "unknown-type", hint: "did you mean page.viewed?" })
  })
})
