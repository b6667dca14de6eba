import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { eventLogLmdb } from "@tidemark/infra-embedded/EventLogLmdb"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { revenue } from "@tidemark/projections/revenue/projection"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import { SeededRandom } from "@tidemark/projections/simulation/random"
import { Workload } from "@tidemark/projections/simulation/workload"
import { makeProjectorPool, threadsOf } from "@tidemark/projector/projectorPool"
import { buildGeneration, createShadow } from "@tidemark/replay/buildGeneration"
import type { BuildProgress } from "@tidemark/replay/buildGeneration"
import { allow, allowed, makePaceMemory } from "@tidemark/replay/pace"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { checksOf } from "./checkThread.ts"
import { foldInThreads } from "./foldThreads.ts"
import { prefixText, readLedgers } from "./modelContents.ts"

const PARTITIONS = 4
const RECORDS = 1_500
const START_MS = 1_700_000_000_000
const SEED = 404
const TENANTS = ["acme", "birch", "c"]
const projections = [pageViews, revenue]
/** A lane has one thread at most: more threads than lanes are not started. */
const SHAPES = [[1, 1], [2, 1], [2, 2], [4, 1], [4, 2], [4, 4]] as const
const PROJECTOR_THREAD = new URL("../projector/dist/workerMain.js", import.meta.url)
const CHECK_THREAD = new URL("dist/workerMain.js", import.meta.url)
/** The threads run what is built, as in production: without the flags under which specifications run the sources. */
const BUILT: string[] = []

/** What clients send and what nobody should; the same for every shape. */
const stream = (): readonly LogRecord[] => {
  const workload = new Workload(new SeededRandom(SEED), PARTITIONS, START_MS)
  const stored = Array.from({ length: PARTITIONS }, (): Uint8Array[] => [new Uint8Array()])
  const records: LogRecord[] = []
  while (records.length < RECORDS) {
    for (const { partition, value } of workload.next((asked) => stored[asked] ?? [])) {
      stored[partition]?.push(value)
      records.push({ partition, key: "", value })
    }
  }
  return records
}

/** A generation of every projection: its model digest, ledgers, counters and clocks. */
const outcomeOf = (generation: number) =>
  Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    const found: Record<string, unknown> = {}
    let late = 0n
    for (const { name } of projections) {
      const record = yield* snapshot.generation(name, generation)
      if (record === undefined) throw new Error(`${name} has no generation ${generation}`)
      const { digest, unaccounted } = yield* modelDigest(snapshot, record, TENANTS)
      const parts = (yield* snapshot.checkpoints(name, generation)).flatMap(({ partitions }) => partitions).sort((a, b) => a.partition - b.partition)
      for (const { counters } of parts) late += counters.late
      found[name] = { digest: digestLabel(digest), unaccounted, partitions: parts.map(prefixText), ledgers: yield* readLedgers(snapshot, name, generation, PARTITIONS) }
    }
    return { found, late }
  }))

const isFolded = (generation: number) =>
  Effect.scoped(Effect.gen(function* () {
    const log = yield* EventLog
    const snapshot = yield* (yield* ReadModelStore).snapshot
    for (const { name } of projections) {
      for (const { partitions } of yield* snapshot.checkpoints(name, generation)) {
        for (const { partition, nextOffset } of partitions) if (nextOffset < (yield* log.bounds(partition)).end) return false
      }
    }
    return true
  }))

/** Folds the records as they are appended, in so many threads of the projector. */
const live = (configuration: Configuration, lanes: number, threads: number, records: readonly LogRecord[]) =>
  Effect.scoped(Effect.gen(function* () {
    const random = new SeededRandom(SEED + lanes * 10 + threads)
    const log = yield* EventLog
    const faults: string[] = []
    const started: (readonly number[])[] = []
    const start = threadsOf(PROJECTOR_THREAD, configuration, BUILT)
    const pool = yield* makeProjectorPool({
      processors: threads + 1, nowMs: () => performance.now(), onCommitted: () => {},
      startThread: (share, events) => { started.push(share); return start(share, events) },
      onHalted: ({ code, detail }) => void faults.push(`${code}: ${detail}`), onRetrying: ({ cause }) => void faults.push(cause), onFenced: (_lanes, detail) => void faults.push(detail),
      onRestarted: (_lanes, cause) => void faults.push(cause), onGivenUp: (sentence) => void faults.push(sentence)
    })
    yield* pool.own(Array.from({ length: lanes }, (_, lane) => lane))
    for (let at = 0; at < records.length;) {
      const count = random.between(1, 60)
      yield* log.append(records.slice(at, at + count))
      pool.appended()
      at += count
    }
    while (faults.length === 0 && !(yield* isFolded(1))) yield* Effect.sleep(20)
    yield* pool.stop
    expect({ faults, threads: started.length }).toEqual({ faults: [], threads })
  }))

