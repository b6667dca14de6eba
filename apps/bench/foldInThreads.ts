/** A whole log through every active generation by worker threads, timed from loaded threads to the last commit. */
import { Worker } from "node:worker_threads"
import type { Configuration } from "@tidemark/infra-wiring/configuration"
import type { FromWorker, WorkerStart } from "@tidemark/projector/messages"

export interface Fold {
  readonly configuration: Configuration
  readonly lanes: number
  readonly threads: number
  /** Records of the log. */
  readonly records: number
  /** Active generations. */
  readonly models: number
  /** False: what digests cost is left out, and the rows are not what the stored digests say. True when absent. */
  readonly keepsDigests?: boolean
}

/** What a thread is started with. */
export interface FoldStart extends WorkerStart {
  readonly keepsDigests: boolean
}

export interface Folded {
  readonly seconds: number
  /** Of all threads, collector included. */
  readonly cpuSeconds: number
  /** Commits of all lanes, and the rows they wrote: minute, hour and day, each as often as a commit changed it. */
  readonly flushes: number
  readonly rows: number
}

type Told = FromWorker | { readonly kind: "loaded" }

/** Starts the threads, lets them begin together, and measures until everything is committed. */
export const foldInThreads = async ({ configuration, models, lanes: laneCount, threads, records, keepsDigests = true }: Fold): Promise<Folded> => {
  const shares = Array.from({ length: threads }, (_, share) => Array.from({ length: laneCount }, (_, lane) => lane).filter((lane) => lane % threads === share))
  const workers = shares.map((lanes) => new Worker(new URL("./workerMain.js", import.meta.url), { workerData: { settings: configuration, lanes, keepsDigests } satisfies FoldStart }))
  try {
    let [committed, flushes, rows] = [0, 0, 0]
    let loaded = 0
    let startMs = 0
    let startCpu = process.cpuUsage()
    return await new Promise((resolve, reject) => {
      const onMessage = (told: Told) => {
        if (told.kind === "loaded" && ++loaded === threads) {
          startMs = performance.now()
          startCpu = process.cpuUsage()
          for (const worker of workers) worker.postMessage("begin")
        }
        if (told.kind === "halted") reject(new Error(`${told.halt.code}: ${told.halt.detail}`))
        if (told.kind === "fenced") reject(new Error(told.detail))
        if (told.kind === "retrying") reject(new Error(told.failure.cause))
        if (told.kind !== "committed") return
        for (const report of told.reports) {
          committed += report.records
          flushes += 1
          rows += report.rows
        }
        if (committed !== records * models) return
        const { user, system } = process.cpuUsage(startCpu)
        resolve({ seconds: (performance.now() - startMs) / 1000, cpuSeconds: (user + system) / 1e6, flushes, rows })
      }
      for (const worker of workers) worker.on("message", onMessage).on("error", reject)
    })
  } finally {
    const ended = workers.map((worker) => new Promise((resolve) => worker.on("exit", resolve)))
    for (const worker of workers) worker.postMessage({ kind: "stop" })
    await Promise.all(ended)
  }
}
