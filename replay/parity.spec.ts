import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import { Extreme } from "@tidemark/domain/measures/extreme"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { buildGeneration, buildProgress, createShadow, joinServed } from "./buildGeneration.ts"
import type { BuildOptions } from "./buildGeneration.ts"
import type { Folding } from "./foldHere.ts"
import { foldHere } from "./foldHere.ts"
import { allow, makePaceMemory } from "./pace.ts"
import { isEqual, parity } from "./parity.ts"
import type { Parity } from "./parity.ts"
import { LANES, T0, appendOrders, folded, makeMemory, orders, whileServed } from "./rebuildSpec.ts"

const EVENTS = 3_000
const SHADOW = { projection: "orders", generation: 2 }
const compare = (differencesMax = 100, tenants: readonly string[] = []) => parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants, differencesMax })

const differencesOf = ({ lists }: Parity) => lists.flatMap(({ differences }) => differences)

const build = (over: Partial<BuildOptions> = {}) => buildGeneration({ id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: 20n, ...over })

const slowed = (recordsPerSecondMax: number) => {
  const pace = makePaceMemory()
  allow(pace, recordsPerSecondMax)
  return pace
}

/** Each lane by somebody else. */
const byTwo = (folding: Folding) => Effect.all(folding.lanes.map((lane) => foldHere({ ...folding, lanes: [lane] })), { concurrency: "unbounded", discard: true })

/** Generation 1 served and up to date, generation 2 built by `how` while events come, joined and level. */
const rebuilt = (definition = orders(), how: Effect.Effect<unknown, unknown, Effect.Services<ReturnType<typeof build>>> = build(), served = orders()) =>
  Effect.gen(function* () {
    yield* appendOrders(0, EVENTS)
    yield* ensureGenerations([served])
    yield* whileServed(Effect.gen(function* () {
      yield* folded(1)
      yield* createShadow(definition, 2)
      const coming = yield* Effect.forkChild(Effect.forEach(Array.from({ length: 10 }, (_, at) => at), (at) => Effect.andThen(appendOrders(EVENTS + at * 50, 50), Effect.sleep(5)), { discard: true }))
      yield* how
      yield* joinServed(SHADOW)
      yield* Fiber.join(coming)
      yield* Effect.all([folded(1), folded(2)])
    }))
  })

/** Orders in the order of receipt, each as `appendOrders` makes it. */
const allOrders = () => Array.from({ length: EVENTS + 500 }, (_, number) => ({ number, id: `o-${number}`, tenantId: number % 13 === 0 ? "other" : "t", key: `s${number % 5}`, timeMs: T0 + number * 700 }))
const testOrders = () => allOrders().filter(({ number }) => number % 7 === 0)

type Rows = ReturnType<typeof makeMemory>["modelDisk"]["state"]["rows"]

const ownRows = (rows: Rows, resolution = 0) => [...rows].filter(([, { lane, row }]) => lane.generation === 2 && row.resolution === resolution)
const change = (rows: Rows, at: number, over: (row: StoredRow) => Partial<StoredRow>): void => {
  const found = ownRows(rows)[at]
  if (found === undefined) throw new RangeError(`no row ${at}`)
  rows.set(found[0], { ...found[1], row: { ...found[1].row, ...over(found[1].row) } })
}

