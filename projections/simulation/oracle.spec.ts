import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { ensureGenerations } from "../runtime/ensureGenerations.ts"
import { runLanes } from "../runtime/runLanes.ts"
import { laneDifferences } from "./laneCheck.ts"
import { createMemoryLogDisk, memoryEventLog } from "./memoryEventLog.ts"
import { createMemoryIndexDisk, memoryPartitionIndex } from "./memoryPartitionIndex.ts"
import { createMemoryModelDisk, memoryReadModelStore } from "./memoryReadModelStore.ts"
import type { ModelState } from "./memoryModelState.ts"
import { Oracle } from "./oracle.ts"
import { oracleSeed } from "./oracleHash.ts"
import { simulatedProjections } from "./oracleProjections.ts"
import { SeededRandom } from "./random.ts"
import { VirtualTime } from "./virtualTime.ts"
import type { ProcessFailure, SimulatedNode } from "./virtualTime.ts"
import { Workload } from "./workload.ts"

const PARTITIONS = 4
const SEEDS = 8
const RECORDS = 400
const START_MS = 1_700_000_000_000
const definitions = simulatedProjections.map(({ definition }) => definition)

/** Records to append to a fresh log, in order. */
const randomLog = (seed: number, length: number): readonly { readonly partition: number; readonly value: Uint8Array }[] => {
  const workload = new Workload(new SeededRandom(seed), PARTITIONS, START_MS)
  const stored = Array.from({ length: PARTITIONS }, (): Uint8Array[] => [new Uint8Array()])
  const all: { partition: number; value: Uint8Array }[] = []
  while (all.length < length) {
    for (const record of workload.next((partition) => stored[partition] ?? [])) {
      stored[record.partition]?.push(record.value)
      all.push(record)
    }
  }
  return all
}

/** Folds the records in `parts` runs of the real runtime, each from the disks the one before left. */
const runParts = (records: readonly { readonly partition: number; readonly value: Uint8Array }[], lanes: number, parts: number, seed: number) => {
  const logDisk = createMemoryLogDisk()
  const modelDisk = createMemoryModelDisk()
  const indexDisk = createMemoryIndexDisk()
  const identity = { logId: "sim-log", partitions: PARTITIONS, lanes, createdAtMs: START_MS }
  const layer = Layer.mergeAll(memoryEventLog(logDisk, identity), memoryReadModelStore(modelDisk), memoryPartitionIndex(indexDisk))
  const time = new VirtualTime(new SeededRandom(seed), START_MS)
  const halts: Halt[] = []
  const size = Math.ceil(records.length / parts)
  const isAtEnd = (): boolean => modelDisk.state.checkpoints.size > 0 && [...modelDisk.state.checkpoints.values()].every(({ partitions }) =>
    partitions.every(({ partition, nextOffset }) => nextOffset === BigInt(logDisk.partitions[partition]?.records.length ?? 0)))
  for (let part = 0; part < parts; part++) {
    const node: SimulatedNode = { name: `run ${part}`, skewMs: 0, state: "running" }
    const stop = Deferred.makeUnsafe<void>()
    let isAppended = false
    const program = Effect.gen(function* () {
      const log = yield* EventLog
      yield* ensureGenerations(definitions)
      for (const { partition, value } of records.slice(part * size, (part + 1) * size)) {
        yield* log.append([{ partition, key: "k", value }])
        yield* Effect.yieldNow
      }
    })
    const observer = { committed: () => {}, halted: (halt: Halt) => void halts.push(halt), retrying: () => {} }
    time.start(node, Effect.andThen(program, Effect.sync(() => { isAppended = true })).pipe(Effect.provide(layer)), () => {})
    expect(time.runUntil(time.nowMs + 1_000, () => isAppended)).toBe(true)
    let end: { readonly failure: ProcessFailure | undefined } | undefined
    time.start(node, runLanes({ lanes: Array.from({ length: lanes }, (_, lane) => lane), stop: Deferred.await(stop), observer }).pipe(Effect.provide(layer)), (failure) => { end = { failure } })
    expect(time.runUntil(time.nowMs + 60_000, isAtEnd)).toBe(true)
    Effect.runSync(Deferred.succeed(stop, undefined))
    expect(time.runUntil(time.nowMs + 10_000, () => end !== undefined)).toBe(true)
    expect(end).toEqual({ failure: undefined })
    time.kill(node)
  }
  expect(halts).toEqual([])
  return { state: modelDisk.state, log: logDisk.partitions.map(({ records: stored }) => stored) }
}

