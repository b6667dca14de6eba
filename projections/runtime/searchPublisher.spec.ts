import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { SEARCH_CONSUMER, WindowIndex } from "@tidemark/domain/ports/WindowIndex"
import type { WindowIndexShape } from "@tidemark/domain/ports/WindowIndex"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { GrowingModel, growingRecord, owedDocuments } from "../simulation/growingModel.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "../simulation/memoryReadModelStore.ts"
import { createMemoryWindowDisk, documentName, memoryWindowIndex } from "../simulation/memoryWindowIndex.ts"
import { SeededRandom } from "../simulation/random.ts"
import { makeSearchPublisher } from "./searchPublisher.ts"
import { documentModel, windowDocument } from "./windowDocument.ts"

const LANES = [0, 1]
const DAY_MS = 86_400_000
const record = growingRecord

const makeWorld = () => {
  const models = createMemoryModelDisk()
  const growing = new GrowingModel()
  const begin = Effect.gen(function* () {
    const store = yield* ReadModelStore
    yield* growing.begin(store)
    return { store, index: yield* WindowIndex }
  })
  return { models, index: createMemoryWindowDisk(), growing, begin }
}

type World = ReturnType<typeof makeWorld>

const inWorld = <A>(world: World, use: Effect.Effect<A, unknown, ReadModelStore | WindowIndex>, wrap: (index: WindowIndexShape) => WindowIndexShape = (index) => index): Promise<A> => {
  const index = Layer.effect(WindowIndex, Effect.map(WindowIndex, wrap)).pipe(Layer.provide(memoryWindowIndex(world.index)))
  return Effect.runPromise(use.pipe(Effect.provide(Layer.mergeAll(memoryReadModelStore(world.models), index)), Effect.provide(TestClock.layer())))
}

const start = (options: Partial<Parameters<typeof makeSearchPublisher>[0]> = {}) => Effect.gen(function* () {
  const publisher = makeSearchPublisher({ tenants: Effect.succeed([]), ...options })
  const fiber = yield* Effect.forkChild(publisher.run, { startImmediately: true })
  return { publisher, stop: Fiber.interrupt(fiber) }
})

const text = (value: unknown): string => JSON.stringify(value, (_name, part: unknown) => (typeof part === "bigint" ? `${part}n` : part)) ?? ""

/** What of the store is not in the index, or other in it. */
const differences = ({ models, index }: World): readonly string[] => {
  const stored = index.images.get(`clicks/1/${models.incarnation}`)?.documents ?? new Map<string, never>()
  const owed = owedDocuments(models)
  const found = owed.filter((document) => text(stored.get(documentName(document))) !== text(document)).map(documentName)
  return stored.size === owed.length ? found : [...found, `${stored.size} documents for ${owed.length} windows`]
}

/** Fails an acknowledgement that passes a change the index does not hold yet. */
const guarded = (world: World, violations: string[]): (() => void) => {
  const { models, index } = world
  const unresolved = () => {
    const cursor = models.state.outboxCursors.get(SEARCH_CONSUMER) ?? 0n
    const stored = index.images.get(`clicks/1/${models.incarnation}`)?.documents
    return [...hinted].filter(([, { sequence }]) => sequence <= cursor).filter(([name, { revision }]) => (stored?.get(name)?.revision ?? 0n) < revision)
  }
  /** The highest sequence and merged revision of each window, as committed. */
  const hinted = new Map<string, { readonly sequence: bigint; readonly revision: bigint }>()
  models.onCommit = (commits) => {
    for (const { hints } of commits) {
      for (const hint of hints) {
        const revision = [...models.state.rows.values()].filter(({ row }) => documentName(row) === documentName(hint)).reduce((sum, { row }) => sum + row.revision, 0n)
        hinted.set(documentName(hint), { sequence: models.state.sequence, revision })
      }
    }
  }
  return () => violations.push(...unresolved().map(([name]) => `the cursor passed ${name}`))
}

interface Weather {
  readonly wrap?: (index: WindowIndexShape) => WindowIndexShape
}

