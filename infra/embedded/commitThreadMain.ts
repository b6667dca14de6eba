/** Entry of the thread that writes the log. */
import { parentPort, workerData } from "node:worker_threads"
import type { CommitThreadStart, ToCommitThread } from "./commitThread.ts"
import { makeCommit } from "./logCommit.ts"
import { openLogStores } from "./logStores.ts"

if (parentPort === null) throw new Error("started by the log only")
const port = parentPort
const { root, blocks } = openLogStores((workerData as CommitThreadStart).directory)

/** For tests of the real process alone: `TIDEMARK_FAILPOINT=append-written:k` kills it inside the k-th append, before the sync. */
const failpoint = (): (() => void) | undefined => {
  const [name, at = ""] = (process.env["TIDEMARK_FAILPOINT"] ?? "").split(":")
  if (name !== "append-written") return undefined
  let hits = 0
  return () => void (++hits === Number(at) && process.kill(process.pid, "SIGKILL"))
}

const commit = makeCommit(blocks, failpoint())
port.on("message", (message: ToCommitThread) => {
  if (message === "close") void root.close().finally(() => port.close())
  else port.postMessage(commit(message))
})
