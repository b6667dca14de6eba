/**
 * Event indexing in a thread of its own: it decodes each event and writes it as a document, and the thread that answers
 * requests has no time for that. A thread that ends is started again; the index has checkpoints of its own.
 */
import { Worker } from "node:worker_threads"
import { EventIndexHaltedError } from "@tidemark/domain/ports/EventIndexing"
import type { EventIndexerOptions, EventIndexerStatus, EventIndexingShape } from "@tidemark/domain/ports/EventIndexing"
import * as Effect from "effect/Effect"

/** What the thread is started with. `settings` is what its entry opens the engines from. */
export interface IndexingThreadStart {
  readonly settings: unknown
  readonly options: Pick<EventIndexerOptions, "partitions" | "eventsPerSecondMax">
}

/** What the thread tells. Plain data, copied between threads. */
export type FromIndexingThread =
  | { readonly kind: "status"; readonly status: EventIndexerStatus }
  | { readonly kind: "retrying"; readonly cause: string }
  | { readonly kind: "halted"; readonly code: EventIndexHaltedError["code"]; readonly detail: string }

const AGAIN_MS = 1_000

/** Indexers that run `entry`, a module that calls `runIndexing`; `settings` must be plain data. Interrupting one ends its thread. */
export const indexingInThread = (entry: URL, settings: unknown): EventIndexingShape => ({
  indexer: ({ partitions, eventsPerSecondMax, retrying, halted }) => {
    let status: EventIndexerStatus = { halt: undefined, indexed: new Map(), refused: 0 }
    const hear = (told: FromIndexingThread): void => {
      if (told.kind === "status") status = told.status
      else if (told.kind === "retrying") retrying?.(told.cause)
      else halted?.(new EventIndexHaltedError({ code: told.code, detail: told.detail }))
    }
    /** Answers why the thread ended. */
    const thread = Effect.callback<string>((resume) => {
      const options = { ...(partitions === undefined ? {} : { partitions }), ...(eventsPerSecondMax === undefined ? {} : { eventsPerSecondMax }) }
      const worker = new Worker(entry, { workerData: { settings, options } satisfies IndexingThreadStart, name: "event index" })
      let cause: string | undefined
      worker.on("message", hear)
      worker.on("error", (error) => (cause = error instanceof Error ? error.message : String(error)))
      worker.on("exit", (code) => resume(Effect.succeed(cause ?? `exit code ${code}`)))
      return Effect.promise(() => worker.terminate())
    })
    const again = (cause: string): Effect.Effect<void> => Effect.andThen(Effect.sync(() => retrying?.(`the thread of the event index ended: ${cause}`)), Effect.sleep(AGAIN_MS))
    return { run: Effect.forever(Effect.flatMap(thread, again)), status: () => status }
  }
})