describe("a rebuild of the same definition", () => {
  const ways: readonly (readonly [string, Parameters<typeof rebuilt>[1]])[] = [
    ["by one worker", build()],
    ["by one that has two others fold", build({ fold: byTwo })],
    ["by two workers, a lane each", Effect.all([build({ lanes: [0] }), build({ lanes: [1] })], { concurrency: 2 })],
    ["throttled", build({ pace: slowed(20_000) })],
    ["stopped and begun again", Effect.gen(function* () {
      const stop = yield* Deferred.make<void>()
      expect(yield* build({ stop: Deferred.await(stop), pace: slowed(1_000), progress: ({ processed }) => { if (processed > 0n) Deferred.doneUnsafe(stop, Effect.void) } })).toBe("stopped")
      const { processed, total } = yield* buildProgress(SHADOW, [0, 1])
      expect(processed).toBeGreaterThan(0n)
      expect(processed).toBeLessThan(total)
      expect(yield* build()).toBe("caught up")
    })]
  ]
  for (const [name, how] of ways) {
    it(`equals the live one in every row, counter and digest, built ${name} while events come`, async () => {
      const { run } = makeMemory()
      const found = await run(Effect.andThen(rebuilt(orders(), how), compare()))
      expect(found).toMatchObject({ sameDefinition: true, differ: 0, onlyOld: 0, onlyNew: 0, faults: [], measures: [], lists: [] })
      expect(found.compared).toBeGreaterThan(100)
      expect(isEqual(found)).toBe(true)
    })
  }

  it("names one row that is another one, in a window of whichever tenant", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt())
    const at = ownRows(modelDisk.state.rows).findIndex(([, { row }]) => row.tenantId === "other")
    change(modelDisk.state.rows, at, ({ events }) => ({ events: events + 1n }))
    const found = await run(compare())
    expect(found).toMatchObject({ differ: 1, onlyOld: 0, onlyNew: 0, measures: [{ measure: "events", windows: 1 }], lists: [{ tenantId: "other", counts: { differ: 1, listed: 1 } }] })
    const [difference] = differencesOf(found)
    expect(difference).toMatchObject({ tenantId: "other", cause: "INPUT", firstDivergingEvent: null, noEvent: { code: "ROWS_DIFFER", detail: expect.stringMatching(/^input\/rows differ: generation 2: its rows count \d+ events, the log holds \d+$/) as string } })
    expect(Number(difference?.new?.["events"])).toBe(Number(difference?.old?.["events"]) + 1)
    expect(found.faults).toEqual([expect.stringMatching(/^stored rows of lane \d are not what its digest says$/)])
  })

  it("names a row that is missing and a row that is there twice", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt())
    const rows = ownRows(modelDisk.state.rows)
    const lanesOf = ({ row: { tenantId, windowStartMs, keyId } }: (typeof rows)[number][1]): number => rows.filter(([, { row }]) => row.tenantId === tenantId && row.windowStartMs === windowStartMs && row.keyId === keyId).length
    for (const lanes of [1, 2]) {
      const [name, entry] = rows.find(([, one]) => lanesOf(one) === lanes) ?? []
      if (name === undefined || entry === undefined) throw new RangeError(`no window of ${lanes} lanes`)
      const { windowStartMs: startMs, key, lane } = entry.row
      modelDisk.state.rows.delete(name)
      const missing = await run(compare())
      expect(missing).toMatchObject(lanes === 1 ? { onlyOld: 1, differ: 0, onlyNew: 0 } : { onlyOld: 0, differ: 1, onlyNew: 0 })
      expect(differencesOf(missing)).toMatchObject([{ startMs, key, noEvent: { code: "ROWS_DIFFER", detail: `input/rows differ: generation 2: it has no row of lane ${lane}` } }])
      modelDisk.state.rows.set(name, entry)
      expect(isEqual(await run(compare()))).toBe(true)
      if (lanes === 2) continue
      const twin = { ...entry.row, lane: (lane + 1) % LANES }
      modelDisk.state.rows.set("twin", { lane: { ...entry.lane, lane: twin.lane }, row: twin })
      const found = await run(compare())
      expect(found).toMatchObject({ onlyOld: 0, differ: 1, onlyNew: 0 })
      const twice = new RegExp(`^input/rows differ: generation 1: it has no row of lane ${twin.lane}; generation 2: its rows count \\d+ events, the log holds \\d+$`)
      expect(differencesOf(found)).toMatchObject([{ startMs, key, noEvent: { code: "ROWS_DIFFER", detail: expect.stringMatching(twice) as string } }])
      modelDisk.state.rows.delete("twin")
    }
  })

  it("names two rows whose values were swapped", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt())
    const rows = modelDisk.state.rows
    const [first, second] = [ownRows(rows)[0]?.[1].row, ownRows(rows)[1]?.[1].row]
    if (first === undefined || second === undefined) throw new RangeError("no rows")
    change(rows, 0, () => ({ measures: second.measures }))
    change(rows, 1, () => ({ measures: first.measures }))
    const found = await run(compare())
    expect(found).toMatchObject({ differ: 2, measures: expect.arrayContaining([{ measure: "amount", windows: 2 }]) as object })
    // The definition is the same: no other logic can be the cause.
    expect(differencesOf(found)).toMatchObject(Array(2).fill({ cause: "INPUT", noEvent: { code: "ROWS_DIFFER", detail: expect.stringMatching(/^input\/rows differ: generation 2: measure (amount|buyers|count) is not what its events give$/) as string } }))
  })

  it("names a row that cannot be read, beside all others", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt())
    change(modelDisk.state.rows, 2, ({ measures }) => ({ measures: measures.map((bytes, at) => (at === 0 ? new Uint8Array([255, 255, 255]) : bytes)) }))
    const found = await run(compare())
    expect(found).toMatchObject({ differ: 1, measures: [{ measure: "amount", windows: 1 }], faults: [expect.stringContaining("not what its digest says")] })
    expect(differencesOf(found)[0]?.new).toMatchObject({ amount: "unreadable" })
  })

  it("is not compared while it stands at another position", async () => {
    const { run } = makeMemory()
    const error = await run(Effect.gen(function* () {
      yield* appendOrders(0, 100)
      yield* ensureGenerations([orders()])
      yield* createShadow(orders(), 2)
      yield* whileServed(folded(1))
      return yield* Effect.flip(compare())
    }))
    expect(error).toMatchObject({ _tag: "NotAtBarrierError", newOffset: 0n })
  })
})

