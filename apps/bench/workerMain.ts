/** Entry of a thread that folds a share of the lanes once it is told to begin, so that loading code is not measured. */
import { once } from "node:events"
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import type { WorkerStart } from "@tidemark/projector/messages"
import { runWorker } from "@tidemark/projector/runWorker"

const { settings, lanes } = workerData as WorkerStart
if (parentPort === null) throw new Error("started by the benchmark only")
parentPort.postMessage({ kind: "loaded" })
await once(parentPort, "message")
await runWorker(parentPort, lanes, (onWake) => readerEngines(settings as Configuration, onWake))
