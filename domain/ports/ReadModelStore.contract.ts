/** What every read-model store must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { canonicalJson } from "../definitions/canonicalJson.ts"
import { defineProjection } from "../definitions/definition.ts"
import { PAUSED, pauseOf } from "./projectionPause.ts"
import { ReadModelStore } from "./ReadModelStore.ts"
import { declareOutbox } from "./outbox.contract.ts"
import type { KeyCount, LaneCommit, LaneId, LateEntry, ReadModelStoreShape, ReadSnapshot, Row, RowScan, StoredRow } from "./ReadModelStore.ts"

export interface ReadModelStoreHarness {
  /** The same stored data each time it is opened. */
  readonly open: () => Layer.Layer<ReadModelStore, unknown>
  readonly dispose: () => Promise<void>
}

const lane = (number: number): LaneId => ({ projection: "p", generation: 1, lane: number })
const counters = { records: 1n, system: 0n, events: 1n, folded: 1n, held: 0n, duplicate: 0n, deadLettered: 0n, filtered: 0n, late: 0n, applied: 0n }

const row = (over: Partial<Row> = {}): Row => ({
  tenantId: "t", resolution: 0, windowStartMs: 0, keyId: "0".repeat(32), key: ["/"], measures: [new Uint8Array([1, 2])], events: 1n, lateEvents: 0n,
  backfillEvents: 0n, fingerprint: 2n ** 64n - 1n, offsets: [{ partition: 0, min: 0n, max: 2n ** 53n + 1n }], revision: 1n, ...over
})

const commitOf = (number: number, epoch: bigint, from: bigint, to: bigint, over: Partial<LaneCommit> = {}): LaneCommit => ({
  lane: lane(number), epoch, expected: [{ partition: number, nextOffset: from }],
  next: [{ partition: number, nextOffset: to, lastRecordHash: "ab", counters, receivedMaxMs: 5, heartbeatMaxMs: null, tenantMaxMs: new Map([["t", 4]]) }],
  digest: new Uint8Array(4_096).fill(number + 1), rows: [], late: [], duplicates: [], deadLetters: [], keyCounts: [], hints: [], dropBelowMs: null, ...over
})

const late = (offset: bigint, outcome: LateEntry["outcome"], tenantId = "t"): LateEntry => ({
  partition: 0, offset, tenantId, eventId: "e", eventType: "x", eventTimeMs: 1, windowStartMs: 0, key: ["/"], lateByMs: 7, outcome, contribution: { views: "1" }
})

const scan = (store: ReadModelStoreShape, tenantId = "t", fromMs = -1e9, toMs = 1e9, keyId?: string) =>
  Effect.scoped(Effect.gen(function* () {
    const rows: StoredRow[] = []
    const snapshot = yield* store.snapshot
    yield* snapshot.scan({ projection: "p", generation: 1, tenantId, resolution: 0, fromMs, toMs, ...(keyId === undefined ? {} : { keyId }) }, (chunk) => rows.push(...chunk))
    return rows
  }))

/** A store may give every dimension and measure a column of its own, so rows are those of their generation's definition. */
const definitionText = canonicalJson(defineProjection({ name: "p", version: 1, handles: [{ type: "*" }], key: { page: "event.data.page" }, measures: { views: { kind: "count" } } }))

const prepareRecord = (store: ReadModelStoreShape) =>
  store.createGeneration({ projection: "p", generation: 1, definition: definitionText, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }, [{ lane: 0, partitions: [0] }, { lane: 1, partitions: [1] }])

const prepare = (store: ReadModelStoreShape) =>
  Effect.gen(function* () {
    yield* prepareRecord(store)
    yield* store.takeOver(lane(0))
    yield* store.takeOver(lane(1))
  })

