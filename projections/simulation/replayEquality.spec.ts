import { encodeHeartbeat } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import type { Choice } from "../runtime/chosenGenerations.ts"
import { ensureGenerations } from "../runtime/ensureGenerations.ts"
import { lanePartitions } from "../runtime/generationCheck.ts"
import { modelDigest } from "../runtime/modelDigest.ts"
import { runLanes } from "../runtime/runLanes.ts"
import { expectedModelDigest } from "./laneCheck.ts"
import { createMemoryLogDisk, memoryEventLog } from "./memoryEventLog.ts"
import { makeSnapshot } from "./memoryModelState.ts"
import type { ModelState } from "./memoryModelState.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "./memoryPartitionIndex.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "./memoryReadModelStore.ts"
import { Oracle } from "./oracle.ts"
import { oracleSeed } from "./oracleHash.ts"
import { simulatedProjections } from "./oracleProjections.ts"
import { SeededRandom } from "./random.ts"
import { VirtualTime } from "./virtualTime.ts"
import type { SimulatedNode } from "./virtualTime.ts"
import { Workload } from "./workload.ts"
import { calm, processEngines } from "./worldEngines.ts"

const PARTITIONS = 4
const RECORDS = 240
const START_MS = 1_700_000_000_000
const LOG_ID = "replay-log"
const COUNTS = [1, 2, 4]
const definitions = simulatedProjections.map(({ definition }) => definition)
const TENANTS = ["acme", "birch", "c"]

type Appended = { readonly partition: number; readonly value: Uint8Array }

const randomLog = (seed: number): readonly Appended[] => {
  const workload = new Workload(new SeededRandom(seed), PARTITIONS, START_MS)
  const stored = Array.from({ length: PARTITIONS }, (): Uint8Array[] => [new Uint8Array()])
  const all: Appended[] = []
  while (all.length < RECORDS) {
    for (const record of workload.next((partition) => stored[partition] ?? [])) {
      stored[record.partition]?.push(record.value)
      all.push(record)
    }
  }
  return all
}

/** Retention has passed in one partition by days, so that lanes of it alone have dropped what others still store. */
const leapAhead: Appended = { partition: 0, value: encodeHeartbeat(START_MS + 40 * 86_400_000) }

/** Engines on disks of their own, and processes that use them, each call slowed by chance. */
class Machine {
  readonly modelDisk = createMemoryModelDisk()
  readonly lanes: number
  private readonly logDisk = createMemoryLogDisk()
  private readonly random: SeededRandom
  private readonly time: VirtualTime
  private readonly engines: Layer.Layer<EventLog | ReadModelStore | PartitionIndex>
  private readonly faults: string[] = []

  /** `seed`: of the interleaving. */
  constructor(lanes: number, seed: number) {
    this.lanes = lanes
    this.random = new SeededRandom(seed)
    this.time = new VirtualTime(this.random.fork(), START_MS)
    const identity = { logId: LOG_ID, partitions: PARTITIONS, lanes, createdAtMs: START_MS }
    this.engines = Layer.mergeAll(memoryEventLog(this.logDisk, identity), memoryReadModelStore(this.modelDisk), memoryPartitionIndex(createMemoryIndexDisk()))
  }

  get log(): readonly (readonly Uint8Array[])[] {
    return this.logDisk.partitions.map(({ records }) => records)
  }

  private start(name: string, effect: Effect.Effect<void, unknown, EventLog | ReadModelStore | PartitionIndex>): { ended: boolean } {
    const node: SimulatedNode = { name, skewMs: 0, state: "running" }
    const process = { ended: false }
    const shapes = Effect.runSync(Effect.provide(Effect.gen(function* () {
      return { log: yield* EventLog, store: yield* ReadModelStore, index: yield* PartitionIndex }
    }), this.engines))
    const weather = { ...calm(), slow: this.random.pick([0, 0.1, 0.5]), slowMsMax: this.random.pick([5, 80]) }
    const own = processEngines(shapes, this.random.fork(), weather, { tookOver: () => {}, fenced: () => {}, unknown: () => {} })
    this.time.start(node, Effect.provide(effect, own), (failure) => {
      process.ended = true
      if (failure !== undefined) this.faults.push(`${name}: ${failure.text}`)
    })
    return process
  }

  private until(what: string, done: () => boolean): void {
    const came = this.time.runUntil(this.time.nowMs + 300_000, () => this.faults.length > 0 || done())
    expect(this.faults, what).toEqual([])
    expect(came, what).toBe(true)
  }

  private isFolded(generation: number): boolean {
    const checkpoints = [...this.modelDisk.state.checkpoints.values()].filter(({ lane }) => lane.generation === generation)
    return checkpoints.length === definitions.length * this.lanes && checkpoints.every(({ partitions }) =>
      partitions.every(({ partition, nextOffset }) => nextOffset === BigInt(this.log[partition]?.length ?? 0)))
  }

  /** Folds a generation by so many workers, beside whatever else runs, until `isReady` and it has all of the log. */
  private fold(generation: number, workers: number, choices: readonly Choice[], isReady: () => boolean): void {
    const stop = Deferred.makeUnsafe<void>()
    const observer = { committed: () => {}, retrying: () => {}, halted: ({ code, detail }: Halt) => void this.faults.push(`${code}: ${detail}`) }
    const shares = Array.from({ length: workers }, (_, worker) => Array.from({ length: this.lanes }, (__, lane) => lane).filter((lane) => lane % workers === worker))
    const processes = choices.flatMap((choice) => shares.filter((lanes) => lanes.length > 0).map((lanes, worker) =>
      this.start(`worker ${worker} of generation ${generation}`, runLanes({ lanes, stop: Deferred.await(stop), observer, choice }))))
    this.until(`generation ${generation} is folded`, () => isReady() && this.isFolded(generation))
    Effect.runSync(Deferred.succeed(stop, undefined))
    this.until("the workers end", () => processes.every(({ ended }) => ended))
  }

