import { canonicalJson } from "@tidemark/domain/definitions/canonicalJson"
import { definitionHash } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { PAUSED, pauseOf } from "@tidemark/domain/ports/projectionPause"
import type { GenerationRecord } from "@tidemark/domain/ports/ReadModelStore"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { writable } from "@tidemark/projections/simulation/memoryReadModelStore"
import type { MemoryModelDisk } from "@tidemark/projections/simulation/memoryReadModelStore"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe, expect, it } from "vitest"
import { createShadow } from "./buildGeneration.ts"
import { carryOut } from "./carryOut.ts"
import type { CarryOutOptions, Journal } from "./carryOut.ts"
import { allow, makePaceMemory } from "./pace.ts"
import { isEqual } from "./parity.ts"
import type { Parity } from "./parity.ts"
import { T0, appendOrders, folded, makeMemory, orders, whileServed } from "./rebuildSpec.ts"

/** A rebuild kept in memory, with every status it had; `onMoved` runs after each step. */
const keep = (definition: ProjectionDefinition, over: Partial<Rebuild> = {}) => {
  const kept = { statuses: ["planned"] as string[], found: undefined as Parity | undefined, comparisonId: "", listed: [] as string[], onMoved: (_status: string): void => {} }
  let rebuild: Rebuild = {
    rebuildId: "r", projection: "orders", generation: 2, fromGeneration: 1, definition: canonicalJson(definition), definitionHash: definitionHash(definition), reason: "why",
    plan: { events: "0", bytes: "0", seconds: null }, status: "planned", resumeAs: "planned", parity: null, accepted: null, error: null, eventsPerSecondMax: null, claim: null, pointerVersion: null, built: null, startedAtMs: 0, finishedAtMs: null, history: [], ...over
  }
  const set = (change: Partial<Rebuild>, isSteering = false): void => {
    if (!isSteering && ["paused", "aborted"].includes(rebuild.status)) return
    rebuild = { ...rebuild, ...change }
    kept.statuses.push(rebuild.status)
    if (!isSteering) kept.onMoved(rebuild.status)
  }
  const journal: Journal = {
    load: Effect.sync(() => rebuild),
    moved: (to) => Effect.sync(() => set({ status: to, resumeAs: to })),
    listed: (comparisonId, { tenantId, differences }) => Effect.sync(() => void kept.listed.push(`${comparisonId} ${tenantId} ${differences.length}`)),
    verified: (comparisonId, found) => Effect.sync(() => {
      kept.comparisonId = comparisonId
      kept.found = found
      set({ status: "ready" })
    }),
    failed: (error) => Effect.sync(() => set({ status: "failed", error }))
  }
  return { kept, journal, set, rebuild: () => rebuild }
}

const run = (journal: Journal, over: Partial<CarryOutOptions> = {}) =>
  carryOut({ journal, lanes: [0, 1], lagMax: 20n, tenants: Effect.succeed([]), differencesMax: 100, ...over })

/** Events, generation 1 that has folded them, and lanes that go on. */
const served = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* appendOrders(0, 2_000)
    yield* ensureGenerations([orders()])
    return yield* whileServed(Effect.andThen(folded(1), body))
  })

const seen = Effect.scoped(Effect.gen(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  return { pointer: yield* snapshot.pointer("orders"), following: yield* snapshot.following, shadow: yield* snapshot.generation("orders", 2), checkpoints: yield* snapshot.checkpoints("orders", 2) }
}))

