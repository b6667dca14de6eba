/** Entry of a checking thread. */
import { setPriority } from "node:os"
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import type { CheckStart } from "./checkThread.ts"

/** Of 19: where processors are scarce it gets half of what others get. */
const NICE = 3

const { settings, task } = workerData as CheckStart
if (parentPort === null) throw new Error("a checking thread is started by the server")
const isRebuild = task.kind === "rebuild" || task.kind === "fold"
// Where processors are scarce, what is live goes before a rebuild. Linux counts threads one by one; elsewhere it would be the whole process.
if (isRebuild && process.platform === "linux") setPriority(NICE)
// Loaded here, so that loading gives way as well.
const [{ readerEngines }, { checksOf }, { runCheck }] = await Promise.all([import("@tidemark/infra-wiring/engines"), import("./checkThread.ts"), import("./runCheck.ts")])
const engines = readerEngines(settings as Configuration, () => () => {}, isRebuild ? "build" : "serve")
await runCheck(parentPort, task, engines, checksOf(new URL(import.meta.url), settings))