/** How quickly a replay may go, records a second: at its beginning, and from the first records on that are stored as folded. */
interface Speed {
  readonly first: number | undefined
  readonly then: number | undefined
}

const FULL: Speed = { first: undefined, then: undefined }
const THROTTLED: Speed = { first: 3_000, then: 3_000 }
/** A lane flushes after half a second: at this rate with much left to fold. */
const FASTER: Speed = { first: 1_000, then: undefined }
const SLOWER: Speed = { first: 1_000, then: 600 }

/** Folds the stored log into a generation of every projection, in so many threads of a rebuild; answers how long the quickest took, ms. */
const replay = (configuration: Configuration, lanes: number, threads: number, generation = 2, speed = FULL) =>
  Effect.forEach(projections, Effect.fn(function* (definition) {
    yield* createShadow(definition, generation)
    const fold = foldInThreads(checksOf(CHECK_THREAD, configuration, BUILT), threads)
    const id = { projection: definition.name, generation }
    const pace = makePaceMemory()
    allow(pace, speed.first)
    const progress = ({ processed, total }: BuildProgress): void => {
      if (processed === 0n || processed === total || allowed(pace) === speed.then) return
      allow(pace, speed.then)
    }
    const startedMs = performance.now()
    expect(yield* buildGeneration({ id, lanes: Array.from({ length: lanes }, (_, lane) => lane), stop: Effect.never, lagMax: 0n, fold, pace, progress })).toBe("caught up")
    expect(allowed(pace), "changed while it was folded").toBe(speed.then)
    return performance.now() - startedMs
  })).pipe(Effect.map((took) => Math.min(...took)))

describe("replay in threads, on the embedded engines", () => {
  let directory = ""
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), "tidemark-threads-")) })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  /** What live gave, then what a replay at each of the speeds gives. */
  const shapeOf = async (lanes: number, threads: number, records: readonly LogRecord[], speeds: readonly Speed[] = [FULL]) => {
    const dataDir = join(directory, `${lanes}-${threads}`)
    // The id of the log seeds every hash: the same log in each shape.
    const made = eventLogLmdb({ directory: join(dataDir, "log"), role: "writer", partitions: PARTITIONS, lanes, nowMs: () => START_MS, newLogId: () => "threads" })
    await Effect.runPromise(Effect.provide(Effect.asVoid(Effect.gen(function* () { return yield* EventLog })), made))
    const configuration = readConfiguration({
      flags: new Map([["data-dir", dataDir], ["partitions", String(PARTITIONS)], ["lanes", String(lanes)]]), environment: {}, workingDirectory: directory, terminal: false
    })
    const program = Effect.gen(function* () {
      yield* ensureGenerations(projections)
      yield* live(configuration, lanes, threads, records)
      const outcomes = [{ ...(yield* outcomeOf(1)), tookMs: Infinity }]
      for (const [at, speed] of speeds.entries()) {
        const tookMs = yield* replay(configuration, lanes, threads, at + 2, speed)
        outcomes.push({ ...(yield* outcomeOf(at + 2)), tookMs })
      }
      return outcomes
    })
    return Effect.runPromise(program.pipe(Effect.timeout(120_000), Effect.provide(engines(configuration))))
  }

  it("gives the digests, ledgers and counters that live gave, with 1, 2 and 4 lanes and threads", async () => {
    const records = stream()
    let first: unknown
    for (const [lanes, threads] of SHAPES) {
      const [lived, replayed] = await shapeOf(lanes, threads, records)
      expect(lived?.late).toBeGreaterThan(50n)
      first ??= lived?.found
      expect(lived?.found, `live, ${lanes} lanes, ${threads} threads`).toEqual(first)
      expect(replayed?.found, `replay, ${lanes} lanes, ${threads} threads`).toEqual(first)
    }
  }, 300_000)

  it("gives them at full speed, throttled, and while the throttle changes, in 1 and 2 threads", async () => {
    const records = stream()
    const speeds = [FULL, THROTTLED, FASTER, SLOWER]
    for (const threads of [1, 2]) {
      const [lived, ...replayed] = await shapeOf(2, threads, records, speeds)
      expect(lived?.late).toBeGreaterThan(50n)
      expect(replayed).toHaveLength(speeds.length)
      for (const [at, { found, tookMs }] of replayed.entries()) {
        const { first } = speeds[at] ?? FULL
        expect(found, `${threads} threads, ${JSON.stringify(speeds[at])}`).toEqual(lived?.found)
        // One lane flushes after half a second; what it has read by then was waited for.
        if (first !== undefined) expect(tookMs).toBeGreaterThan(((RECORDS / first) * 1_000) / 4)
      }
    }
  }, 300_000)
})
