/** Entry of the thread that writes the log. */
import { constants } from "node:os"
import { parentPort, workerData } from "node:worker_threads"
import type { CommitThreadStart, ToCommitThread } from "./commitThread.ts"
import { makeCommit } from "./logCommit.ts"
import { openLogStores } from "./logStores.ts"

if (parentPort === null) throw new Error("started by the log only")
const port = parentPort
const { directory } = workerData as CommitThreadStart
const { root, blocks } = openLogStores(directory)

/**
 * For tests of the real process alone: `TIDEMARK_FAILPOINT=append-written:k` kills it inside the k-th append, before the
 * sync; `append-unsynced:k` fails that sync as LMDB does.
 */
const failpoint = (): (() => void) | undefined => {
  const [name, at = ""] = (process.env["TIDEMARK_FAILPOINT"] ?? "").split(":")
  if (name !== "append-written" && name !== "append-unsynced") return undefined
  let hits = 0
  return () => {
    if (++hits !== Number(at)) return
    if (name === "append-unsynced") throw Object.assign(new Error("Input/output error"), { code: constants.errno.EIO })
    process.kill(process.pid, "SIGKILL")
  }
}

const commit = makeCommit({ blocks, directory, onWritten: failpoint() })
port.on("message", (message: ToCommitThread) => {
  if (message === "close") void root.close().finally(() => port.close())
  else port.postMessage(commit(message))
})