/** Declares the suite for one adapter. */
export const readModelStoreContract = (name: string, makeHarness: () => ReadModelStoreHarness): void => {
  const session = (body: (run: <A>(use: (store: ReadModelStoreShape) => Effect.Effect<A, unknown>) => Promise<A>) => Promise<void>) => async () => {
    const harness = makeHarness()
    const run = <A>(use: (store: ReadModelStoreShape) => Effect.Effect<A, unknown>): Promise<A> =>
      Effect.runPromise(Effect.gen(function* () { return yield* use(yield* ReadModelStore) }).pipe(Effect.provide(harness.open())))
    try {
      await run(prepare)
      await body(run)
    } finally {
      await harness.dispose()
    }
  }

  describe(`ReadModelStore on ${name}`, () => {
    it("keeps rows, checkpoint and epoch of a commit, after reopening too", session(async (run) => {
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows: [row()] })]))
      expect(await run((store) => store.readRows(lane(0), [row(), row({ windowStartMs: 60_000 })]))).toEqual([row(), undefined])
      const again = await run((store) => store.takeOver(lane(0)))
      expect(again).toEqual({ lane: lane(0), epoch: 2n, partitions: commitOf(0, 1n, 0n, 3n).next, digest: new Uint8Array(4_096).fill(1) })
    }))

    it("changes nothing at all when one lane of a commit has an older epoch", session(async (run) => {
      await run((store) => store.takeOver(lane(1)))
      const error = await run((store) => Effect.flip(store.commit([commitOf(0, 1n, 0n, 3n, { rows: [row()] }), commitOf(1, 1n, 0n, 3n)])))
      expect(error).toMatchObject({ _tag: "FencedError", lane: 1, epoch: 1n })
      expect(await run(scan)).toEqual([])
      expect((await run((store) => store.takeOver(lane(0)))).partitions[0]?.nextOffset).toBe(0n)
    }))

    it("refuses a commit that starts from other offsets than the stored ones, so no interval is merged twice", session(async (run) => {
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n)]))
      expect(await run((store) => Effect.flip(store.commit([commitOf(0, 1n, 0n, 3n, { rows: [row()] })])))).toMatchObject({ _tag: "FencedError" })
      expect(await run(scan)).toEqual([])
    }))

    it("scans one tenant's windows by time, key and lane, before 1970 too, and nobody else's", session(async (run) => {
      const key = (digit: string) => digit.repeat(32)
      const mine = [row({ windowStartMs: 60_000 }), row({ windowStartMs: -60_000 }), row({ keyId: key("f") }), row()]
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows: [...mine, row({ tenantId: "tt" }), row({ resolution: 1 })] }), commitOf(1, 1n, 0n, 3n, { rows: [row()] })]))
      const found = (await run(scan)).map((found) => [found.windowStartMs, found.keyId[0], found.lane])
      expect(found).toEqual([[-60_000, "0", 0], [0, "0", 0], [0, "0", 1], [0, "f", 0], [60_000, "0", 0]])
      expect(await run((store) => scan(store, "t", 0, 60_000))).toHaveLength(3)
      expect(await run((store) => scan(store, "tt"))).toHaveLength(1)
      expect(await run((store) => scan(store, "nobody"))).toEqual([])
      const places = async (keyId: string) => (await run((store) => scan(store, "t", -60_000, 60_000, keyId))).map((found) => [found.windowStartMs, found.keyId[0], found.lane])
      expect(await places(key("0"))).toEqual([[-60_000, "0", 0], [0, "0", 0], [0, "0", 1]])
      expect(await places(key("f"))).toEqual([[0, "f", 0]])
      expect(await places(key("e"))).toEqual([])
    }))

    it("scans one key's windows as it scans those of all keys, however many there are in a window", session(async (run) => {
      const id = (number: number) => number.toString(16).padStart(2, "0").repeat(16)
      // Window n has the keys that n mod 5 + 1 divides, a third of them in lane 1 too; every seventh window is empty.
      const rows = Array.from({ length: 40 }, (_, window) => Array.from({ length: 60 }, (__, number) => row({ windowStartMs: (window - 20) * 60_000, keyId: id(number), key: [`/${number}`] }))
        .filter((__, number) => window % 7 !== 3 && number % (window % 5 + 1) === 0)).flat()
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows }), commitOf(1, 1n, 0n, 3n, { rows: rows.filter((_, at) => at % 3 === 0) })]))
      const placesOf = (found: readonly StoredRow[]) => found.map(({ windowStartMs, keyId, lane: owner }) => [windowStartMs, keyId, owner])
      for (const [fromMs, toMs] of [[-1e9, 1e9], [-600_000, 600_000]] as const) {
        const all = placesOf(await run((store) => scan(store, "t", fromMs, toMs)))
        for (const number of [0, 1, 12, 30, 58, 59]) expect(placesOf(await run((store) => scan(store, "t", fromMs, toMs, id(number)))), `key ${number}`).toEqual(all.filter(([, keyId]) => keyId === id(number)))
      }
      expect(await run((store) => scan(store, "t", -1e9, 1e9, id(60)))).toEqual([])
    }))

    it("scans only rows whose key has one of the texts asked for, of all keys or of one, and no more of them than asked for", session(async (run) => {
      const pages = ["/a", "/b", "odd \u0000 é\"'{},\\", "/a", "/c"]
      const rows = pages.flatMap((page, at) => [0, 1, 2].map((minute) => row({ windowStartMs: minute * 60_000, keyId: String(at).repeat(32), key: [page] })))
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows }), commitOf(1, 1n, 0n, 3n, { rows: rows.slice(0, 4) })]))
      const find = (more: Partial<RowScan>) => run((store) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => Effect.gen(function* () {
        const found: StoredRow[] = []
        yield* snapshot.scan({ projection: "p", generation: 1, tenantId: "t", resolution: 0, fromMs: 0, toMs: 1e9, ...more }, (chunk) => found.push(...chunk))
        return found.map(({ windowStartMs, keyId, lane: owner }) => `${windowStartMs / 60_000}${keyId[0]}${owner}`)
      }))))
      const all = await find({})
      expect(all).toHaveLength(19)
      const where = (texts: readonly string[]) => ({ where: [{ dimension: 0, in: texts }] })
      expect(await find(where(["/a", "/nowhere"]))).toEqual(all.filter((place) => "03".includes(place[1] ?? "")))
      expect(await find(where([pages[2] ?? ""]))).toEqual(["020", "120", "220"])
      expect(await find(where([]))).toEqual([])
      for (const rowsMax of [0, 1, 7, 19, 20]) expect(await find({ rowsMax }), `${rowsMax} rows`).toEqual(all.slice(0, rowsMax))
      expect(await find({ ...where(["/a"]), rowsMax: 2 })).toEqual(["000", "001"])
      expect(await find({ ...where(["/a"]), keyId: "3".repeat(32), rowsMax: 2 })).toEqual(["030", "130"])
      expect(await find({ ...where(["/b"]), keyId: "3".repeat(32) })).toEqual([])
    }))

    it("visits and drops a lane's rows below an instant, of all tenants and resolutions, with their key counts and nothing else", session(async (run) => {
      const key = (digit: string) => digit.repeat(32)
      const below = [row({ windowStartMs: -60_000 }), row({ tenantId: "tt", resolution: 1, windowStartMs: -3_600_000 }), row({ tenantId: "", resolution: 2, windowStartMs: -86_400_000 }), row({ keyId: key("f"), windowStartMs: -1 })]
      const kept = [row({ tenantId: "tt" }), row({ windowStartMs: 0 })]
      const counts = [{ tenantId: "t", windowStartMs: -60_000, partition: 0, keys: 1 }, { tenantId: "t", windowStartMs: 0, partition: 0, keys: 1 }]
      await run((store) => store.commit([commitOf(0, 1n, 0n, 1n, { rows: [...below, ...kept], keyCounts: counts }), commitOf(1, 1n, 0n, 1n, { rows: [row({ windowStartMs: -60_000 })] })]))
      const visited = (store: ReadModelStoreShape) => Effect.gen(function* () {
        const found: Row[] = []
        yield* store.visitRowsBelow(lane(0), 0, (rows) => void found.push(...rows))
        return found.sort((a, b) => a.windowStartMs - b.windowStartMs)
      })
      expect(await run(visited)).toEqual(below.toSorted((a, b) => a.windowStartMs - b.windowStartMs))
      await run((store) => store.commit([commitOf(0, 1n, 1n, 2n, { dropBelowMs: 0, rows: [row({ keyId: key("a") })] })]))
      expect(await run(visited)).toEqual([])
      expect((await run(scan)).map(({ windowStartMs, keyId, lane: owner }) => [windowStartMs, keyId[0], owner])).toEqual([[-60_000, "0", 1], [0, "0", 0], [0, "a", 0]])
      expect(await run((store) => scan(store, "tt"))).toHaveLength(1)
      expect(await run((store) => store.readKeyCounts(lane(0), counts))).toEqual([counts[1]])
    }))

    it("holds a snapshot on its view while commits go on", session(async (run) => {
      const seen = await run((store) =>
        Effect.scoped(Effect.gen(function* () {
          yield* store.commit([commitOf(0, 1n, 0n, 1n, { rows: [row()] })])
          const before = yield* store.snapshot
          for (let i = 1n; i < 20n; i++) {
            yield* store.commit([commitOf(0, 1n, i, i + 1n, { rows: [row({ revision: i + 1n })] })])
            yield* store.readRows(lane(0), [row()])
          }
          const after = yield* store.snapshot
          const revisions: bigint[] = []
          for (const snapshot of [before, after, before]) yield* snapshot.scan({ projection: "p", generation: 1, tenantId: "t", resolution: 0, fromMs: 0, toMs: 1 }, (rows) => revisions.push(...rows.map((found) => found.revision)))
          const checkpoints = yield* before.checkpoints("p", 1)
          return { revisions, offset: checkpoints[0]?.partitions[0]?.nextOffset }
        })))
      expect(seen).toEqual({ revisions: [1n, 20n, 1n], offset: 1n })
    }))

    it("moves the pointer only from the version expected and answers the stored one otherwise", session(async (run) => {
      expect(await run((store) => store.flip("p", 1, 0))).toEqual({ projection: "p", generation: 1, pointerVersion: 1 })
      expect(await run((store) => Effect.flip(store.flip("p", 1, 0)))).toMatchObject({ _tag: "PointerConflictError", pointerVersion: 1 })
      expect(await run((store) => Effect.flip(store.flip("p", 9, 1)))).toMatchObject({ _tag: "PointerConflictError" })
      expect(await run((store) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointer("p"))))).toMatchObject({ pointerVersion: 1 })
    }))

    it("answers the duplicates of any offset range, whichever flushes entered them", session(async (run) => {
      const duplicate = (offset: bigint, tenantId = "t", partition = 0) => ({ partition, offset, tenantId })
      const entries = [duplicate(1n), duplicate(3n, "u"), duplicate(4n), duplicate(9n, "u"), duplicate(10n), duplicate(11n)]
      await run((store) => store.commit([commitOf(0, 1n, 0n, 5n, { duplicates: entries.slice(0, 3) })]))
      await run((store) => store.commit([commitOf(0, 1n, 5n, 12n, { duplicates: entries.slice(3) }), commitOf(1, 1n, 0n, 12n, { duplicates: [duplicate(4n, "v", 1)] })]))
      const found = await run((store) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => Effect.forEach([[0n, 99n], [2n, 3n], [4n, 9n], [5n, 8n], [11n, 11n], [12n, 99n]] as const, ([min, max]) =>
        snapshot.duplicatesIn({ projection: "p", generation: 1, partition: 0, min, max })))))
      expect(found).toEqual([entries, [entries[1]], [entries[2], entries[3]], [], [entries[5]], []])
    }))

    it("refuses to move the pointer to a generation that is behind in any partition, and follows both sides of a flip", session(async (run) => {
      const second = { projection: "p", generation: 2 }
      const record = { ...second, definition: definitionText, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }
      const following = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.following))
      await run((store) => store.flip("p", 1, 0))
      expect(await run(following)).toEqual([])
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n), commitOf(1, 1n, 0n, 7n)]))
      await run((store) => store.createGeneration(record, [{ lane: 0, partitions: [0] }, { lane: 1, partitions: [1] }]))
      for (const number of [0, 1]) await run((store) => store.takeOver({ ...second, lane: number }))
      await run((store) => store.commit([commitOf(0, 1n, 0n, 4n, { lane: { ...second, lane: 0 } }), commitOf(1, 1n, 0n, 6n, { lane: { ...second, lane: 1 } })]))
      expect(await run((store) => Effect.flip(store.flip("p", 2, 1)))).toMatchObject({ _tag: "TargetBehindError", generation: 2, partition: 1, nextOffset: 6n, activeOffset: 7n })
      expect(await run((store) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.pointer("p"))))).toEqual({ projection: "p", generation: 1, pointerVersion: 1 })
      await run((store) => store.commit([commitOf(1, 1n, 6n, 7n, { lane: { ...second, lane: 1 } })]))
      const handOver = [{ partition: 0, nextOffset: 3n }, { partition: 1, nextOffset: 7n }]
      expect(await run((store) => store.flip("p", 2, 1))).toEqual({ ...second, pointerVersion: 2, handOver })
      expect(await run(following)).toEqual([{ projection: "p", generation: 1 }, second])
      expect(await run((store) => Effect.flip(store.flip("p", 1, 2)))).toMatchObject({ _tag: "TargetBehindError", generation: 1, partition: 0 })
    }))

    it("stores with every move of the pointer, in one transaction, where the generation served until then stood", session(async (run) => {
      const second = { projection: "p", generation: 2 }
      const record = { ...second, definition: definitionText, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }
      const stored = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => Effect.all([snapshot.pointer("p"), snapshot.pointers])))
      const both = (lane: number, from: bigint, to: bigint) => (store: ReadModelStoreShape) => store.commit([commitOf(lane, 1n, from, to), commitOf(lane, 1n, from, to, { lane: { ...second, lane } })])
      await run((store) => store.createGeneration(record, [{ lane: 0, partitions: [0] }, { lane: 1, partitions: [1] }]))
      for (const lane of [0, 1]) await run((store) => store.takeOver({ ...second, lane }))
      await run((store) => store.flip("p", 1, 0))
      expect((await run(stored))[0]).toEqual({ projection: "p", generation: 1, pointerVersion: 1 })
      const stale = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.staleViews))
      const moves = [{ to: 2, offsets: [2n ** 40n, 7n] }, { to: 1, offsets: [2n ** 40n + 1n, 7n] }, { to: 2, offsets: [2n ** 40n + 2n, 7n] }, { to: 1, offsets: [2n ** 40n + 3n, 9n] }] as const
      const before = [0n, 0n]
      for (const [at, { to, offsets }] of moves.entries()) {
        for (const [lane, offset] of offsets.entries()) if (offset > (before[lane] ?? 0n)) await run(both(lane, before[lane] ?? 0n, offset))
        before.splice(0, 2, ...offsets)
        const pointer = { projection: "p", generation: to, pointerVersion: at + 2, handOver: [{ partition: 0, nextOffset: offsets[0] }, { partition: 1, nextOffset: offsets[1] }] }
        expect(await run((store) => store.flip("p", to, at + 1)), `move ${at}`).toEqual(pointer)
        expect(await run(stale), `move ${at}, and nobody reads`).toEqual([])
        // What comes later leaves it alone.
        await run(both(0, before[0] ?? 0n, (before[0] ?? 0n) + 1n))
        before[0] = (before[0] ?? 0n) + 1n
        expect(await run(stored), `move ${at}`).toEqual([pointer, [pointer]])
      }
    }))

    it("has a generation followed until told otherwise, and no unknown one", session(async (run) => {
      const following = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.following))
      const id = { projection: "p", generation: 1 }
      await run((store) => store.follow(id, true))
      await run((store) => store.follow(id, true))
      expect(await run(following)).toEqual([id])
      await run((store) => store.follow(id, false))
      expect(await run(following)).toEqual([])
      expect(await run((store) => Effect.flip(store.follow({ ...id, generation: 9 }, true)))).toMatchObject({ _tag: "GenerationMissingError" })
    }))

    it("drops a generation that is not in use, fences its owner, and never gives its number again", session(async (run) => {
      const id = { projection: "p", generation: 1 }
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, {
        rows: [row(), row({ tenantId: "tt", resolution: 2 })], late: [late(1n, "held")], duplicates: [{ partition: 0, offset: 2n, tenantId: "t" }],
        deadLetters: [{ partition: 0, offset: 0n, tenantId: "t", code: "c", pointer: "" }], keyCounts: [{ tenantId: "t", windowStartMs: 0, partition: 0, keys: 3 }]
      })]))
      await run((store) => store.recordHalt({ ...lane(0), code: "LOG_GAP", detail: "d", atMs: 1 }))
      await run((store) => store.follow(id, true))
      expect(await run((store) => Effect.flip(store.dropGeneration(id)))).toMatchObject({ _tag: "GenerationInUseError" })
      await run((store) => store.follow(id, false))
      await run((store) => Effect.andThen(store.dropGeneration(id), store.dropGeneration(id)))
      expect(await run((store) => Effect.flip(store.commit([commitOf(0, 1n, 3n, 4n)])))).toMatchObject({ _tag: "FencedError" })
      expect(await run((store) => Effect.flip(store.takeOver(lane(0))))).toMatchObject({ _tag: "GenerationMissingError" })
      await run((store) => prepareRecord(store))
      const range = { ...id, partition: 0, min: 0n, max: 9n }
      const left = await run((store) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => Effect.all({
        record: snapshot.generation("p", 1), checkpoints: snapshot.checkpoints("p", 1), late: snapshot.lateIn(range), duplicates: snapshot.duplicatesIn(range),
        dead: snapshot.deadLettersIn(range), halts: snapshot.halts, rows: snapshot.windows({ ...id, tenantId: "tt", resolution: 2, limit: 9 })
      }))))
      expect(left).toMatchObject({ record: { isDropped: true }, checkpoints: [], late: [], duplicates: [], dead: [], halts: [], rows: [] })
      expect(await run(scan)).toEqual([])
      expect(await run((store) => Effect.flip(store.flip("p", 1, 0)))).toMatchObject({ _tag: "PointerConflictError", pointerVersion: 0 })
      expect(await run((store) => Effect.flip(store.follow(id, true)))).toMatchObject({ _tag: "GenerationMissingError" })
    }))

    it("measures what a generation holds and takes, apart from every other one, and nothing of one that is not there", session(async (run) => {
      const sizes = async () => (await run((store) => Effect.all([1, 2].map((generation) => store.generationSize({ projection: "p", generation }))))).map((size) => size && { rows: Number(size.rows), bytes: Number(size.bytes) })
      expect(await sizes()).toMatchObject([{ rows: 0 }, undefined])
      await run((store) => store.createGeneration({ projection: "p", generation: 2, definition: definitionText, definitionHash: "h", createdAtMs: 1, logId: "l", coverage: [] }, [{ lane: 0, partitions: [0] }]))
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows: [...Array.from({ length: 1_000 }, (_, at) => row({ windowStartMs: at * 60_000 })), row({ tenantId: "tt", resolution: 2 })], late: [late(1n, "held")] }), commitOf(1, 1n, 0n, 3n, { rows: [row()] })]))
      const [one, two] = await sizes()
      expect([one?.rows, two?.rows, (one?.bytes ?? 0) > 100_000, (one?.bytes ?? 0) < 1_000_000, (two?.bytes ?? Infinity) < 100_000]).toEqual([1_002, 0, true, true, true])
      expect(await run((store) => store.dropGeneration({ projection: "p", generation: 1 })).then(sizes)).toMatchObject([undefined, { rows: 0 }])
    }))

    it("does not drop the active generation", session(async (run) => {
      await run((store) => store.flip("p", 1, 0))
      expect(await run((store) => Effect.flip(store.dropGeneration({ projection: "p", generation: 1 })))).toMatchObject({ _tag: "GenerationInUseError" })
    }))

    it("pages a tenant's late ledger by position, and applying a held event replaces its entry", session(async (run) => {
      await run((store) => store.commit([commitOf(0, 1n, 0n, 20n, { late: [late(9n, "held"), late(10n, "held"), late(11n, "held", "u")] })]))
      await run((store) => store.commit([commitOf(0, 1n, 20n, 21n, { late: [late(10n, "applied")] })]))
      const page = { projection: "p", generation: 1, tenantId: "t", limit: 10 }
      const read = await run((store) =>
        Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) =>
          Effect.all([snapshot.late(page), snapshot.late({ ...page, after: { partition: 0, offset: 9n } }), snapshot.lateIn({ projection: "p", generation: 1, partition: 0, min: 10n, max: 11n }),
            snapshot.lateIn({ projection: "p", generation: 1, partition: 0, min: 11n, max: (1n << 64n) - 2n })]))))
      expect(read).toEqual([[late(9n, "held"), late(10n, "applied")], [late(10n, "applied")], [late(10n, "applied"), late(11n, "held", "u")], [late(11n, "held", "u")]])
    }))

    declareOutbox(session, commitOf)

    it("names its history once, and the same after reopening", session(async (run) => {
      const name = await run((store) => store.incarnation)
      expect(name).toMatch(/^[a-z0-9]{8,32}$/)
      expect(await run((store) => store.incarnation)).toBe(name)
    }))

    it("reads the partials of all lanes for each key asked for, and the windows of a tenant page by page", session(async (run) => {
      const [low, high] = ["0".repeat(32), "f".repeat(32)]
      const rows = [row({ windowStartMs: -60_000 }), row(), row({ keyId: high }), row({ windowStartMs: 60_000 })]
      await run((store) => store.commit([commitOf(0, 1n, 0n, 3n, { rows: [...rows, row({ tenantId: "tt" }), row({ resolution: 1 })] }), commitOf(1, 1n, 0n, 3n, { rows: [row(), row({ keyId: high, windowStartMs: 120_000 })] })]))
      const page = { projection: "p", generation: 1, tenantId: "t", resolution: 0 as const, limit: 2 }
      const [partials, pages] = await run((store) => Effect.scoped(Effect.gen(function* () {
        const snapshot = yield* store.snapshot
        const first = yield* snapshot.windows(page)
        const second = yield* snapshot.windows({ ...page, after: first[1] ?? row() })
        const third = yield* snapshot.windows({ ...page, after: second[1] ?? row() })
        const asked = [row({ keyId: high }), row(), row({ windowStartMs: 7 }), row({ tenantId: "tt" }), row()]
        return [yield* snapshot.partials("p", 1, asked), [first, second, third]] as const
      })))
      expect(partials.map((found) => found.map(({ lane: number, keyId, tenantId }) => [number, keyId, tenantId]))).toEqual([[[0, high, "t"]], [[0, low, "t"], [1, low, "t"]], [], [[0, low, "tt"]], [[0, low, "t"], [1, low, "t"]]])
      expect(partials[1]).toEqual([{ ...row(), lane: 0 }, { ...row(), lane: 1 }])
      const key = (windowStartMs: number, keyId = low) => ({ tenantId: "t", resolution: 0, windowStartMs, keyId })
      expect(pages).toEqual([[key(-60_000), key(0)], [key(0, high), key(60_000)], [key(120_000, high)]])
    }))

    it("visits one tenant's key counts in one lane by window and partition, in one snapshot", session(async (run) => {
      const count = (windowStartMs: number, partition: number, keys: number, tenantId = "t") => ({ tenantId, windowStartMs, partition, keys })
      const many = Array.from({ length: 2_500 }, (_, at) => count(60_000 * (at + 2), 0, at))
      const scanOf = (number: number, tenantId: string) => ({ ...lane(number), tenantId })
      const [before, after] = await run((store) => Effect.scoped(Effect.gen(function* () {
        yield* store.commit([commitOf(0, 1n, 0n, 1n, { keyCounts: [count(60_000, 2, 1), count(-60_000, 0, 5), count(60_000, 0, 4), count(0, 0, 9, "tt"), ...many] }), commitOf(1, 1n, 0n, 1n, { keyCounts: [count(0, 1, 7)] })])
        const snapshot = yield* store.snapshot
        yield* store.commit([commitOf(0, 1n, 1n, 2n, { keyCounts: [count(60_000, 2, 3)] })])
        const read = (view: ReadSnapshot) => Effect.forEach([scanOf(0, "t"), scanOf(0, "tt"), scanOf(1, "t"), scanOf(1, "tt"), { ...scanOf(0, "t"), generation: 9 }], (wanted) => {
          const found: KeyCount[] = []
          return Effect.as(view.keyCounts(wanted, (counts) => found.push(...counts)), found)
        })
        return [yield* read(snapshot), yield* read(yield* store.snapshot)] as const
      })))
      expect(before).toEqual([[count(-60_000, 0, 5), count(60_000, 0, 4), count(60_000, 2, 1), ...many], [count(0, 0, 9, "tt")], [count(0, 1, 7)], [], []])
      expect(after?.[0]?.slice(0, 3)).toEqual([count(-60_000, 0, 5), count(60_000, 0, 4), count(60_000, 2, 3)])
    }))

    it("keeps key counts by partition and halts until they are cleared", session(async (run) => {
      await run((store) => store.commit([commitOf(0, 1n, 0n, 1n, { keyCounts: [{ tenantId: "t", windowStartMs: 0, partition: 0, keys: 3 }] })]))
      expect(await run((store) => store.readKeyCounts(lane(0), [{ tenantId: "t", windowStartMs: 0 }, { tenantId: "u", windowStartMs: 0 }]))).toEqual([{ tenantId: "t", windowStartMs: 0, partition: 0, keys: 3 }])
      const halts = (store: ReadModelStoreShape) => Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.halts))
      const halt = { ...lane(0), code: "LOG_GAP", detail: "d", atMs: 1 }
      await run((store) => store.recordHalt(halt))
      expect(await run(halts)).toEqual([halt])
      await run((store) => store.clearHalt(lane(0)))
      expect(await run(halts)).toEqual([])
      // A pause belongs to no generation that is there.
      const pause = { ...pauseOf("p"), code: PAUSED, detail: "by me: why", atMs: 2 }
      await run((store) => store.recordHalt(pause))
      await run((store) => store.clearHalt(lane(0)))
      expect(await run(halts)).toEqual([pause])
      await run((store) => store.clearHalt(pauseOf("p")))
      expect(await run(halts)).toEqual([])
    }))
  })
}
