/** Entry of the thread that writes rejected events. */
import { parentPort, workerData } from "node:worker_threads"
import { openRoot, tellingUnsynced } from "./lmdbEnvironment.ts"
import { putTogether, rejectedStores } from "./rejectedStores.ts"
import type { FromRejectedThread, RejectedThreadStart, ToRejectedThread } from "./rejectedThread.ts"

if (parentPort === null) throw new Error("started by the rejected log only")
const port = parentPort
const { directory, limits } = workerData as RejectedThreadStart
const root = openRoot(directory)
let unsynced: string | undefined
const transact = tellingUnsynced((action) => root.transactionSync(action), { directory, onUnsynced: (reason) => (unsynced = reason) })
const stores = rejectedStores(root, transact, limits)

port.on("message", (message: ToRejectedThread) => {
  if (message === "close") return void root.close().finally(() => port.close())
  const outcomes = putTogether(stores, message, () => unsynced !== undefined)
  port.postMessage((unsynced === undefined ? { outcomes } : { unsynced }) satisfies FromRejectedThread)
})
