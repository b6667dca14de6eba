/** Entry of a projector thread. */
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import type { WorkerStart } from "./messages.ts"
import { runWorker } from "./runWorker.ts"

const { settings, lanes } = workerData as WorkerStart
if (parentPort === null) throw new Error("a projector thread is started by a projector pool")
await runWorker(parentPort, lanes, (onWake) => readerEngines(settings as Configuration, onWake))
