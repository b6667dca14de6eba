/** Entry of the thread that keeps the event search fed. */
import { getPriority, setPriority } from "node:os"
import { parentPort, workerData } from "node:worker_threads"
import { EventIndexing } from "@tidemark/domain/ports/EventIndexing"
import * as Effect from "effect/Effect"
import type { Configuration } from "./configuration.ts"
import type { FromIndexingThread, IndexingThreadStart } from "./indexingThread.ts"

/** Steps of 19 below the process: where processors are scarce it gets half of what others get. */
const NICE = 3
const NICE_MAX = 19
const STATUS_EVERY_MS = 500

if (parentPort === null) throw new Error("started by the event index only")
const port = parentPort
// Search is complete without the index, only slower: what is live goes first. Linux counts threads one by one; elsewhere it would be the whole process.
if (process.platform === "linux") setPriority(Math.min(getPriority() + NICE, NICE_MAX))
const { settings, options } = workerData as IndexingThreadStart
const tell = (told: FromIndexingThread): void => port.postMessage(told)
// Loaded here, so that loading gives way as well.
const { indexingEngines } = await import("./distributedIndexing.ts")
await Effect.runPromise(Effect.gen(function* () {
  const indexer = (yield* EventIndexing).indexer({
    ...options,
    retrying: (cause) => tell({ kind: "retrying", cause }),
    halted: ({ code, detail }) => tell({ kind: "halted", code, detail })
  })
  setInterval(() => tell({ kind: "status", status: indexer.status() }), STATUS_EVERY_MS)
  return yield* indexer.run
}).pipe(Effect.provide(indexingEngines(settings as Configuration))))
