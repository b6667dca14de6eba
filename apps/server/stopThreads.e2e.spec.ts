import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { readConfiguration } from "@tidemark/infra-wiring/configuration"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { engines } from "@tidemark/infra-wiring/engines"
import { pageViews } from "@tidemark/projections/page-views/projection"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { digestLabel, modelDigest } from "@tidemark/projections/runtime/modelDigest"
import { makeProjectorPool, threadsOf } from "@tidemark/projector/projectorPool"
import { buildGeneration, buildProgress, createShadow } from "@tidemark/replay/buildGeneration"
import { allow, makePaceMemory } from "@tidemark/replay/pace"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { checksOf } from "./checkThread.ts"
import { foldInThreads } from "./foldThreads.ts"

const PARTITIONS = 2
const LANES = [0, 1]
const START_MS = 1_700_000_040_000
/** Far more than is folded between two flushes under backlog. */
const RECORDS = 600_000
const APPENDED_AT_ONCE = 1_000
const CAP_PER_SECOND = 1_000
const SHADOW = { projection: pageViews.name, generation: 2 }
const PROJECTOR_THREAD = new URL("../projector/dist/workerMain.js", import.meta.url)
const CHECK_THREAD = new URL("dist/workerMain.js", import.meta.url)
/** The threads run what is built, as in production: without the flags under which specifications run the sources. */
const BUILT: string[] = []

const view = (i: number) => ({
  partition: i % PARTITIONS, key: "k",
  value: encodeEvent({
    id: `e${i}`, source: "s", type: "page.viewed", timeMs: START_MS + i, receivedAtMs: START_MS + i, tenantId: "t", partitionKey: `t:u${i % PARTITIONS}`, userId: `u${i % 97}`, schemaVersion: 2
  }, JSON.stringify({ page: `/${i % 1_000}`, durationMs: i % 500 }))
})

/** Appends the backlog; answers how many records the log holds. */
const backlog = Effect.gen(function* () {
  const log = yield* EventLog
  for (let at = 0; at < RECORDS; at += APPENDED_AT_ONCE) yield* log.append(Array.from({ length: APPENDED_AT_ONCE }, (_, i) => view(at + i)))
  yield* ensureGenerations([pageViews])
  return (yield* buildProgress({ ...SHADOW, generation: 1 }, LANES)).total
})

const digestOf = (generation: number) => Effect.scoped(Effect.gen(function* () {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const record = yield* snapshot.generation(pageViews.name, generation)
  if (record === undefined) throw new Error(`no generation ${generation}`)
  return digestLabel((yield* modelDigest(snapshot, record, [])).digest)
}))

/** Folds live, in a thread a lane, until so many records are committed; answers how many were when all had stopped. */
const live = (configuration: Configuration, atLeast: bigint) => Effect.scoped(Effect.gen(function* () {
  const faults: string[] = []
  const reached = yield* Deferred.make<void>()
  let folded = (yield* buildProgress({ ...SHADOW, generation: 1 }, LANES)).processed
  const pool = yield* makeProjectorPool({
    processors: LANES.length + 1, nowMs: () => performance.now(), startThread: threadsOf(PROJECTOR_THREAD, configuration, BUILT),
    onCommitted: (reports) => {
      for (const { records } of reports) folded += BigInt(records)
      if (folded >= atLeast) Deferred.doneUnsafe(reached, Effect.void)
    },
    onHalted: ({ code, detail }) => void faults.push(`${code}: ${detail}`), onRetrying: ({ cause }) => void faults.push(cause), onFenced: (_lanes, detail) => void faults.push(detail),
    onRestarted: (_lanes, cause) => void faults.push(cause), onGivenUp: (sentence) => void faults.push(sentence)
  })
  yield* pool.own(LANES)
  yield* Deferred.await(reached)
  yield* pool.stop
  expect(faults).toEqual([])
  return (yield* buildProgress({ ...SHADOW, generation: 1 }, LANES)).processed
}))

describe("threads that are stopped under backlog, on the embedded engines", () => {
  let directory = ""
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), "tidemark-stop-")) })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("stop where they are, live ones and those of a rebuild, and go on from there to the same rows", async () => {
    const configuration = readConfiguration({
      flags: new Map([["data-dir", directory], ["partitions", String(PARTITIONS)], ["lanes", String(LANES.length)]]), environment: {}, workingDirectory: directory, terminal: false
    })
    const program = Effect.gen(function* () {
      const total = yield* backlog
      const stopped = yield* live(configuration, 1n)
      expect(stopped).toBeGreaterThan(0n)
      expect(stopped).toBeLessThan(total)

      yield* createShadow(pageViews, SHADOW.generation)
      const pace = makePaceMemory()
      allow(pace, CAP_PER_SECOND)
      const fold = foldInThreads(checksOf(CHECK_THREAD, configuration, BUILT), LANES.length)
      const pause = yield* Deferred.make<void>()
      const progress = ({ processed }: { readonly processed: bigint }) => { if (processed > 0n) Deferred.doneUnsafe(pause, Effect.void) }
      expect(yield* buildGeneration({ id: SHADOW, lanes: LANES, stop: Deferred.await(pause), lagMax: 0n, pace, fold, progress })).toBe("stopped")
      const { processed } = yield* buildProgress(SHADOW, LANES)
      expect(processed).toBeGreaterThan(0n)
      expect(processed).toBeLessThan(total / 4n)

      allow(pace, undefined)
      expect(yield* buildGeneration({ id: SHADOW, lanes: LANES, stop: Effect.never, lagMax: 0n, pace, fold })).toBe("caught up")
      expect(yield* live(configuration, total)).toBe(total)
      expect(yield* digestOf(SHADOW.generation)).toBe(yield* digestOf(1))
    })
    await Effect.runPromise(program.pipe(Effect.timeout(240_000), Effect.provide(engines(configuration))))
  }, 270_000)
})