/** Commits, faults, kills and rests at random; answers what is wrong at the end and at every look. */
const runSeed = async (seed: number, { wrap = (index) => index }: Weather = {}): Promise<readonly string[]> => {
  const random = new SeededRandom(seed)
  const world = makeWorld()
  const violations: string[] = []
  const look = guarded(world, violations)
  let calm = false
  const rates = { down: random.next() * 0.5, lost: random.next() * 0.5, item: random.next() * 0.5, store: random.next() * 0.3 }
  world.index.isDown = () => !calm && random.chance(rates.down)
  world.index.isReplyLost = () => !calm && random.chance(rates.lost)
  world.index.itemFault = () => (!calm && random.chance(rates.item) ? "again" : undefined)
  const drive = Effect.gen(function* () {
    const { store } = yield* world.begin
    let running = yield* start()
    for (let step = 0; step < 60; step++) {
      const pages = Array.from({ length: random.between(1, 4) }, () => `/${random.between(0, 5)}`)
      if (random.chance(0.6)) yield* world.growing.commit(store, random.pick(LANES), [...new Set(pages)], random.between(0, 2))
      if (random.chance(0.5)) running.publisher.wake()
      if (random.chance(0.15)) {
        yield* running.stop
        running = yield* start()
      }
      world.models.isDown = () => !calm && random.chance(rates.store)
      yield* TestClock.adjust(random.between(0, 3_000))
      world.models.isDown = () => false
      look()
    }
    calm = true
    yield* TestClock.adjust(60_000)
    look()
    if (world.models.state.outbox.size > 0) violations.push(`${world.models.state.outbox.size} entries rest in the outbox`)
    yield* running.stop
  })
  await inWorld(world, drive, wrap)
  return [...violations, ...differences(world)]
}