/** Every lane's oracle over the whole log. */
const oracles = (log: readonly (readonly Uint8Array[])[], lanes: number) =>
  simulatedProjections.flatMap(({ twin }) => Array.from({ length: lanes }, (_, lane) => {
    const partitions = log.map((_records, partition) => partition).filter((partition) => partition % lanes === lane)
    const oracle = new Oracle(twin, oracleSeed("sim-log"), partitions)
    for (const partition of partitions) for (const record of log[partition] ?? []) oracle.take(partition, record)
    return { id: { projection: twin.name, generation: 1, lane }, oracle }
  }))

/** Ledgers, counters and clocks of all lanes: nothing of them may depend on the number of lanes. */
const ledgersOf = (state: ModelState) => ({
  late: [...state.late].map(([name, { entry }]) => [name, entry] as const).sort(),
  duplicates: [...state.duplicates].map(([name, { entry }]) => [name, entry] as const).sort(),
  deadLetters: [...state.deadLetters].map(([name, { entry }]) => [name, entry] as const).sort(),
  partitions: [...state.checkpoints.values()].flatMap(({ lane, partitions }) => partitions.map((partition) => [`${lane.projection} ${partition.partition}`, partition] as const)).sort(([a], [b]) => (a < b ? -1 : 1))
})

const digestsOf = (state: ModelState) => [...state.checkpoints].map(([lane, { digest }]) => [lane, Buffer.from(digest).toString("hex")]).sort()

describe("what the runtime commits is what the oracle computes from the raw log", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`for the random log of seed ${seed}, with 1, 2 and 4 lanes and any flush boundaries`, () => {
      const records = randomLog(seed, RECORDS)
      let ledgers: unknown
      for (const lanes of [1, 2, 4]) {
        let digests: unknown
        for (const parts of [1, 3, 17]) {
          const { state, log } = runParts(records, lanes, parts, seed * 100 + parts)
          for (const { id, oracle } of oracles(log, lanes)) expect(laneDifferences(oracle, state, id).slice(0, 3), `${id.projection}, lane ${id.lane} of ${lanes}, ${parts} runs`).toEqual([])
          digests ??= digestsOf(state)
          expect(digestsOf(state)).toEqual(digests)
          ledgers ??= ledgersOf(state)
          expect(ledgersOf(state)).toEqual(ledgers)
        }
      }
    })
  }

  it("and the logs reach every rule", () => {
    const seen = { late: 0, applied: 0, held: 0, duplicates: 0, imports: 0, other: 0, dropped: 0, codes: new Set<string>() }
    for (let seed = 1; seed <= SEEDS; seed++) {
      const log = Array.from({ length: PARTITIONS }, (): Uint8Array[] => [])
      for (const { partition, value } of randomLog(seed, RECORDS)) log[partition]?.push(value)
      for (const { oracle } of oracles(log, 1)) {
        seen.dropped += oracle.dropped
        for (const { key, backfillEvents } of oracle.rows.values()) {
          if (key.includes("__other__")) seen.other += 1
          seen.imports += Number(backfillEvents)
        }
        for (const { counters, deadLetters } of oracle.partitions.values()) {
          seen.late += Number(counters.late)
          seen.applied += Number(counters.applied)
          seen.held += Number(counters.held)
          seen.duplicates += Number(counters.duplicate)
          for (const { code } of deadLetters.values()) seen.codes.add(code)
        }
      }
    }
    expect([...seen.codes].sort()).toEqual(["DECIMAL_SCALE", "ENVELOPE", "EXPRESSION", "MEASURE_MISSING", "UNSAFE_INTEGER", "UPCAST", "WINDOW_EXPIRED"])
    for (const [name, count] of Object.entries(seen)) if (typeof count === "number") expect(count, name).toBeGreaterThan(10)
  })
})
