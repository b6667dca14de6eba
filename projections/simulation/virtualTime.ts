/**
 * The world's time and scheduler. Fibers of all nodes share one queue from which a seeded draw takes the next task; when
 * nothing is runnable, time jumps to the next timer. Nothing here waits: a run is one synchronous call.
 *
 * A killed node's tasks and timers are never run again, so no finalizer of it runs, as with kill -9; a paused node's wait.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scheduler from "effect/Scheduler"
import type { SeededRandom } from "./random.ts"

/** A process. `skewMs`: how far its clock is ahead of the world's. */
export interface SimulatedNode {
  readonly name: string
  readonly skewMs: number
  /** Its fibers run at most this many operations before the scheduler draws again, at least 3; 512 when absent. */
  readonly operationsMax?: number
  state: "running" | "paused" | "dead"
}

interface Timer {
  readonly atMs: number
  readonly order: number
  /** Undefined: the world's own. */
  readonly node: SimulatedNode | undefined
  readonly run: () => void
}

/** How a process ended of itself; `tag` is the error's, or `defect`. */
export interface ProcessFailure {
  readonly tag: string
  readonly text: string
}

const failureOf = (cause: Cause.Cause<unknown>): ProcessFailure => {
  const error: unknown = Cause.squash(cause)
  const isTagged = Cause.hasFails(cause) && typeof error === "object" && error !== null && "_tag" in error
  return { tag: isTagged ? String(error._tag) : "defect", text: Cause.pretty(cause) }
}

/** Of a node that says nothing else. */
const OPERATIONS_MAX = 512

export class VirtualTime {
  nowMs: number
  /** Set to end `runUntil`. */
  stopped = false
  private readonly random: SeededRandom
  private tasks: { readonly node: SimulatedNode; readonly run: () => void }[] = []
  private timers: Timer[] = []
  private order = 0

  constructor(random: SeededRandom, startMs: number) {
    this.random = random
    this.nowMs = startMs
  }

  /** Runs `run` in `inMs`, unless its node is dead by then. Answers how to cancel it. */
  after(inMs: number, run: () => void, node?: SimulatedNode): () => void {
    const timer: Timer = { atMs: this.nowMs + Math.max(0, inMs), order: ++this.order, node, run }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((other) => other !== timer)
    }
  }

  /** Starts an effect as a process of its own. `ended` hears of its end, not of its being killed. */
  start<A, E>(node: SimulatedNode, effect: Effect.Effect<A, E>, ended: (failure: ProcessFailure | undefined) => void): void {
    const program = effect.pipe(
      Effect.matchCause({ onFailure: (cause) => ended(failureOf(cause)), onSuccess: () => ended(undefined) }),
      Effect.provideService(Clock.Clock, this.clockOf(node))
    )
    Effect.runFork(program, { scheduler: this.schedulerOf(node) })
  }

  /** Drops the node: nothing of it runs again. */
  kill(node: SimulatedNode): void {
    node.state = "dead"
    this.tasks = this.tasks.filter((task) => task.node !== node)
    this.timers = this.timers.filter((timer) => timer.node !== node)
  }

  /** Runs until `done`, or nothing is left to run before `limitMs`. Answers whether `done` came true. */
  runUntil(limitMs: number, done: () => boolean): boolean {
    while (!this.stopped && !done()) {
      if (this.runTask()) continue
      const timer = this.nextTimer()
      if (timer === undefined || timer.atMs > limitMs) {
        this.nowMs = Math.max(this.nowMs, limitMs)
        return done()
      }
      this.timers.splice(this.timers.indexOf(timer), 1)
      this.nowMs = Math.max(this.nowMs, timer.atMs)
      timer.run()
    }
    return done()
  }

  private runTask(): boolean {
    const runnable = this.tasks.filter(({ node }) => node.state === "running")
    if (runnable.length === 0) return false
    const task = this.random.pick(runnable)
    this.tasks.splice(this.tasks.indexOf(task), 1)
    task.run()
    return true
  }

  private nextTimer(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.timers) {
      if (timer.node !== undefined && timer.node.state !== "running") continue
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer
    }
    return next
  }

  private schedulerOf(node: SimulatedNode): Scheduler.Scheduler {
    const { operationsMax = OPERATIONS_MAX } = node
    return {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= operationsMax,
      makeDispatcher: () => ({
        scheduleTask: (run) => {
          if (node.state !== "dead") this.tasks.push({ node, run })
        },
        flush: () => {}
      })
    }
  }

  private clockOf(node: SimulatedNode): Clock.Clock {
    const millis = () => this.nowMs + node.skewMs
    const nanos = () => BigInt(Math.trunc(millis())) * 1_000_000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => Effect.callback<void>((resume) => {
        const cancel = this.after(Duration.toMillis(duration), () => resume(Effect.void), node)
        return Effect.sync(cancel)
      })
    }
  }
}
