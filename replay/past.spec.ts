import { encodeEvent } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat, encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import { expectedRowText, storedRowText } from "@tidemark/projections/simulation/laneCheck"
import { createMemoryIndexDisk, memoryPartitionIndex } from "@tidemark/projections/simulation/memoryPartitionIndex"
import { createMemoryLogDisk, memoryEventLog } from "@tidemark/projections/simulation/memoryEventLog"
import { createMemoryModelDisk, memoryReadModelStore } from "@tidemark/projections/simulation/memoryReadModelStore"
import { Oracle } from "@tidemark/projections/simulation/oracle"
import { oracleSeed } from "@tidemark/projections/simulation/oracleHash"
import { simulatedProjections } from "@tidemark/projections/simulation/oracleProjections"
import type { SimulatedProjection } from "@tidemark/projections/simulation/oracleProjections"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { Workload } from "@tidemark/projections/simulation/workload"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { openPast } from "./past.ts"
import type { AsOf } from "./pastPosition.ts"
import { READ_LIMITS } from "./pastReading.ts"
import type { ReadLimits } from "./pastReading.ts"

const PARTITIONS = 4
const LANES = 2
const START_MS = 1_700_000_000_000
const DAY_MS = 86_400_000
const TENANTS = ["acme", "birch", "c"]
const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]
const EVER = { fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }
const ENDS = [0, 1, 2, 3]

type Ports = EventLog | ReadModelStore | PartitionIndex

/** Engines in memory that outlive a run. */
const makeEngines = () => {
  const logDisk = createMemoryLogDisk()
  const layer = Layer.mergeAll(
    memoryEventLog(logDisk, { logId: "past-log", partitions: PARTITIONS, lanes: LANES, createdAtMs: START_MS }), memoryReadModelStore(createMemoryModelDisk()),
    memoryPartitionIndex(createMemoryIndexDisk())
  )
  const run = <A>(program: Effect.Effect<A, unknown, Ports>): Promise<A> => Effect.runPromise(program.pipe(Effect.timeout(30_000), Effect.provide(layer)))
  return { run, records: () => logDisk.partitions.map(({ records }) => records) }
}

const isFolded = Effect.fn(function* () {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    for (const { definition } of simulatedProjections) {
      for (const { partitions } of yield* snapshot.checkpoints(definition.name, 1)) {
        for (const { partition, nextOffset } of partitions) if (nextOffset < (yield* log.bounds(partition)).end) return false
      }
    }
    return true
  }))
})

/** Lets the owners of all lanes fold the log to its end and stop, which saves what they know of its clocks. */
const fold = Effect.gen(function* () {
  yield* ensureGenerations(simulatedProjections.map(({ definition }) => definition))
  const stop = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(runLanes({ lanes: [0, 1], stop: Deferred.await(stop), observer: { committed: () => {}, halted: ({ detail }) => void expect(detail).toBe(""), retrying: () => {} } }))
  while (!(yield* isFolded())) yield* Effect.sleep(5)
  yield* Deferred.succeed(stop, undefined)
  yield* Fiber.join(fiber)
})

/** Exactly these records in partition 0, folded. */
const makeWorldOf = async (values: readonly Uint8Array[]) => {
  const engines = makeEngines()
  await engines.run(Effect.andThen(Effect.flatMap(EventLog, (log) => log.append(values.map((value) => ({ partition: 0, key: "k", value })))), fold))
  return { ...engines, random: new SeededRandom(0) }
}

/** A log of everything that can happen to a record, folded by the real runtime in several runs. */
const makeWorld = async (seed: number, length: number) => {
  const engines = makeEngines()
  const random = new SeededRandom(seed)
  const workload = new Workload(random.fork(), PARTITIONS, START_MS)
  const append = Effect.gen(function* () {
    const log = yield* EventLog
    for (let count = 0; count < length / 4; ) {
      const produced = workload.next((partition) => engines.records()[partition] ?? [])
      yield* log.append(produced.map(({ partition, value }) => ({ partition, key: "k", value })))
      count += produced.length
    }
  })
  for (let part = 0; part < 4; part++) await engines.run(Effect.andThen(append, fold))
  return { ...engines, random }
}

