/**
 * Writes rejected events in a thread of its own, so that the caller's goes on while the disk syncs. It is started by the
 * first put: a process that refuses nothing has none. What waits meanwhile is the next commit.
 */
import { Worker } from "node:worker_threads"
import type { RejectedLimits } from "@tidemark/domain/ports/rejectedLimits"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import type { PutOutcome } from "./rejectedStores.ts"

/** Puts to commit together, or the request to close and end. */
export type ToRejectedThread = readonly (readonly RejectedEvent[])[] | "close"

/** Outcomes in the order of the puts, or that the disk did not sync: then the process is to end. */
export type FromRejectedThread = { readonly outcomes: readonly PutOutcome[] } | { readonly unsynced: string }

export interface RejectedThreadStart {
  readonly directory: string
  readonly limits: RejectedLimits
}

interface Waiting {
  readonly entries: readonly RejectedEvent[]
  readonly settle: (outcome: PutOutcome) => void
}

export interface RejectedWriter {
  /** Durable once stored. */
  readonly put: (entries: readonly RejectedEvent[]) => Promise<PutOutcome>
  /** Waits for what was put before. */
  readonly close: () => Promise<void>
}

/** `entry`: the built `rejectedThreadMain`. */
export const putInThread = (entry: URL, { directory, limits, onUnsynced }: RejectedThreadStart & { readonly onUnsynced?: ((reason: string) => void) | undefined }): RejectedWriter => {
  let running: { readonly worker: Worker; readonly exit: Promise<void> } | undefined
  let waiting: Waiting[] = []
  let underWay: readonly Waiting[] = []
  const settle = (outcomeOf: (at: number) => PutOutcome): void => {
    const settled = underWay
    underWay = []
    settled.forEach(({ settle: tell }, at) => tell(outcomeOf(at)))
  }
  const start = () => {
    const worker = new Worker(entry, { workerData: { directory, limits } satisfies RejectedThreadStart, name: "rejected" })
    let cause = ""
    worker.on("message", (told: FromRejectedThread) => {
      if ("unsynced" in told) onUnsynced?.(told.unsynced)
      settle((at) => ("unsynced" in told ? { kind: "failed", reason: told.unsynced } : (told.outcomes[at] ?? { kind: "failed", reason: "the thread did not say" })))
      next()
    })
    worker.on("error", (error) => (cause = `: ${String(error)}`))
    const exit = new Promise<void>((resolve) => {
      worker.on("exit", () => {
        running = undefined
        settle(() => ({ kind: "failed", reason: `the thread that writes rejected events ended${cause}` }))
        next()
        resolve()
      })
    })
    return (running = { worker, exit })
  }
  const next = (): void => {
    if (underWay.length > 0 || waiting.length === 0) return
    underWay = waiting
    waiting = []
    const { worker } = running ?? start()
    worker.postMessage(underWay.map(({ entries }) => entries) satisfies ToRejectedThread)
  }
  const put = (entries: readonly RejectedEvent[]) =>
    new Promise<PutOutcome>((resolve) => {
      waiting.push({ entries, settle: resolve })
      next()
    })
  const close = async (): Promise<void> => {
    if (underWay.length > 0 || waiting.length > 0) await put([])
    if (running === undefined) return
    running.worker.postMessage("close" satisfies ToRejectedThread)
    await running.exit
  }
  return { put, close }
}