describe("a rebuild of another definition", () => {
  it("lists exactly the windows in which the mended filter counts other events, cause INPUT", async () => {
    const { run, modelDisk, logDisk } = makeMemory()
    await run(rebuilt(orders({ version: 2, filter: "!event.data.test" })))
    const found = await run(compare(10_000))
    const counted = (generation: number) => new Map([...modelDisk.state.rows.values()].filter(({ lane }) => lane.generation === generation).map(({ row }) => row)
      .reduce((sums, row) => sums.set(`${row.tenantId} ${row.resolution} ${row.windowStartMs} ${row.key[0]}`, (sums.get(`${row.tenantId} ${row.resolution} ${row.windowStartMs} ${row.key[0]}`) ?? 0n) + row.events), new Map<string, bigint>()))
    const [old, now] = [counted(1), counted(2)]
    const expected = [...old].filter(([name, events]) => now.get(name) !== events).map(([name]) => name).sort()
    const differences = differencesOf(found)
    expect(differences.map(({ tenantId, resolution, startMs, key }) => `${tenantId} ${resolution} ${startMs} ${key[0]}`).sort()).toEqual(expected)
    expect(expected.length).toBeGreaterThan(10)
    expect(differences.every(({ cause }) => cause === "INPUT")).toBe(true)
    expect(found).toMatchObject({ sameDefinition: false, faults: [], differ: expected.length - found.onlyOld, sample: { seed: 0, skipped: 0, differing: [] } })
    // 30 minutes and 30 or fewer hours and days of two tenants and five shops.
    expect(found.sample?.windows).toBeGreaterThan(40)
    for (const difference of differences) {
      // The first test order of the window, in the order of receipt, is counted by the old definition only.
      const first = testOrders().find(({ tenantId, key, timeMs }) => tenantId === difference.tenantId && key === difference.key[0] && windowStart(timeMs, RESOLUTIONS[difference.resolution].sizeMs) === difference.startMs)
      expect(difference, JSON.stringify(difference)).toMatchObject({ noEvent: null, firstDivergingEvent: { id: first?.id, type: "order" } })
      const event = difference.firstDivergingEvent
      expect(Number(event?.old["events"])).toBe(Number(event?.new["events"]) + 1)
      expect(event?.old).toHaveProperty("amount")
      expect(new TextDecoder().decode(logDisk.partitions[event?.partition ?? -1]?.records[Number(event?.offset)])).toContain(String(first?.id))
    }
    const bounded = await run(parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 10_000, searchMax: { windows: 8, records: 1_000_000n } }))
    expect(bounded.lists.map((list) => list.differences.filter(({ noEvent }) => noEvent?.code !== "NOT_SEARCHED").length)).toEqual([4, 4])
    expect(differencesOf(bounded).every(({ firstDivergingEvent, noEvent }) => (firstDivergingEvent === null) !== (noEvent === null))).toBe(true)
    const cut = await run(compare(7))
    expect({ ...cut, lists: [] }).toEqual({ ...found, lists: [] })
    expect(differencesOf(cut)).toHaveLength(7)
    for (const [at, list] of cut.lists.entries()) {
      // A tenant with many differences leaves room for the other.
      expect(list.differences.length).toBeGreaterThan(2)
      expect(list).toEqual({ ...found.lists[at], counts: { ...found.lists[at]?.counts, listed: list.differences.length }, differences: found.lists[at]?.differences.slice(0, list.differences.length) })
    }
  })

  it("says LOGIC where the same events give another value, and which measures only one of them has", async () => {
    const { run } = makeMemory()
    await run(rebuilt(orders({ version: 2, measures: { count: { kind: "count" }, amount: { kind: "max", of: "event.data.amount" }, orders: { kind: "count" } } })))
    const found = await run(compare(10_000))
    expect(found).toMatchObject({ addedMeasures: ["orders"], removedMeasures: ["buyers"], onlyOld: 0, onlyNew: 0, faults: [] })
    expect(found.differ).toBeGreaterThan(0)
    for (const { firstDivergingEvent: first, noEvent } of differencesOf(found)) {
      // The sum is no longer the largest amount from the second on that is more than nothing.
      expect(noEvent).toBeNull()
      expect(Number(first?.old["amount"])).toBeGreaterThan(Number(first?.new["amount"]))
      expect(Object.keys(first?.old ?? {})).toEqual(["amount"])
    }
    expect(differencesOf(found).every(({ cause }) => cause === "LOGIC")).toBe(true)
    expect(found.measures).toEqual([{ measure: "amount", windows: found.differ }])
  })
})