type World = Awaited<ReturnType<typeof makeWorld>>

const past = ({ run }: World, { definition }: SimulatedProjection, asOf: AsOf, limits: ReadLimits) => run(Effect.scoped(Effect.gen(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const rows = new Map<string, string>()
  let prefixes: unknown
  let position: readonly bigint[] = []
  for (const tenantId of TENANTS) {
    const opened = yield* openPast({ snapshot, projection: definition.name, generation: 1, tenantId, asOf, limits })
    const { retentionDays } = definition
    const latestMs = Math.max(...(yield* snapshot.checkpoints(definition.name, 1)).flatMap(({ partitions }) => partitions.map(({ receivedMaxMs }) => receivedMaxMs ?? -Infinity)))
    const fromMs = retentionDays === undefined ? EVER.fromMs : Math.floor((latestMs - retentionDays * DAY_MS) / DAY_MS) * DAY_MS
    for (const resolution of RESOLUTIONS) {
      yield* opened.scan({ projection: definition.name, generation: 1, tenantId, resolution, fromMs, toMs: EVER.toMs }, (found) => {
        for (const row of found) rows.set(`${row.lane} ${row.resolution} ${row.windowStartMs} ${row.keyId}`, storedRowText(row))
      })
    }
    prefixes = opened.prefixes.map(({ receivedMaxMs, heartbeatMaxMs, tenantMaxMs }) => [receivedMaxMs, heartbeatMaxMs, [...tenantMaxMs].sort()])
    position = opened.prefixes.map(({ nextOffset }) => nextOffset)
    if (retentionDays !== undefined) continue
    // A narrower scan answers a part of the whole one.
    const [row] = rows.entries()
    if (row === undefined) continue
    const [resolution, startMs, keyId] = row[0].split(" ").slice(1)
    yield* opened.scan({ projection: definition.name, generation: 1, tenantId, resolution: Number(resolution) as ResolutionCode, fromMs: Number(startMs), toMs: Number(startMs) + 1, keyId: keyId ?? "" }, (found) => {
      for (const one of found) expect(storedRowText(one)).toBe(rows.get(`${one.lane} ${one.resolution} ${one.windowStartMs} ${one.keyId}`))
    })
  }
  return { rows, prefixes, position }
})))

/** Rows and clocks that a plain program makes of the records below the position. */
const expected = ({ records }: World, { twin }: SimulatedProjection, position: readonly bigint[], fromMs: number) => {
  const rows = new Map<string, string>()
  const prefixes: unknown[] = []
  for (let lane = 0; lane < LANES; lane++) {
    const partitions = ENDS.filter((partition) => partition % LANES === lane)
    const oracle = new Oracle(twin, oracleSeed("past-log"), partitions)
    for (const partition of partitions) for (const record of (records()[partition] ?? []).slice(0, Number(position[partition]))) oracle.take(partition, record)
    for (const row of oracle.rows.values()) if (row.startMs >= fromMs) rows.set(`${lane} ${row.resolution} ${row.startMs} ${row.keyId}`, expectedRowText(row))
    for (const [partition, { receivedMs, heartbeatMs, tenantMs }] of oracle.partitions) {
      prefixes[partition] = [Number.isFinite(receivedMs) ? receivedMs : null, Number.isFinite(heartbeatMs) ? heartbeatMs : null, [...tenantMs].sort()]
    }
  }
  return { rows, prefixes }
}

const keptFromMs = (world: World, { definition: { retentionDays }, twin }: SimulatedProjection): number => {
  if (retentionDays === undefined) return -Infinity
  const ends = world.records().map(({ length }) => BigInt(length))
  const receivedMs = (expected(world, { definition: simulatedProjections[0]!.definition, twin }, ends, 0).prefixes as readonly (readonly (number | null)[])[]).map(([latest]) => latest ?? -Infinity)
  return Math.floor((Math.max(...receivedMs) - retentionDays * DAY_MS) / DAY_MS) * DAY_MS
}