describe("the search publisher", () => {
  it("property: under any faults the index ends equal to the merged rows, and the cursor never passes what is not there", async () => {
    for (let seed = 1; seed <= 60; seed++) expect({ seed, wrong: await runSeed(seed) }).toEqual({ seed, wrong: [] })
  })

  it("is caught by it when it takes an item that was not stored for one that is", async () => {
    const trusting = (index: WindowIndexShape): WindowIndexShape => ({ ...index, put: (model, documents) => Effect.map(index.put(model, documents), (outcomes) => outcomes.map(() => ({ kind: "done" as const }))) })
    let caught = 0
    for (let seed = 1; seed <= 20; seed++) if ((await runSeed(seed, { wrap: trusting })).length > 0) caught += 1
    expect(caught).toBeGreaterThan(10)
  })

  it("puts a window that changes with every commit once a second, and all that is owed once it rests", async () => {
    const world = makeWorld()
    let puts = 0
    const counting = (index: WindowIndexShape): WindowIndexShape => ({ ...index, put: (model, documents) => Effect.andThen(Effect.sync(() => void (puts += 1)), index.put(model, documents)) })
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/a"])
      const { publisher, stop } = yield* start()
      yield* TestClock.adjust(2_000)
      puts = 0
      for (let commits = 0; commits < 100; commits++) {
        yield* world.growing.commit(store, commits % 2, ["/a"])
        publisher.wake()
        yield* TestClock.adjust(50)
      }
      expect(puts).toBeGreaterThanOrEqual(4)
      expect(puts).toBeLessThanOrEqual(6)
      yield* TestClock.adjust(2_000)
      expect(differences(world)).toEqual([])
      expect(world.models.state.outbox.size).toBe(0)
      yield* stop
    }), counting)
  })

  it("stops at a conflict, says where, and does not pass it", async () => {
    const world = makeWorld()
    const halted: string[] = []
    await inWorld(world, Effect.gen(function* () {
      const { store, index } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/a"])
      const [row] = [...world.models.state.rows.values()].map((stored) => stored.row)
      if (row === undefined) throw new Error("nothing was committed")
      const model = documentModel(record, world.models.incarnation)
      yield* index.put(model, [{ ...windowDocument(model, [row]), contentHash: "f".repeat(32) }])
      const { publisher, stop } = yield* start({ halted: ({ detail }) => halted.push(detail) })
      yield* TestClock.adjust(10_000)
      expect(publisher.status().halt).toEqual({ code: "REV_CONFLICT", detail: halted[0] })
      expect(halted).toHaveLength(1)
      expect(world.models.state.outbox.size).toBe(1)
      expect(publisher.ageMs(20_000)).toBe(20_000)
      yield* stop
    }))
  })

  it("says why it tries again, and since when the oldest commit waits, until all is there", async () => {
    const world = makeWorld()
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/a"])
      world.index.isDown = () => true
      const { publisher, stop } = yield* start()
      yield* TestClock.adjust(70_000)
      const { retry } = publisher.status()
      expect(retry?.cause).not.toBe("")
      expect(retry?.atMs).toBeGreaterThan(68_000)
      expect(publisher.ageMs(70_000)).toBe(70_000)
      world.index.isDown = () => false
      yield* TestClock.adjust(3_000)
      expect(publisher.status().retry).toBeUndefined()
      expect(publisher.ageMs(73_000)).toBe(0)
      yield* stop
    }))
  })

  it("keeps a refused document aside, marks the view as degraded, also after a restart, and goes on", async () => {
    const world = makeWorld()
    world.index.itemFault = ({ key }) => (key[0] === "/bad" ? "refused" : undefined)
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/good", "/bad"])
      const first = yield* start()
      yield* TestClock.adjust(2_000)
      expect(first.publisher.status().refused).toEqual(new Map([["clicks/1", 1]]))
      expect(world.models.state.outbox.size).toBe(0)
      yield* first.stop
      const second = yield* start()
      yield* TestClock.adjust(2_000)
      expect(second.publisher.status().refused).toEqual(new Map([["clicks/1", 1]]))
      yield* second.stop
    }))
    expect(differences(world)).toHaveLength(2)
  })

  it("publishes a generation whole: one that was there before, another history of the store, an index that was emptied", async () => {
    const world = makeWorld()
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/a", "/b"])
      yield* store.registerOutbox("bus")
      yield* store.ackOutbox("bus", 1n)
      const { stop } = yield* start()
      yield* TestClock.adjust(2_000)
      expect(differences(world)).toEqual([])
      world.models.incarnation = "00000002"
      yield* TestClock.adjust(2_000)
      expect(differences(world)).toEqual([])
      world.index.images.clear()
      yield* TestClock.adjust(60_000)
      expect(differences(world)).toEqual([])
      yield* stop
    }))
  })

  it("drops what is out of retention and keeps what is not", async () => {
    const world = makeWorld()
    const { state } = world.models
    await inWorld(world, Effect.gen(function* () {
      const { store, index } = yield* world.begin
      for (const day of [0, 37, 38, 39]) yield* world.growing.commit(store, 0, ["/a"], day * 1_440)
      const definition = JSON.stringify({ ...(JSON.parse(record.definition) as object), retentionDays: 2 })
      state.generations.set("clicks/1", { ...record, definition })
      for (const [name, checkpoint] of state.checkpoints) {
        state.checkpoints.set(name, { ...checkpoint, partitions: checkpoint.partitions.map((partition) => ({ ...partition, receivedMaxMs: 40 * DAY_MS + 5 })) })
      }
      const { stop } = yield* start()
      // The first look comes before the outbox, which still names the old ones; the next look is half a minute later.
      yield* TestClock.adjust(40_000)
      const kept = yield* index.read(documentModel(record, world.models.incarnation), owedDocuments(world.models))
      expect(kept.map((document) => (document === undefined ? undefined : document.windowStartMs / DAY_MS))).toEqual([undefined, undefined, 38, 39])
      yield* stop
    }))
  })

  it("drops the image of a generation that was dropped, and makes none anew", async () => {
    const world = makeWorld()
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* store.createGeneration({ ...record, generation: 2 }, LANES.map((lane) => ({ lane, partitions: [lane] })))
      yield* world.growing.commit(store, 0, ["/a"])
      const { stop } = yield* start()
      yield* TestClock.adjust(2_000)
      expect([...world.index.images.keys()].map((name) => name.slice(0, 8))).toEqual(["clicks/1", "clicks/2"])
      yield* store.dropGeneration({ projection: "clicks", generation: 2 })
      yield* TestClock.adjust(60_000)
      yield* world.growing.commit(store, 0, ["/b"])
      yield* TestClock.adjust(2_000)
      expect([...world.index.images.keys()].map((name) => name.slice(0, 8))).toEqual(["clicks/1"])
      expect(differences(world)).toEqual([])
      yield* stop
    }))
  })

  it("trusts no image once its consumer was forgotten: changes may have passed by", async () => {
    const world = makeWorld()
    await inWorld(world, Effect.gen(function* () {
      const { store } = yield* world.begin
      yield* world.growing.commit(store, 0, ["/a"])
      const first = yield* start()
      yield* TestClock.adjust(2_000)
      yield* first.stop
      yield* store.forgetOutbox(SEARCH_CONSUMER)
      yield* store.registerOutbox("bus")
      yield* world.growing.commit(store, 1, ["/a", "/b"])
      yield* store.ackOutbox("bus", 2n)
      expect(differences(world)).not.toEqual([])
      const second = yield* start()
      yield* TestClock.adjust(2_000)
      expect(differences(world)).toEqual([])
      yield* second.stop
    }))
  })
})
