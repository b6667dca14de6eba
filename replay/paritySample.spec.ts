import { Extreme } from "@tidemark/domain/measures/extreme"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { buildGeneration, createShadow, joinServed } from "./buildGeneration.ts"
import { parity } from "./parity.ts"
import { SampleChoice } from "./paritySample.ts"
import type { SampleBounds } from "./paritySample.ts"
import { appendOrders, folded, makeMemory, orders, whileServed } from "./rebuildSpec.ts"

const SHADOW = { projection: "orders", generation: 2 }
const CHANGED = orders({ version: 2, measures: { ...orders().measures, largest: { kind: "max", of: "event.data.amount" } } })

/** Generation 2 with another definition, level with generation 1. */
const rebuilt = Effect.gen(function* () {
  yield* appendOrders(0, 1_500)
  yield* ensureGenerations([orders()])
  yield* whileServed(Effect.gen(function* () {
    yield* folded(1)
    yield* createShadow(CHANGED, 2)
    yield* buildGeneration({ id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: 20n })
    yield* joinServed(SHADOW)
    yield* Effect.all([folded(1), folded(2)])
  }))
})

const compare = (sampleBounds: SampleBounds) => parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 10, sampleBounds })

const bounds = (recordsMax: bigint, all: bigint): SampleBounds => ({ window: { recordsMax, workMsMax: 10_000 }, recordsMax: all })
const ROOMY = bounds(5_000_000n, 10_000_000n)

describe("the sample of another definition", () => {
  it("is the whole generation where no chosen window is within the bounds, and finds there what is wrong", async () => {
    const { run, modelDisk } = makeMemory()
    await run(rebuilt)
    const rows = modelDisk.state.rows
    const own = [...rows].filter(([, { lane }]) => lane.generation === 2)
    for (const small of [bounds(0n, 10_000_000n), bounds(5_000_000n, 0n)]) {
      const found = await run(compare(small))
      expect(found).toMatchObject({ sameDefinition: false, faults: [], sample: { windows: 0, wholeRows: own.length, differing: [] } })
      expect(found.sample?.skipped).toBeGreaterThan(30)
    }
    // A measure that only the new definition has is seen by no comparison of the two.
    const [name, entry] = own[0] ?? []
    if (name === undefined || entry === undefined) throw new RangeError("no rows")
    rows.set(name, { ...entry, row: { ...entry.row, measures: entry.row.measures.map((bytes, at) => (at === 3 ? new Extreme("max").encode() : bytes)) } })
    const { sample, faults } = await run(compare(bounds(5_000_000n, 0n)))
    expect(sample?.differing[0]).toMatch(/^orders generation 2, recomputed whole: \d+ rows and ledger entries are not what the log gives$/)
    expect(faults).toEqual(expect.arrayContaining([...(sample?.differing ?? [])]))
  })

  it("keeps to the bound of all windows together, and recomputes those that span fewest records first", async () => {
    const { run } = makeMemory()
    await run(rebuilt)
    const all = await run(compare(ROOMY))
    const some = await run(compare(bounds(5_000_000n, 60n)))
    expect(all.sample).toMatchObject({ skipped: 0, wholeRows: null })
    expect(some).toMatchObject({ faults: [], sample: { wholeRows: null, differing: [] } })
    expect(some.sample?.windows).toBeGreaterThan(0)
    expect((some.sample?.windows ?? 0) + (some.sample?.skipped ?? 0)).toBe(all.sample?.windows)
    expect(some.sample?.skipped).toBeGreaterThan(0)
  })

  it("says so where the log has lost the events of every chosen window", async () => {
    const { run, logDisk } = makeMemory()
    await run(rebuilt)
    for (const partition of logDisk.partitions) {
      partition.start += BigInt(partition.records.length)
      partition.records = []
    }
    expect((await run(compare(ROOMY))).faults).toEqual([expect.stringMatching(/^nothing is proved: the log no longer holds the events of any of the \d+ windows that were chosen$/)])
  })
})

describe("the choice of windows", () => {
  const row = (at: number, span: bigint): StoredRow => ({
    tenantId: "t", resolution: 0, windowStartMs: at * 60_000, keyId: "k", key: [], measures: [], events: 1n, lateEvents: 0n, backfillEvents: 0n, fingerprint: 0n, offsets: [{ partition: 0, min: 0n, max: span - 1n }], revision: 1n, lane: 0
  })

  it("always holds the ten that span fewest records, wherever they stand", () => {
    const choice = new SampleChoice(3)
    for (let at = 0; at < 5_000; at++) choice.visit("p", 1, row(at, at % 500 === 7 ? 2n : 1_000_000n))
    const chosen = choice.all()
    expect(chosen.slice(0, 10).map(({ span }) => span)).toEqual(Array(10).fill(2n))
    expect(chosen.length).toBeGreaterThanOrEqual(38)
  })
})