  /** Folds the records as they come, a few at a time and now and then none for a while. */
  live(records: readonly Appended[], workers: number): void {
    const { random } = this
    const ingest = Effect.gen(function* () {
      const log = yield* EventLog
      for (let at = 0; at < records.length;) {
        const count = random.between(1, 12)
        yield* log.append(records.slice(at, at + count).map(({ partition, value }) => ({ partition, key: "k", value })))
        at += count
        if (random.chance(0.5)) yield* Effect.sleep(random.between(1, 200))
      }
    })
    const made = this.start("generations", ensureGenerations(definitions))
    this.until("the generations are there", () => made.ended)
    const sent = this.start("ingest", ingest)
    this.fold(1, workers, ["served"], () => sent.ended)
  }

  /** Folds the stored log into a generation of its own. */
  replay(generation: number, workers: number): void {
    const list = Array.from({ length: this.lanes }, (_, lane) => ({ lane, partitions: lanePartitions(lane, PARTITIONS, this.lanes) }))
    const create = Effect.gen(function* () {
      const store = yield* ReadModelStore
      const snapshot = yield* store.snapshot
      for (const { name } of definitions) {
        const record = yield* snapshot.generation(name, 1)
        if (record !== undefined) yield* store.createGeneration({ ...record, generation }, list)
      }
    })
    const made = this.start("generations", Effect.scoped(create))
    this.until("the generations are there", () => made.ended)
    this.fold(generation, workers, definitions.map(({ name }) => ({ projection: name, generation })), () => true)
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** What a generation holds, with nothing in it that could depend on lanes. */
const outcomeOf = (state: ModelState, generation: number) => {
  const entries = <A extends { readonly partition: number; readonly offset: bigint }>(ledger: ReadonlyMap<string, { readonly lane: { readonly projection: string; readonly generation: number }; readonly entry: A }>) =>
    [...ledger.values()].filter(({ lane }) => lane.generation === generation).map(({ lane, entry }) => ({ projection: lane.projection, ...entry }))
      .sort((a, b) => (a.projection < b.projection ? -1 : a.projection > b.projection ? 1 : a.partition - b.partition || Number(a.offset - b.offset)))
  const partitions = [...state.checkpoints.values()].filter(({ lane }) => lane.generation === generation)
    .flatMap(({ lane, partitions: all }) => all.map((partition) => [`${lane.projection} ${partition.partition}`, partition] as const)).sort(([a], [b]) => (a < b ? -1 : 1))
  const digests = Effect.runSync(Effect.gen(function* () {
    const snapshot = makeSnapshot(state)
    const found: Record<string, string> = {}
    for (const { name } of definitions) {
      const record = yield* snapshot.generation(name, generation)
      if (record === undefined) continue
      const { digest, unaccounted } = yield* modelDigest(snapshot, record, TENANTS)
      expect(unaccounted).toEqual([])
      found[name] = hex(digest)
    }
    return found
  }))
  return { digests, late: entries(state.late), duplicates: entries(state.duplicates), deadLetters: entries(state.deadLetters), partitions }
}

type Outcome = ReturnType<typeof outcomeOf>

const lateOf = ({ partitions }: Outcome): bigint => partitions.reduce((sum, [, { counters }]) => sum + counters.late, 0n)

const expectedDigests = (log: readonly (readonly Uint8Array[])[]) =>
  Object.fromEntries(simulatedProjections.map(({ twin }) => {
    const oracle = new Oracle(twin, oracleSeed(LOG_ID), log.map((_records, partition) => partition))
    for (const [partition, records] of log.entries()) for (const record of records) oracle.take(partition, record)
    return [twin.name, expectedModelDigest(oracle)]
  }))

const laneDigests = (state: ModelState): string => [...state.checkpoints].map(([lane, { digest }]) => `${lane} ${hex(digest)}`).sort().join("\n")

describe("replay gives what live gave", () => {
  for (const seed of [11, 12, 13, 14, 15]) {
    it(`for the log of seed ${seed}, with 1, 2 and 4 lanes, 1, 2 and 4 workers and any interleaving`, () => {
      const records = [...randomLog(seed), ...(seed % 2 === 1 ? [leapAhead] : [])]
      let first: Outcome | undefined
      const laneTexts = new Set<string>()
      for (const lanes of COUNTS) {
        for (const workers of COUNTS) {
          const machine = new Machine(lanes, seed * 1_000 + lanes * 10 + workers)
          machine.live(records, workers)
          machine.replay(2, COUNTS[(COUNTS.indexOf(workers) + 1) % COUNTS.length] ?? 1)
          laneTexts.add(laneDigests(machine.modelDisk.state))
          for (const generation of [1, 2]) {
            const outcome = outcomeOf(machine.modelDisk.state, generation)
            const where = `${lanes} lanes, ${workers} workers, generation ${generation}`
            expect(outcome.digests, where).toEqual(expectedDigests(machine.log))
            first ??= outcome
            expect(outcome, where).toEqual(first)
          }
        }
      }
      expect(laneTexts.size, "digests of lanes, one set for each number of lanes").toBe(COUNTS.length)
      expect(first === undefined ? 0n : lateOf(first)).toBeGreaterThan(5n)
    })
  }
})