const SEEDS = Number(process.env["PAST_SEEDS"] ?? 6)
const POSITIONS = 12
/** As served, and in steps so small that every jump over records comes to happen. */
const LIMITS: readonly ReadLimits[] = [READ_LIMITS, { ...READ_LIMITS, bytesMax: 1, scatteredBytesMax: 1, ledgerOffsets: 3n }, { ...READ_LIMITS, bytesMax: 900, scatteredBytesMax: 2_000, ledgerOffsets: 20n }]

describe("a generation as it was", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`equals what a plain program makes of the records below any position, log ${seed}`, async () => {
      const world = await makeWorld(seed, 700)
      for (const projection of simulatedProjections) {
        const fromMs = keptFromMs(world, projection)
        for (let at = 0; at < POSITIONS; at++) {
          const position = world.records().map(({ length }) => BigInt(world.random.between(0, length)))
          const limits = world.random.pick(LIMITS)
          const found = await past(world, projection, { position: position.map((nextOffset, partition) => ({ partition, nextOffset })) }, limits)
          const wanted = expected(world, projection, position, fromMs)
          expect(found.prefixes, `seed ${seed}, ${projection.twin.name} at ${position.join()}`).toEqual(wanted.prefixes)
          expect(found.rows, `seed ${seed}, ${projection.twin.name} at ${position.join()}`).toEqual(wanted.rows)
        }
      }
    }, 60_000)
  }

  it("counts a released event once and from its first release on, however far behind its window's close that lies", async () => {
    const [, , types] = simulatedProjections
    if (types === undefined) throw new Error("a projection is missing")
    const event = (id: string, receivedAtMs: number) => encodeEvent({ id, source: "s", type: "liked", timeMs: START_MS, receivedAtMs, tenantId: "c", partitionKey: "c:1", schemaVersion: 0 }, undefined)
    const quiet = (count: number) => Array.from({ length: count }, (_, at) => encodeHeartbeat(START_MS + 600_000 + at))
    const [first, second] = [event("second", START_MS + 700_000), event("third", START_MS + 700_000)]
    // The second record releases what is not there yet, which does nothing, then or later.
    const values = [event("first", START_MS), encodeLateApplied(START_MS, 0, 8n, first), ...quiet(5), first, second, ...quiet(5)]
    const at = (value: Uint8Array): bigint => BigInt(values.indexOf(value) + 1)
    expect(at(first)).toBe(8n)
    const release = (value: Uint8Array) => encodeLateApplied(START_MS + 800_000, 0, at(value), value)
    values.push(release(first), ...quiet(3), release(first), ...quiet(3), release(second))
    const world = await makeWorldOf(values)
    const found: number[] = []
    for (let next = 0; next <= values.length + 1; next++) {
      const position = [BigInt(next), 1n, 1n, 1n]
      const { rows } = await past(world, types, { position: position.map((nextOffset, partition) => ({ partition, nextOffset })) }, { ...READ_LIMITS, bytesMax: 1, ledgerOffsets: 4n })
      expect(rows, `at ${next}`).toEqual(expected(world, types, position, -Infinity).rows)
      found.push(Number([...rows.values()][0]?.split(" ")[5] ?? 0))
    }
    expect(new Set(found)).toEqual(new Set([0, 1, 2, 3]))
  })

  it("is found by time: each partition up to the first record whose R is later", async () => {
    const world = await makeWorld(77, 400)
    const [pages] = simulatedProjections
    if (pages === undefined) throw new Error("a projection is missing")
    const clocks = world.records().map((records) => {
      const oracle = new Oracle(pages.twin, 0, [0])
      return records.map((record) => {
        oracle.take(0, record)
        return oracle.partitions.get(0)?.receivedMs ?? -Infinity
      })
    })
    const lastMs = Math.max(...clocks.flat().filter(Number.isFinite))
    for (let draw = 0; draw < 60; draw++) {
      const timeMs = draw === 0 ? lastMs + 1 : draw === 1 ? START_MS - 1 : world.random.chance(0.5) ? world.random.pick(clocks.flat()) : world.random.between(START_MS, lastMs)
      const { position } = await past(world, pages, { timeMs }, world.random.pick(LIMITS))
      const wanted = clocks.map((received) => {
        const beyond = received.findIndex((receivedMs) => receivedMs > timeMs)
        return BigInt(beyond < 0 ? received.length : beyond)
      })
      expect(position, `at ${timeMs}`).toEqual(wanted)
    }
  }, 60_000)

  describe("is refused", () => {
    const failing = async (world: World, at: number, asOf: AsOf, limits = READ_LIMITS) => {
      const projection = simulatedProjections[at]
      if (projection === undefined) throw new Error("a projection is missing")
      return past(world, projection, asOf, limits).then(() => undefined, (error: unknown) => error)
    }
    const positionOf = (offsets: readonly bigint[]): AsOf => ({ position: offsets.map((nextOffset, partition) => ({ partition, nextOffset })) })

    it("where the generation never was", async () => {
      const world = await makeWorld(5, 200)
      const ends = world.records().map(({ length }) => BigInt(length))
      expect(await failing(world, 0, positionOf(ends.slice(0, 3)))).toMatchObject({ _tag: "PastPositionError", detail: "lacks partition 3" })
      expect(await failing(world, 0, positionOf([...ends, 0n]))).toMatchObject({ _tag: "PastPositionError", detail: expect.stringMatching(/partition 4/) as string })
      expect(await failing(world, 0, { position: [...ends, ends[0] ?? 0n].map((nextOffset, at) => ({ partition: at % PARTITIONS, nextOffset })) })).toMatchObject({ _tag: "PastPositionError", detail: expect.stringMatching(/twice/) as string })
      expect(await failing(world, 0, positionOf(ends.map((end, at) => (at === 2 ? end + 1n : end))))).toMatchObject({ _tag: "PastPositionError", detail: expect.stringMatching(/partition 2, which was folded from 0/) as string })
      expect(await failing(world, 0, positionOf(ends))).toBe(undefined)
    }, 30_000)

    it("beyond the records it may read", async () => {
      const world = await makeWorld(5, 400)
      const middle = positionOf(world.records().map(({ length }) => BigInt(length) / 2n))
      expect(await failing(world, 0, middle, { ...READ_LIMITS, recordsMax: 20 })).toMatchObject({ _tag: "PastTooLargeError", max: 20 })
      expect(await failing(world, 0, middle)).toBe(undefined)
    }, 30_000)

    it("for windows that retention has taken since", async () => {
      const day = (at: number) => [encodeEvent({ id: `e${at}`, source: "s", type: "order.paid", timeMs: START_MS + at * DAY_MS, receivedAtMs: START_MS + at * DAY_MS, tenantId: "c", partitionKey: "c:1", schemaVersion: 0 }, '{"live":true,"currency":"EUR","amount":"1"}')]
      const { run } = await makeWorldOf([0, 1, 5].flatMap(day))
      const ask = (fromMs: number) => run(Effect.scoped(Effect.gen(function* () {
        const snapshot = yield* (yield* ReadModelStore).snapshot
        const opened = yield* openPast({ snapshot, projection: "sim-money", generation: 1, tenantId: "c", asOf: positionOf([3n, 1n, 1n, 1n]) })
        return yield* Effect.result(opened.scan({ projection: "sim-money", generation: 1, tenantId: "c", resolution: 2, fromMs, toMs: EVER.toMs }, () => {}))
      })))
      const keptFrom = Math.floor((START_MS + 4 * DAY_MS) / DAY_MS) * DAY_MS
      expect(await ask(keptFrom - 1)).toMatchObject({ _tag: "Failure", failure: { _tag: "PastExpiredError", retainedFromMs: keptFrom } })
      expect(await ask(keptFrom)).toMatchObject({ _tag: "Success" })
    })
  })
})