describe("carrying a rebuild out", () => {
  it("goes through every phase to ready while events come, and the served generation stays the served one", async () => {
    const { kept, journal } = keep(orders())
    const { pointer, following } = await makeMemory().run(served(Effect.gen(function* () {
      const coming = yield* Effect.forkChild(Effect.forEach([0, 1, 2, 3, 4, 5], (at) => Effect.andThen(appendOrders(2_000 + at * 50, 50), Effect.sleep(20)), { discard: true }))
      expect(yield* run(journal)).toBe("ready")
      yield* Fiber.join(coming)
      return yield* seen
    })))
    expect(kept.statuses).toEqual(["planned", "preparing", "building", "catching_up", "verifying", "ready"])
    expect(kept.listed).toEqual([])
    expect(kept.found !== undefined && isEqual(kept.found)).toBe(true)
    expect(pointer).toMatchObject({ generation: 1, pointerVersion: 1 })
    expect(following).toEqual([{ projection: "orders", generation: 2 }])
  })

  it("finds the rows of a tenant that came while it was built and only imports", async () => {
    const { kept, journal } = keep(orders())
    const known: string[] = []
    await makeMemory().run(served(Effect.gen(function* () {
      const log = yield* EventLog
      const atMs = T0 + 5_000
      const value = encodeEvent({ id: "i", source: "s", type: "order", timeMs: atMs, receivedAtMs: atMs, tenantId: "importer", partitionKey: "importer:u", schemaVersion: 0, backfill: "old" }, JSON.stringify({ shop: "s1", amount: "1" }))
      yield* log.append([{ partition: 0, key: "k", value }])
      kept.onMoved = (status) => { if (status === "building") known.push("importer") }
      expect(yield* run(journal, { tenants: Effect.sync(() => [...known]) })).toBe("ready")
    })))
    expect(kept.found).toMatchObject({ differ: 0, onlyOld: 0, onlyNew: 0, faults: [] })
  })

  it("goes on after an end in any phase with the phase it was in", async () => {
    for (const at of ["preparing", "building", "catching_up", "verifying"]) {
      const { kept, journal } = keep(orders())
      await makeMemory().run(served(Effect.gen(function* () {
        kept.onMoved = (status) => {
          if (status !== at) return
          kept.onMoved = () => {}
          throw new Error("killed")
        }
        yield* Effect.exit(run(journal))
        expect(kept.statuses.at(-1)).toBe(at)
        expect(yield* run(journal)).toBe("ready")
      })))
      expect(kept.found, at).toMatchObject({ differ: 0, onlyOld: 0, onlyNew: 0, faults: [] })
    }
  })

  it("stops where it is paused, within a build too, and ends with the same result once it is resumed", async () => {
    const { kept, journal, set } = keep(orders())
    await makeMemory().run(served(Effect.gen(function* () {
      const pace = makePaceMemory()
      allow(pace, 1_000)
      const pausing = { pace, progress: ({ processed }: { readonly processed: bigint }) => { if (processed > 0n && kept.statuses.at(-1) === "building") set({ status: "paused" }, true) } }
      expect(yield* run(journal, pausing)).toBe("paused")
      expect((yield* seen).checkpoints.flatMap(({ partitions }) => partitions).some(({ nextOffset }) => nextOffset > 0n)).toBe(true)
      set({ status: "building" }, true)
      expect(yield* run(journal)).toBe("ready")
    })))
    expect(kept.found !== undefined && isEqual(kept.found)).toBe(true)
  })

  it("leaves nothing of an aborted rebuild but its number, and the served generation goes on", async () => {
    for (const at of ["building", "catching_up", "verifying", "ready"]) {
      const { kept, journal, set } = keep(orders())
      kept.onMoved = (status) => { if (status === at) set({ status: "aborted" }, true) }
      const left = await makeMemory().run(served(Effect.gen(function* () {
        yield* run(journal)
        if (at === "ready") yield* run(journal)
        yield* appendOrders(5_000, 100)
        yield* folded(1)
        return yield* seen
      })))
      expect(left, at).toMatchObject({ pointer: { generation: 1 }, following: [], checkpoints: [] })
      if (at !== "building") expect(left.shadow, at).toMatchObject({ isDropped: true })
    }
  })

  it("leaves a comparison at once when it is paused or aborted meanwhile", async () => {
    for (const status of ["paused", "aborted"] as const) {
      const { kept, journal, set } = keep(orders())
      kept.onMoved = (now) => { if (now === "verifying") setTimeout(() => set({ status }, true), 20) }
      await makeMemory().run(served(Effect.gen(function* () {
        const store = yield* ReadModelStore
        // A comparison that would never end.
        const snapshot = Effect.map(store.snapshot, (one) => ({ ...one, windows: () => Effect.never, scan: () => Effect.never }))
        expect(yield* Effect.provideService(run(journal), ReadModelStore, { ...store, snapshot })).toBe(status)
      })))
      expect(kept.found).toBeUndefined()
    }
  })

  it("leaves a generation alone to which the pointer moved while its rebuild was aborted", async () => {
    const { journal, set } = keep(orders())
    const left = await makeMemory().run(served(Effect.gen(function* () {
      expect(yield* run(journal)).toBe("ready")
      yield* (yield* ReadModelStore).flip("orders", 2, 1)
      set({ status: "aborted" }, true)
      expect(yield* run(journal)).toBe("aborted")
      yield* appendOrders(5_000, 100)
      yield* folded(2)
      return yield* seen
    })))
    expect(left.pointer).toMatchObject({ generation: 2 })
    expect(left.shadow?.isDropped).toBeUndefined()
  })

  it("fails, to be resumed, where the generation halts, and says why", async () => {
    const { journal, rebuild } = keep(orders())
    await makeMemory().run(served(Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* store.createGeneration({ projection: "orders", generation: 2, definition: "{}", definitionHash: "h", createdAtMs: 0, logId: "log-1", coverage: [] }, [{ lane: 0, partitions: [0, 2] }, { lane: 1, partitions: [1, 3] }])
      expect(yield* run(journal)).toBe("failed")
    })))
    expect(rebuild().error).toMatch(/^DEFINITION_CHANGED: /)
  })
})

