import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { readConfiguration } from "./configuration.ts"
import { engines } from "./engines.ts"

const APPENDS = 400
const PER_APPEND = 3

interface Seen {
  readonly offset: bigint
  readonly text: string
}

describe("the engines of a second thread", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-threads-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("read by offset what this thread appends meanwhile, and commit what this thread then sees", async () => {
    const configuration = readConfiguration({ flags: new Map(), environment: { TIDEMARK_PARTITIONS: "1" }, workingDirectory: directory, terminal: false })
    const lane = { projection: "p", generation: 1, lane: 0 }
    const program = Effect.gen(function* () {
      const log = yield* EventLog
      const store = yield* ReadModelStore
      yield* store.createGeneration({ projection: "p", generation: 1, definition: "{}", definitionHash: "h", createdAtMs: 1, logId: log.identity.logId, coverage: [] }, [{ lane: 0, partitions: [0] }])
      const worker = new Worker(new URL("./fixtures/readingWorker.mjs", import.meta.url), { workerData: { configuration, lane, records: 1 + APPENDS * PER_APPEND }, execArgv: [] })
      const exited = once(worker, "exit")
      const [opened] = yield* Effect.promise(() => once(worker, "message") as Promise<[unknown]>)
      expect(opened).toEqual({ kind: "open" })
      const answer = once(worker, "message") as Promise<[{ readonly seen: readonly Seen[] }]>
      const sent: Seen[] = []
      for (let i = 0; i < APPENDS; i++) {
        const texts = Array.from({ length: PER_APPEND }, (_, k) => `record ${i}.${k}`)
        const stored = yield* log.append(texts.map((text) => ({ partition: 0, key: "k", value: new TextEncoder().encode(text) })))
        worker.postMessage("appended")
        stored.forEach(({ offset }, k) => sent.push({ offset, text: texts[k] ?? "" }))
      }
      const [{ seen }] = yield* Effect.promise(() => answer)
      expect(seen.slice(1)).toEqual(sent)
      expect(yield* Effect.promise(() => exited)).toEqual([0])
      const [checkpoint] = yield* Effect.scoped(Effect.flatMap(store.snapshot, (snapshot) => snapshot.checkpoints("p", 1)))
      expect(checkpoint).toMatchObject({ epoch: 1n, partitions: [{ nextOffset: BigInt(1 + APPENDS * PER_APPEND) }] })
      // The thread has closed its engines; this one's go on.
      yield* log.append([{ partition: 0, key: "k", value: new TextEncoder().encode("afterwards") }])
      expect(yield* log.bounds(0)).toEqual({ start: 0n, end: BigInt(2 + APPENDS * PER_APPEND) })
    })
    await Effect.runPromise(program.pipe(Effect.provide(engines(configuration))))
  })
})