describe("a rebuild with a longer retention", () => {
  it("has windows again that the old one has dropped, and is at fault in none of them", async () => {
    const { run } = makeMemory()
    const [short, long] = [1, 9].map((retentionDays) => orders({ version: retentionDays, retentionDays }))
    await run(rebuilt(long, Effect.andThen(appendOrders(400_000, 60), build()), short))
    const found = await run(compare())
    expect(found).toMatchObject({ onlyOld: 0, differ: 0, faults: [] })
    expect(found.onlyNew).toBeGreaterThan(100)
  })
})

describe("a rebuild that mends what could not be folded", () => {
  it("folds what was dead, and names the first such event of each window", async () => {
    const { run } = makeMemory()
    // Orders of a quarter are dead under the served definition, and count under the mended one.
    const served = orders({ measures: { amount: { kind: "sum", of: "event.data.amount == '0.25' ? null : event.data.amount", required: true } } })
    await run(rebuilt(orders({ version: 2, measures: { amount: { kind: "sum", of: "event.data.amount" } } }), build(), served))
    const found = await run(compare(10_000))
    expect(found).toMatchObject({ sameDefinition: false, onlyOld: 0, faults: [], sample: { differing: [] } })
    expect(found.differ).toBeGreaterThan(10)
    for (const difference of differencesOf(found)) {
      const first = allOrders().find(({ number, tenantId, key, timeMs }) => number % 90 === 0 && tenantId === difference.tenantId && key === difference.key[0] && windowStart(timeMs, RESOLUTIONS[difference.resolution].sizeMs) === difference.startMs)
      expect(difference.firstDivergingEvent?.id, JSON.stringify(difference)).toBe(first?.id)
    }
  })
})