/** Generation 1 has folded some events and can then be read no more; events come on. */
const halted = <A, E, R>(disk: MemoryModelDisk, body: Effect.Effect<A, E, R>, over: Partial<GenerationRecord> = { definitionHash: "another" }) =>
  Effect.gen(function* () {
    yield* appendOrders(0, 2_000)
    yield* ensureGenerations([orders()])
    yield* whileServed(folded(1))
    const { generations } = writable(disk)
    const record = generations.get("orders/1")
    if (record === undefined) throw new Error("nothing is served")
    generations.set("orders/1", { ...record, ...over })
    yield* appendOrders(2_000, 600)
    return yield* whileServed(body)
  })

describe("a rebuild of what has halted", () => {
  it("goes past the halted generation, proves itself by the log, and says where and why that one stands", async () => {
    const { kept, journal } = keep(orders())
    const { modelDisk, run: inMemory } = makeMemory()
    const left = await inMemory(halted(modelDisk, Effect.gen(function* () {
      expect(yield* run(journal)).toBe("ready")
      yield* appendOrders(5_000, 100)
      yield* folded(2)
      yield* (yield* ReadModelStore).flip("orders", 2, 1)
      return yield* seen
    })))
    expect(kept.statuses).toEqual(["planned", "preparing", "building", "catching_up", "verifying", "ready"])
    expect(kept.found).toMatchObject({ compared: 0, differ: 0, onlyOld: 0, onlyNew: 0, faults: [], lists: [], servedHalt: { code: "DEFINITION_CHANGED", detail: expect.stringContaining("another") as string } })
    expect(kept.found?.sample?.windows).toBeGreaterThan(30)
    const sum = (offsets: readonly { readonly nextOffset: bigint }[] = []) => offsets.reduce((total, { nextOffset }) => total + nextOffset, 0n)
    expect(sum(kept.found?.servedHalt?.position)).toBeGreaterThan(2_000n)
    // 600 events, of which every eleventh was sent twice.
    expect(sum(kept.found?.position) - sum(kept.found?.servedHalt?.position)).toBe(655n)
    expect(left.pointer).toMatchObject({ generation: 2 })
  })

  it("needs nothing of a definition that this program cannot read", async () => {
    const { kept, journal } = keep(orders())
    const { modelDisk, run: inMemory } = makeMemory()
    await inMemory(halted(modelDisk, Effect.asVoid(run(journal)), { definition: "{}" }))
    expect(kept.found).toMatchObject({ faults: [], servedHalt: { code: "DEFINITION_CHANGED" } })
  })

  it("finds stored rows of its own that the log does not give", async () => {
    const { kept, journal } = keep(orders())
    const { modelDisk, run: inMemory } = makeMemory()
    kept.onMoved = (status) => {
      if (status !== "verifying") return
      const { rows } = writable(modelDisk)
      for (const [key, { lane, row }] of rows) if (lane.generation === 2) rows.set(key, { lane, row: { ...row, events: row.events + 1n } })
    }
    await inMemory(halted(modelDisk, Effect.asVoid(run(journal))))
    expect(kept.found?.faults.join()).toContain("are not what its digest says")
    expect(kept.found?.sample?.differing.length).toBeGreaterThan(30)
  })

  it("fails, to be resumed, where the log ends before the place at which the halted one stands: it would wait for ever", async () => {
    const { journal, rebuild } = keep(orders())
    const { modelDisk, run: inMemory } = makeMemory()
    await inMemory(halted(modelDisk, Effect.gen(function* () {
      const { checkpoints } = writable(modelDisk)
      for (const [key, checkpoint] of checkpoints) {
        if (checkpoint.lane.generation === 1) checkpoints.set(key, { ...checkpoint, partitions: checkpoint.partitions.map((one) => ({ ...one, nextOffset: one.nextOffset + 100_000n })) })
      }
      expect(yield* run(journal)).toBe("failed")
    })))
    expect(rebuild().error).toMatch(/^SERVED_BEYOND_LOG: partition \d: .*DEFINITION_CHANGED/)
  })

  it("waits while the projection is paused, halted or not", async () => {
    const { kept, journal } = keep(orders())
    const { modelDisk, run: inMemory } = makeMemory()
    await inMemory(halted(modelDisk, Effect.gen(function* () {
      const store = yield* ReadModelStore
      yield* createShadow(orders(), 2)
      yield* store.recordHalt({ ...pauseOf("orders"), code: PAUSED, detail: "", atMs: 0 })
      const going = yield* Effect.forkChild(run(journal))
      while (kept.statuses.at(-1) !== "catching_up") yield* Effect.sleep(10)
      // Its own build has taken it past the halted one, so only the pause holds it.
      expect(yield* Effect.timeoutOption(Fiber.join(going), 300)).toMatchObject({ _tag: "None" })
      expect(kept.statuses.at(-1)).toBe("catching_up")
      yield* store.clearHalt(pauseOf("orders"))
      expect(yield* Fiber.join(going)).toBe("ready")
    })))
  })
})
