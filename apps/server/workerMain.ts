/** Entry of a checking thread. */
import { setPriority } from "node:os"
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { checksOf } from "./checkThread.ts"
import type { CheckStart } from "./checkThread.ts"
import { runCheck } from "./runCheck.ts"

/** Of 19: where processors are scarce it gets a third of what others get. */
const NICE = 5

const { settings, task } = workerData as CheckStart
if (parentPort === null) throw new Error("a checking thread is started by the server")
// Where processors are scarce, what is live goes first. Linux counts threads one by one; elsewhere it would be the whole process.
if (process.platform === "linux") setPriority(NICE)
await runCheck(parentPort, task, readerEngines(settings as Configuration, () => () => {}, task.kind === "rebuild" || task.kind === "fold" ? "build" : "serve"), checksOf(new URL(import.meta.url), settings))
