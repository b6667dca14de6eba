/** Rows of a finished generation made wrong in the real store, through its own commits: is each found and named? */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { RowKey, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { buildGeneration, createShadow, joinServed } from "@tidemark/replay/buildGeneration"
import { isEqual, parity } from "@tidemark/replay/parity"
import type { Parity } from "@tidemark/replay/parity"
import { LANES, appendOrders, folded, orders, whileServed } from "@tidemark/replay/rebuildSpec"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const EVENTS = 600
const OLD = { projection: "orders", generation: 1 }
const SHADOW = { projection: "orders", generation: 2 }
const MINUTE = 0
const PAGE = 1_000

const differencesOf = ({ lists }: Parity) => lists.flatMap(({ differences }) => differences)

/** Parity while nothing runs. */
const compare = parity({ projection: "orders", oldGeneration: 1, newGeneration: 2, tenants: [], differencesMax: 100 })

/** Generation 1 served, generation 2 built beside it, both at the end of the log; then everything ends. */
const built = Effect.gen(function* () {
  yield* appendOrders(0, EVENTS)
  yield* ensureGenerations([orders()])
  yield* whileServed(Effect.gen(function* () {
    yield* folded(1)
    yield* createShadow(orders(), 2)
    yield* buildGeneration({ id: SHADOW, lanes: [0, 1], stop: Effect.never, lagMax: 0n })
    yield* joinServed(SHADOW)
    yield* folded(2)
  }))
})

/** Minute rows of one tenant's windows, window by window, a row for each lane. */
const windowsOf = (tenantId: string) => Effect.scoped(Effect.gen(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const keys: readonly RowKey[] = yield* snapshot.windows({ ...SHADOW, tenantId, resolution: MINUTE, limit: PAGE })
  return yield* snapshot.partials(SHADOW.projection, SHADOW.generation, keys)
}))

/** Commits rows as if a flush had made them, beside an unchanged checkpoint and digest. */
const plant = Effect.fn("plant")(function* (rows: readonly StoredRow[]) {
  const store = yield* ReadModelStore
  for (const number of new Set(rows.map(({ lane }) => lane))) {
    const { lane, epoch, partitions, digest } = yield* store.takeOver({ ...SHADOW, lane: number })
    const expected = partitions.map(({ partition, nextOffset }) => ({ partition, nextOffset }))
    yield* store.commit([{
      lane, epoch, expected, next: partitions, digest, rows: rows.filter((row) => row.lane === number).map(({ lane: _lane, ...row }) => ({ ...row, revision: row.revision + 1n })),
      dropBelowMs: null, late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: []
    }])
  }
})

const faultOf = (lane: number) => `stored rows of lane ${lane} are not what its digest says`
const rowsDiffer = (detail: RegExp) => ({ firstDivergingEvent: null, noEvent: { code: "ROWS_DIFFER", detail: expect.stringMatching(detail) as string } })

type Engines = EventLog | ReadModelStore | PartitionIndex

/** `enginesIn` answers the engines of the mode, the same for the same directory. */
export const plantedRows = (name: string, enginesIn: (directory: string) => Layer.Layer<Engines, unknown>): void => {
  describe(`rows planted in the shadow, ${name}`, () => {
    let directory = ""
    const run = <A>(program: Effect.Effect<A, unknown, Engines>): Promise<A> => Effect.runPromise(program.pipe(Effect.provide(enginesIn(directory))))
    /** Plants what `change` makes of the tenant's windows, looks, and puts back what was there. */
    const withPlanted = (tenantId: string, change: (windows: readonly (readonly StoredRow[])[]) => { readonly planted: readonly StoredRow[]; readonly back: readonly StoredRow[] }, look: (found: Parity) => void) =>
      run(Effect.gen(function* () {
        const { planted, back } = change(yield* windowsOf(tenantId))
        yield* plant(planted)
        const found = yield* compare
        yield* Effect.sync(() => look(found))
        yield* plant(back)
      }))
    beforeAll(async () => {
      directory = mkdtempSync(join(tmpdir(), "tidemark-planted-"))
      await run(built)
    })
    afterAll(() => rmSync(directory, { recursive: true, force: true }))

    it("is equal to the served one in every row before", async () => {
      const found = await run(compare)
      expect(isEqual(found)).toBe(true)
      expect(found.compared).toBeGreaterThan(50)
      expect(await run(Effect.scoped(Effect.flatMap(ReadModelStore, (store) => Effect.flatMap(store.snapshot, (snapshot) => snapshot.checkpoints(OLD.projection, OLD.generation)))))).toHaveLength(LANES)
    })

    it("finds one row that is another one, of whichever tenant, and names its window and figures", () => withPlanted("other", (windows) => {
      const row = windows[2]?.[0]
      if (row === undefined) throw new RangeError("no row")
      return { planted: [{ ...row, events: row.events + 1n }], back: [row] }
    }, (found) => {
      const [difference] = differencesOf(found)
      expect(found).toMatchObject({ differ: 1, onlyOld: 0, onlyNew: 0, measures: [{ measure: "events", windows: 1 }], faults: [expect.stringMatching(/^stored rows of lane \d/)] })
      expect(difference).toMatchObject({ tenantId: "other", cause: "INPUT", ...rowsDiffer(/^input\/rows differ: generation 2: its rows count \d+ events, the log holds \d+$/) })
      expect(Number(difference?.new?.["events"])).toBe(Number(difference?.old?.["events"]) + 1)
    }))

    it("finds two rows whose values were swapped, and names both and the measures", async () => {
      let swapped: readonly StoredRow[] = []
      await withPlanted("t", (windows) => {
        const rows = windows.flat()
        const first = rows[0]
        const second = rows.find((row) => row.lane === first?.lane && row.keyId !== first.keyId)
        if (first === undefined || second === undefined) throw new RangeError("no rows")
        swapped = [first, second]
        return { planted: [{ ...first, measures: second.measures }, { ...second, measures: first.measures }], back: swapped }
      }, (found) => {
        expect(found).toMatchObject({ differ: 2, onlyOld: 0, onlyNew: 0, faults: [faultOf(swapped[0]?.lane ?? -1)] })
        expect(differencesOf(found).map(({ startMs, key }) => `${startMs} ${key.join()}`).sort()).toEqual(swapped.map(({ windowStartMs, key }) => `${windowStartMs} ${key.join()}`).sort())
        for (const difference of differencesOf(found)) expect(difference).toMatchObject({ cause: "INPUT", ...rowsDiffer(/generation 2: measure (amount|buyers|count) is not what its events give$/) })
      })
    })

    // The last one: a row cannot be taken out again.
    it("finds a row that is there twice, and names its lane", async () => {
      await run(Effect.gen(function* () {
        const row = (yield* windowsOf("other")).find((rows) => rows.length === 1)?.[0]
        if (row === undefined) throw new RangeError("no window of one lane")
        const twin = { ...row, lane: (row.lane + 1) % LANES }
        yield* plant([twin])
        const found = yield* compare
        expect(found).toMatchObject({ differ: 1, onlyOld: 0, onlyNew: 0, faults: [faultOf(twin.lane)] })
        expect(differencesOf(found)).toMatchObject([{ tenantId: "other", startMs: row.windowStartMs, key: row.key, ...rowsDiffer(new RegExp(`^input/rows differ: generation 1: it has no row of lane ${twin.lane}; generation 2: its rows count`)) }])
      }))
    })
  })
}
