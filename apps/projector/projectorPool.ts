/**
 * The projector threads of one process: each folds its lanes into the read models.
 *
 * A thread that dies starts again from the checkpoint of its lanes; the third death within a minute is given up and
 * reported: the process must end then. Rules: docs/architecture.md §6.
 */
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import type { FlushReport } from "@tidemark/projections/runtime/observer"
import { inspect } from "node:util"
import { Worker } from "node:worker_threads"
import { Effect } from "effect"
import type { Scope } from "effect"
import { makeBell } from "./appendSignal.ts"
import { laneShares } from "./laneShares.ts"
import type { FromWorker, LaneFailure, ToWorker, WorkerStart } from "./messages.ts"

const WAKE_EVERY_MS = 5
const DEATHS_MAX = 3
const DEATHS_WITHIN_MS = 60_000
/** How long a stopping thread may flush before it is ended; its lanes continue at their checkpoint then. */
const STOP_MS_MAX = 5_000

/** What the pool needs of a thread. */
export interface Thread {
  readonly post: (message: ToWorker) => void
  readonly terminate: () => Promise<unknown>
}

export interface ThreadEvents {
  readonly message: (message: FromWorker) => void
  /** Ended, for whatever reason; `cause` says why when it did not end by itself. */
  readonly exit: (cause: string) => void
}

export type StartThread = (lanes: readonly number[], events: ThreadEvents) => Thread

export interface PoolOptions {
  readonly lanes: number
  readonly processors: number
  readonly startThread: StartThread
  readonly nowMs: () => number
  readonly onCommitted: (reports: readonly FlushReport[]) => void
  readonly onHalted: (halt: Halt) => void
  readonly onRetrying: (failure: LaneFailure) => void
  /** A thread died and was started again. */
  readonly onRestarted: (lanes: readonly number[], cause: string) => void
  /** A thread keeps dying; one sentence. */
  readonly onGivenUp: (sentence: string) => void
}

export interface ProjectorPool {
  /** The log grew. */
  readonly appended: () => void
  /** Flushes and checkpoints every lane and ends the threads; within 5 s. */
  readonly stop: Effect.Effect<void>
}

/** What a thread died of; an error that crosses threads may have lost its prototype. */
const messageOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : inspect(error))

/** Threads that run `entry`, a module that calls `runWorker`; `settings` must be plain data. */
export const threadsOf = (entry: URL, settings: unknown): StartThread => (lanes, { message, exit }) => {
  let cause: string | undefined
  const worker = new Worker(entry, { workerData: { settings, lanes } satisfies WorkerStart, name: `projector ${lanes.join(",")}` })
  worker.on("message", message)
  worker.on("error", (error) => (cause = messageOf(error)))
  worker.on("exit", (code) => exit(cause ?? `exit code ${code}`))
  return { post: (value) => worker.postMessage(value), terminate: () => worker.terminate() }
}

class Pool {
  private readonly threads = new Map<readonly number[], Thread>()
  private readonly idle = new Set<() => void>()
  private deaths: number[] = []
  private stopping = false
  private readonly bell = makeBell(WAKE_EVERY_MS, () => this.post({ kind: "appended" }))
  private readonly options: PoolOptions

  constructor(options: PoolOptions) {
    this.options = options
    for (const lanes of laneShares(options.lanes, options.processors)) this.start(lanes)
  }

  readonly appended = (): void => this.bell.pull()

  private post(message: ToWorker): void {
    for (const thread of this.threads.values()) thread.post(message)
  }

  private start(lanes: readonly number[]): void {
    const { onCommitted, onHalted, onRetrying } = this.options
    const message = (sent: FromWorker) => {
      if (sent.kind === "committed") onCommitted(sent.reports)
      if (sent.kind === "halted") onHalted(sent.halt)
      if (sent.kind === "retrying") onRetrying(sent.failure)
    }
    this.threads.set(lanes, this.options.startThread(lanes, { message, exit: (cause) => this.ended(lanes, cause) }))
  }

  private ended(lanes: readonly number[], cause: string): void {
    this.threads.delete(lanes)
    if (this.stopping) {
      if (this.threads.size === 0) for (const done of this.idle) done()
      return
    }
    const nowMs = this.options.nowMs()
    this.deaths = [...this.deaths.filter((atMs) => nowMs - atMs < DEATHS_WITHIN_MS), nowMs]
    if (this.deaths.length >= DEATHS_MAX) {
      this.options.onGivenUp(`Projector threads died ${this.deaths.length} times within a minute, last the one of lanes ${lanes.join(", ")}: ${cause}`)
      return
    }
    this.options.onRestarted(lanes, cause)
    this.start(lanes)
  }

  private readonly drained = new Promise<void>((resolve) => this.idle.add(resolve))

  async stop(): Promise<void> {
    if (!this.stopping) {
      this.stopping = true
      this.bell.stop()
      this.post({ kind: "stop" })
    }
    if (this.threads.size === 0) return
    const timer = setTimeout(() => {
      for (const thread of this.threads.values()) void thread.terminate()
    }, STOP_MS_MAX)
    await this.drained
    clearTimeout(timer)
  }
}

/** Starts the threads; they are stopped with the scope at the latest. */
export const makeProjectorPool = (options: PoolOptions): Effect.Effect<ProjectorPool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Pool(options)),
    (pool) => Effect.promise(() => pool.stop())
  ).pipe(Effect.map((pool) => ({ appended: pool.appended, stop: Effect.promise(() => pool.stop()) })))
