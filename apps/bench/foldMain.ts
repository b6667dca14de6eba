/**
 * Entry of a process that folds all lanes of a log which another process writes, and drains the outbox. `wake` and
 * `stop` come as messages; the records of each commit go back.
 */
import { pubSubInProcess } from "@tidemark/infra-embedded/PubSubInProcess"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { makeOutboxDrain } from "@tidemark/projections/runtime/outboxDrain"
import { runLanes } from "@tidemark/projections/runtime/runLanes"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { configurationOf } from "./benchLog.ts"

export type ToFold = "wake" | "memory" | "stop"
/** Bytes: objects of JavaScript after a full collection where the process may ask for one, and buffers outside of them. */
export interface Memory {
  readonly heap: number
  readonly buffers: number
}

export type FromFold = { readonly kind: "committed"; readonly records: number } | { readonly kind: "memory"; readonly memory: Memory } | { readonly kind: "failed"; readonly cause: string }

const [dataDir = "", partitions = "", lanes = ""] = process.argv.slice(2)
const shape = { partitions: Number(partitions), lanes: Number(lanes) }
const listeners = new Set<() => void>()
let onStop = () => {}
const stopped = new Promise<void>((resolve) => (onStop = resolve))
const tell = (message: FromFold) => void process.send?.(message)

process.on("message", (message: ToFold) => {
  if (message === "stop") onStop()
  else if (message === "memory") {
    globalThis.gc?.()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    tell({ kind: "memory", memory: { heap: heapUsed, buffers: arrayBuffers } })
  }
  else for (const listener of Array.from(listeners)) listener()
})
const engines = readerEngines(configurationOf(dataDir, shape), (listener) => {
  listeners.add(listener)
  return () => void listeners.delete(listener)
})
const drain = makeOutboxDrain()
const fold = runLanes({
  lanes: Array.from({ length: shape.lanes }, (_, lane) => lane),
  stop: Effect.promise(() => stopped),
  observer: {
    committed: (reports) => {
      drain.wake()
      tell({ kind: "committed", records: reports.reduce((sum, { records }) => sum + records, 0) })
    },
    halted: ({ code, detail }) => tell({ kind: "failed", cause: `${code}: ${detail}` }),
    retrying: ({ cause }) => tell({ kind: "failed", cause })
  }
})
await Effect.runPromise(Effect.raceFirst(fold, drain.run).pipe(Effect.provide(Layer.merge(engines, pubSubInProcess))))
process.disconnect()
