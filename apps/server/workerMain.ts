/** Entry of a checking thread. */
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { checksOf } from "./checkThread.ts"
import type { CheckStart } from "./checkThread.ts"
import { runCheck } from "./runCheck.ts"

const { settings, task } = workerData as CheckStart
if (parentPort === null) throw new Error("a checking thread is started by the server")
await runCheck(parentPort, task, readerEngines(settings as Configuration, () => () => {}), checksOf(new URL(import.meta.url), settings))
