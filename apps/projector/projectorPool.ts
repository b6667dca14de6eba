/**
 * The projector threads of one process: each folds its share of the lanes that the process owns into the read models.
 *
 * A thread that dies starts again from the checkpoint of its lanes; the third death within a minute is given up and
 * reported: the process must end then.
 */
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import type { FlushReport, RereadReport } from "@tidemark/projections/runtime/observer"
import { inspect } from "node:util"
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeBell } from "./appendSignal.ts"
import { laneShares } from "./laneShares.ts"
import type { FromWorker, LaneFailure, ToWorker, WorkerStart } from "./messages.ts"

const WAKE_EVERY_MS = 5
const DEATHS_MAX = 3
const DEATHS_WITHIN_MS = 60_000
/** Time for the assignment of lanes to notice what the epoch has shown already. */
const FENCED_REST_MS = 2_000
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
  readonly processors: number
  readonly startThread: StartThread
  readonly nowMs: () => number
  readonly onCommitted: (reports: readonly FlushReport[]) => void
  readonly onHalted: (halt: Halt) => void
  /** A lane was taken over and reads these records again. */
  readonly onReread?: (reports: readonly RereadReport[]) => void
  readonly onRetrying: (failure: LaneFailure) => void
  /** Another owner took a lane of this thread, which starts again after a rest unless its lanes are given away by then. */
  readonly onFenced: (lanes: readonly number[], detail: string) => void
  /** A thread died and was started again. */
  readonly onRestarted: (lanes: readonly number[], cause: string) => void
  /** A thread keeps dying; one sentence. */
  readonly onGivenUp: (sentence: string) => void
}

export interface ProjectorPool {
  /** The log grew. */
  readonly appended: () => void
  /** Folds these lanes from now on. Threads that lose or win a lane are stopped well and started anew; the others go on. */
  readonly own: (lanes: readonly number[]) => Effect.Effect<void>
  /** Flushes and checkpoints every lane and ends the threads; within 5 s. */
  readonly stop: Effect.Effect<void>
}

/** What a thread died of; an error that crosses threads may have lost its prototype. */
const messageOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : inspect(error))

/** Threads that run `entry`, a module that calls `runWorker`; `settings` must be plain data. `execArgv`: Node's flags for them; those of the process when absent. */
export const threadsOf = (entry: URL, settings: unknown, execArgv?: string[]): StartThread => (lanes, { message, exit }) => {
  let cause: string | undefined
  const worker = new Worker(entry, { workerData: { settings, lanes } satisfies WorkerStart, name: `projector ${lanes.join(",")}`, ...(execArgv === undefined ? {} : { execArgv }) })
  worker.on("message", message)
  worker.on("error", (error) => (cause = messageOf(error)))
  worker.on("exit", (code) => exit(cause ?? `exit code ${code}`))
  return { post: (value) => worker.postMessage(value), terminate: () => worker.terminate() }
}

class Pool {
  private readonly threads = new Map<readonly number[], Thread>()
  /** Called when the thread that leaves has ended. */
  private readonly leaving = new Map<readonly number[], () => void>()
  private readonly fenced = new Set<readonly number[]>()
  private readonly resting = new Map<string, NodeJS.Timeout>()
  private deaths: number[] = []
  private stopping = false
  private readonly bell = makeBell(WAKE_EVERY_MS, () => this.post({ kind: "appended" }))
  private readonly options: PoolOptions

  constructor(options: PoolOptions) {
    this.options = options
  }

  async own(lanes: readonly number[]): Promise<void> {
    if (this.stopping) return
    const wanted = new Map(laneShares(lanes, this.options.processors).map((share) => [share.join(","), share]))
    for (const [name, timer] of this.resting) {
      clearTimeout(timer)
      this.resting.delete(name)
    }
    const current = [...this.threads.keys()]
    await Promise.all(current.filter((share) => !wanted.has(share.join(","))).map((share) => this.leave(share)))
    if (this.stopping) return
    const kept = new Set([...this.threads.keys()].map((share) => share.join(",")))
    for (const [name, share] of wanted) if (!kept.has(name)) this.start(share)
  }

  readonly appended = (): void => this.bell.pull()

  private post(message: ToWorker): void {
    for (const thread of this.threads.values()) thread.post(message)
  }

  private start(lanes: readonly number[]): void {
    const { onCommitted, onHalted, onRetrying, onReread } = this.options
    const message = (sent: FromWorker) => {
      if (sent.kind === "committed") onCommitted(sent.reports)
      if (sent.kind === "halted") onHalted(sent.halt)
      if (sent.kind === "reread") onReread?.(sent.reports)
      if (sent.kind === "retrying") onRetrying(sent.failure)
      if (sent.kind === "fenced") {
        this.fenced.add(lanes)
        this.options.onFenced(lanes, sent.detail)
      }
    }
    this.threads.set(lanes, this.options.startThread(lanes, { message, exit: (cause) => this.ended(lanes, cause) }))
  }

  /** Lets a thread flush and end, and ends it when it takes too long. */
  private async leave(lanes: readonly number[]): Promise<void> {
    const thread = this.threads.get(lanes)
    if (thread === undefined) return
    const ended = new Promise<void>((resolve) => this.leaving.set(lanes, resolve))
    thread.post({ kind: "stop" })
    const timer = setTimeout(() => void thread.terminate(), STOP_MS_MAX)
    await ended
    clearTimeout(timer)
  }

  private ended(lanes: readonly number[], cause: string): void {
    this.threads.delete(lanes)
    const left = this.leaving.get(lanes)
    if (left !== undefined) {
      this.leaving.delete(lanes)
      left()
      return
    }
    if (this.fenced.delete(lanes)) {
      const name = lanes.join(",")
      this.resting.set(name, setTimeout(() => {
        this.resting.delete(name)
        if (!this.stopping) this.start([...lanes])
      }, FENCED_REST_MS))
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

  async stop(): Promise<void> {
    this.stopping = true
    this.bell.stop()
    for (const timer of this.resting.values()) clearTimeout(timer)
    await Promise.all([...this.threads.keys()].map((share) => this.leave(share)))
  }
}

/** A pool that owns no lane yet; its threads are stopped with the scope at the latest. */
export const makeProjectorPool = (options: PoolOptions): Effect.Effect<ProjectorPool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Pool(options)),
    (pool) => Effect.promise(() => pool.stop())
  ).pipe(Effect.map((pool) => ({ appended: pool.appended, own: (lanes) => Effect.promise(() => pool.own(lanes)), stop: Effect.promise(() => pool.stop()) })))
