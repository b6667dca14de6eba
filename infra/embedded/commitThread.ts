/**
 * Commits in a thread of its own, so that whoever appends goes on while the disk syncs. A thread that dies leaves the
 * outcome of its group unknown; the next group starts another.
 */
import { Worker } from "node:worker_threads"
import type { CommitGroup } from "./logAppender.ts"
import type { Committed, PackedRecords } from "./logCommit.ts"

/** A group to commit, or the request to close the log and end. */
export type ToCommitThread = readonly PackedRecords[] | "close"

export interface CommitThreadStart {
  readonly directory: string
}

interface Running {
  readonly worker: Worker
  readonly exit: Promise<void>
}

/** `entry`: the built `commitThreadMain`. `close` ends the thread; nothing is committed after it. */
export const commitInThread = (entry: URL, directory: string): { readonly commit: CommitGroup; readonly close: () => Promise<void> } => {
  let running: Running | undefined
  let answer: ((committed: Committed) => void) | undefined
  const settle = (committed: Committed): void => {
    const done = answer
    answer = undefined
    done?.(committed)
  }
  const start = (): Running => {
    const worker = new Worker(entry, { workerData: { directory } satisfies CommitThreadStart, name: "log" })
    let cause = ""
    worker.on("message", settle)
    worker.on("error", (error) => (cause = `: ${String(error)}`))
    const exit = new Promise<void>((resolve) => {
      worker.on("exit", () => {
        running = undefined
        settle({ kind: "unknown", reason: `the thread that writes the log ended${cause}` })
        resolve()
      })
    })
    return (running = { worker, exit })
  }
  const tell = ({ worker }: Running, message: ToCommitThread, transferred: readonly ArrayBuffer[]) => worker.postMessage(message, transferred)
  start()
  const commit: CommitGroup = (group, done) => {
    answer = done
    tell(running ?? start(), group, group.map(({ block }) => block.buffer as ArrayBuffer))
  }
  const close = async (): Promise<void> => {
    if (running === undefined) return
    const { exit } = running
    tell(running, "close", [])
    await exit
  }
  return { commit, close }
}