describe("a generation that is not what its definition says", () => {
  /** Generation 2 is built with `built` and says afterwards that it was built with `said`. */
  const pretending = async (built: Parameters<typeof orders>[0], said: Parameters<typeof orders>[0]) => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt(orders({ version: 2, ...built })))
    const [name, record] = [...modelDisk.state.generations].find(([, { generation }]) => generation === 2) ?? []
    if (name === undefined || record === undefined) throw new RangeError("no generation 2")
    const definition = orders({ version: 3, ...said })
    modelDisk.state.generations.set(name, { ...record, definition: canonicalJson(definition), definitionHash: definitionHash(definition) })
    return run(compare(10_000))
  }

  it("has its windows named, as faults that no note accepts, and the events that it leaves out", async () => {
    const found = await pretending({ filter: "!event.data.test" }, {})
    expect(found.sameDefinition).toBe(false)
    const reasons = differencesOf(found).map(({ noEvent }) => noEvent)
    expect(reasons.filter((reason) => reason?.code !== "ROWS_DIFFER")).toEqual([])
    const details = reasons.map((reason) => reason?.detail)
    // A test order within the offsets of a window is found there; one before or after them is missing beside the old side.
    expect(details).toContainEqual(expect.stringMatching(/^input\/rows differ: generation 2: its rows count \d+ events, the log holds \d+$/))
    expect(details).toContainEqual(expect.stringMatching(/^input\/rows differ: generation 2 leaves out event o-\d+ \(partition \d, offset \d+\), which its definition counts here$/))
    expect(found.faults[0]).toMatch(/^(minute|hour|day) 2023-\S+, key \["s\d"\] of (t|other): input\/rows differ: generation 2/)
    expect(found.faults.length).toBeGreaterThan(1)
    expect(found.sample?.differing[0]).toMatch(/^orders generation 2, (minute|hour|day) 2023-\S+, key \["s\d"\] of (t|other): \d+ events are counted, the log holds \d+$/)
    expect(found.faults).toContain(found.sample?.differing[0])
  })

  it("is found by the sample where nothing differs from the old one, and chosen anew by another seed", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt(orders({ version: 2, measures: { ...orders().measures, largest: { kind: "max", of: "event.data.amount" } } })))
    const [first, second] = [await run(compare()), await run(parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 1, seed: 5 }))]
    expect(first).toMatchObject({ differ: 0, onlyOld: 0, onlyNew: 0, faults: [], addedMeasures: ["largest"], sample: { differing: [] } })
    expect(second.sample).toMatchObject({ seed: 5, differing: [] })
    // A measure that only the new definition has is seen by no comparison: every row of it is made wrong.
    for (let at = 0; at < ownRows(modelDisk.state.rows).length; at++) change(modelDisk.state.rows, at, ({ measures }) => ({ measures: measures.map((bytes, index) => (index === 3 ? new Extreme("max").encode() : bytes)) }))
    const found = await run(compare())
    expect(found).toMatchObject({ differ: 0, onlyOld: 0, onlyNew: 0 })
    expect(found.sample?.differing.some((text) => text.includes("largest"))).toBe(true)
    expect(isEqual(found)).toBe(false)
  })

  it("has a measure named that it holds otherwise", async () => {
    const found = await pretending({ measures: { amount: { kind: "sum", of: "event.data.amount" }, count: { kind: "sum", of: "event.data.amount" } } }, { measures: { amount: { kind: "sum", of: "event.data.amount" }, count: { kind: "sum", of: "event.data.amount", where: "event.data.test" } } })
    expect(differencesOf(found)[0]?.noEvent).toEqual({ code: "ROWS_DIFFER", detail: "input/rows differ: generation 2: measure count is not what its events give" })
    expect(isEqual(found)).toBe(false)
  })
})

describe("a cut-over", () => {
  it("is refused while the new generation is behind, and moves the pointer and back once it follows", async () => {
    const { run } = makeMemory()
    const seen = await run(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* appendOrders(0, 400)
      yield* ensureGenerations([orders()])
      return yield* whileServed(Effect.gen(function* () {
        yield* folded(1)
        yield* createShadow(orders(), 2)
        const behind = yield* Effect.flip(store.flip("orders", 2, 1))
        yield* build()
        yield* joinServed(SHADOW)
        const there = yield* store.flip("orders", 2, 1)
        yield* appendOrders(400, 200)
        yield* Effect.all([folded(1), folded(2)])
        const back = yield* store.flip("orders", 1, 2)
        return { behind, there, back, equal: isEqual(yield* compare()) }
      }))
    }))
    expect(seen).toMatchObject({ behind: { _tag: "TargetBehindError" }, there: { generation: 2, pointerVersion: 2 }, back: { generation: 1, pointerVersion: 3 }, equal: true })
  })

  it("finds the generation halted that cannot be built, and says why", async () => {
    const { run } = makeMemory()
    const error = await run(Effect.gen(function* () {
      yield* appendOrders(0, 10)
      const store = yield* ReadModelStore
      yield* store.createGeneration({ ...SHADOW, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: "log-1", coverage: [] }, [{ lane: 0, partitions: [0, 2] }, { lane: 1, partitions: [1, 3] }])
      return yield* Effect.flip(build({ lagMax: 0n }))
    }))
    expect(error).toMatchObject({ _tag: "BuildHaltedError", code: "DEFINITION_CHANGED" })
  })
})
