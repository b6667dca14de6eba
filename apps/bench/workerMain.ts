/** Entry of a thread that folds a share of the lanes once it is told to begin, so that loading code is not measured. */
import { once } from "node:events"
import { parentPort, workerData } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import { readerEngines } from "@tidemark/infra-wiring/engines"
import { runWorker } from "@tidemark/projector/runWorker"
import type { FoldStart } from "./foldInThreads.ts"
import { leaveDigestsOut } from "./leaveDigestsOut.ts"

const { settings, lanes, keepsDigests } = workerData as FoldStart
if (!keepsDigests) leaveDigestsOut()
if (parentPort === null) throw new Error("started by the benchmark only")
parentPort.postMessage({ kind: "loaded" })
await once(parentPort, "message")
await runWorker(parentPort, lanes, (onWake) => readerEngines(settings as Configuration, onWake))
