/** Entry of the thread that writes the log. */
import { parentPort, workerData } from "node:worker_threads"
import type { CommitThreadStart, ToCommitThread } from "./commitThread.ts"
import { makeCommit } from "./logCommit.ts"
import { openLogStores } from "./logStores.ts"

if (parentPort === null) throw new Error("started by the log only")
const port = parentPort
const { root, blocks } = openLogStores((workerData as CommitThreadStart).directory)
const commit = makeCommit(blocks)
port.on("message", (message: ToCommitThread) => {
  if (message === "close") void root.close().finally(() => port.close())
  else port.postMessage(commit(message))
})
