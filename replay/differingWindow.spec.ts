/** A differing window seen from its events, against plain counts of the orders it is made of. */
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { createShadow, joinServed } from "./buildGeneration.ts"
import { differingWindow } from "./differingWindow.ts"
import type { DifferingWindow } from "./differingWindow.ts"
import { T0, appendOrders, folded, makeMemory, orders, whileServed } from "./rebuildSpec.ts"

const EVENTS = 400
const WINDOW = { tenantId: "t", resolution: 0 as const, startMs: T0, key: ["s1"] }
/** The numbers of the orders of the window. */
const numbers = Array.from({ length: EVENTS }, (_, number) => number).filter((number) => number * 700 < 60_000 && number % 13 !== 0 && number % 5 === 1)

/** Orders with tests served as generation 1, the other definition beside it; then the window is looked at. */
const look = (other: ProjectionDefinition, { spoil = (_rows: ReturnType<typeof makeMemory>["modelDisk"]["state"]["rows"]): void => {}, window = WINDOW, eventsMax = 500, newGeneration = 2 } = {}): Promise<DifferingWindow> => {
  const memory = makeMemory()
  return memory.run(Effect.gen(function* () {
    yield* appendOrders(0, EVENTS)
    yield* ensureGenerations([orders()])
    yield* whileServed(Effect.gen(function* () {
      yield* createShadow(other, 2)
      yield* joinServed({ projection: "orders", generation: 2 })
      yield* Effect.all([folded(1), folded(2)])
    }))
    yield* Effect.sync(() => spoil(memory.modelDisk.state.rows))
    return yield* differingWindow({ projection: "orders", oldGeneration: 1, newGeneration, window, eventsMax })
  }))
}

const idsOf = ({ events }: DifferingWindow, countedBy: string): readonly string[] => events.filter((one) => one.countedBy === countedBy).map(({ event }) => event.event.id).sort()
const names = (of: readonly number[]): readonly string[] => of.map((number) => `o-${number}`).sort()

describe("a window that two generations have otherwise", () => {
  it("tells which events each side counts, what it makes of them, and the first one at which they part", async () => {
    const found = await look(orders({ version: 2, filter: "event.data.test == false" }))
    const [tests, others] = [numbers.filter((number) => number % 7 === 0), numbers.filter((number) => number % 7 !== 0)]
    expect(tests.length).toBeGreaterThan(1)
    expect([idsOf(found, "old"), idsOf(found, "both"), idsOf(found, "new")]).toEqual([names(tests), names(others), []])
    expect(found.counts).toEqual({ both: others.length, old: tests.length, new: 0 })
    expect([found.old?.["events"], found.new?.["events"], found.old?.["count"]]).toEqual([String(numbers.length), String(others.length), String(numbers.length)])
    expect(Number(found.old?.["amount"]) - Number(found.new?.["amount"])).toBeCloseTo(tests.reduce((sum, number) => sum + (number % 90) + 0.25, 0))
    expect(found.firstDivergingEvent?.id).toBe(names(tests.slice(0, 1))[0])
    expect(found.fault).toBeNull()
  })

  it("of which both count the same events differs in what is made of them", async () => {
    const found = await look(orders({ version: 2, measures: { count: { kind: "count" }, amount: { kind: "sum", of: 'event.data.test ? "0" : event.data.amount' }, buyers: { kind: "uniques", of: "event.subject" } } }))
    expect(found.counts).toEqual({ both: numbers.length, old: 0, new: 0 })
    expect(found.old?.["amount"]).not.toBe(found.new?.["amount"])
    expect(found.firstDivergingEvent?.id).toBe(names(numbers.filter((number) => number % 7 === 0).slice(0, 1))[0])
  })

  it("tells of more events than asked for those first that one side leaves out", async () => {
    const tests = numbers.filter((number) => number % 7 === 0)
    const found = await look(orders({ version: 2, filter: "event.data.test == false" }), { eventsMax: tests.length + 1 })
    expect([idsOf(found, "old"), idsOf(found, "both").length, found.counts.both]).toEqual([names(tests), 1, numbers.length - tests.length])
  })

  it("says what is wrong with rows that are not what their events give, and fails once a generation is gone", async () => {
    const spoiled = await look(orders({ version: 2 }), { spoil: (rows) => rows.forEach((entry, id) => {
      if (entry.lane.generation === 2 && entry.row.resolution === 0 && entry.row.events > 0n) rows.set(id, { ...entry, row: { ...entry.row, fingerprint: entry.row.fingerprint + 1n } })
    }) })
    expect(spoiled).toMatchObject({ old: null, new: null, events: [], fault: expect.stringMatching(/^generation 2: its rows count/) as string })
    await expect(look(orders({ version: 2 }), { newGeneration: 9 })).rejects.toMatchObject({ _tag: "ComparisonGoneError", generation: 9 })
  })

  it("that only one side has holds no events of the other", async () => {
    const found = await look(orders({ version: 2, key: { shop: '"all"' } }))
    expect([found.new, found.counts]).toEqual([null, { both: 0, old: numbers.length, new: 0 }])
  })
})
