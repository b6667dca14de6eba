/**
 * The only loop of the product: read → classify → fold → flush, for one lane. Rules: docs/semantics.md §4, §7.
 *
 * Whatever goes wrong with an engine, all memory goes and the lane is taken over again from its checkpoint; whatever
 * goes wrong with a generation halts that one and no other.
 */
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { FencedError, GenerationMissingError, Halt } from "@tidemark/domain/ports/ReadModelStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { choiceText, chosenGenerations, currentChoice } from "./chosenGenerations.ts"
import type { Choice } from "./chosenGenerations.ts"
import { flushLane } from "./flushLane.ts"
import { FlushSchedule } from "./flushSchedule.ts"
import { foldBatch } from "./foldBatch.ts"
import type { FoldFailure } from "./foldBatch.ts"
import { pendingRecords, pendingRows } from "./generationLane.ts"
import type { GenerationLane } from "./generationLane.ts"
import type { HaltError } from "./halt.ts"
import { MEMORY_LIMITS } from "./memoryLimits.ts"
import type { MemoryLimits } from "./memoryLimits.ts"
import type { RuntimeObserver } from "./observer.ts"
import { openLane } from "./openLane.ts"
import type { OpenLane } from "./openLane.ts"
import { readLog } from "./readLog.ts"
import { Rereads } from "./rereads.ts"
import { saveIndex } from "./saveIndex.ts"

/** A lane that is slowed reads in small steps, or it would run and stand by turns. */
const PACED_READ_BYTES_MAX = 64 << 10
const IDLE_WAIT_MS = 500
/** A lane that never waits lets its thread hear what it is told this often, ms. */
const TURN_MS = 20
const INDEX_EVERY_MS = 10_000
/** A partition's index is saved after this many records at the latest: the past is read from the nearest clocks it keeps. */
const INDEX_EVERY_RECORDS = 65_536
/** What is to be folded may change: looked at this often, ms. */
const CHOICE_EVERY_MS = 500

/** What a lane that is built spends its time on. */
export type Activity = "read" | "fold" | "write"

/** How a rebuild is slowed, and what takes its time. */
export interface Pace {
  readonly isSlowed: () => boolean
  /** Waited for after each read that brought records. */
  readonly wait: (records: number) => Effect.Effect<void>
  /** Does it, and notes how long it took. */
  readonly timed: <A, E, R>(activity: Activity, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export interface RunLaneOptions {
  readonly lane: number
  /** Once it completes, the lane flushes what it holds, saves its index and returns. Must be complete at once when it is: see `runLanes`. */
  readonly stop: Effect.Effect<void>
  readonly observer: RuntimeObserver
  /** What is folded; the active and followed generations unless a rebuild says which one it builds. */
  readonly choice?: Choice
  readonly pace?: Pace
  readonly limits?: MemoryLimits
}

/** A lane between taking over and losing its memory. */
interface Session {
  readonly open: OpenLane
  generations: readonly GenerationLane[]
  readonly schedule: FlushSchedule
  /** The last read left nothing in the log. */
  drained: boolean
  lastIndexMs: number
  chosenMs: number
  stopped: boolean
  /** Something else is to be folded now: take over again. */
  changed: boolean
}

const recordHalt = Effect.fn("recordHalt")(function* (options: RunLaneOptions, projection: string, generation: number, { code, detail }: HaltError) {
  const store = yield* ReadModelStore
  const halt: Halt = { projection, generation, lane: options.lane, code, detail, atMs: yield* Clock.currentTimeMillis }
  yield* store.recordHalt(halt)
  yield* Effect.sync(() => options.observer.halted(halt))
})

const drop = Effect.fn("drop")(function* (options: RunLaneOptions, session: Session, failures: readonly FoldFailure[]) {
  for (const { generation, error } of failures) {
    session.generations = session.generations.filter((other) => other !== generation)
    yield* recordHalt(options, generation.id.projection, generation.id.generation, error)
  }
})

/** Work of a lane that is built is timed; of a live one it is only done. */
const timed = <A, E, R>({ pace }: RunLaneOptions, activity: Activity, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => (pace === undefined ? work : pace.timed(activity, work))

const flush = Effect.fn("flush")(function* (options: RunLaneOptions, session: Session) {
  const store = yield* ReadModelStore
  const beganMs = yield* Clock.currentTimeMillis
  const { reports, failures } = yield* timed(options, "write", flushLane(store, session.generations, session.open.readers))
  yield* drop(options, session, failures)
  const nowMs = yield* Clock.currentTimeMillis
  session.schedule.flushed(nowMs, session.drained, nowMs - beganMs)
  if (reports.length > 0) yield* Effect.sync(() => options.observer.committed(reports))
  const readers = [...session.open.readers.values()]
  if (nowMs - session.lastIndexMs >= INDEX_EVERY_MS || readers.some(({ isIndexed, state }) => isIndexed && state.unsegmented >= INDEX_EVERY_RECORDS)) {
    session.lastIndexMs = nowMs
    yield* saveIndex(session.open.readers)
  }
})

const choiceOf = ({ choice = "served" }: RunLaneOptions): Choice => choice

/** Ends the session, with everything flushed, once something else is to be folded. */
const watchChoice = Effect.fn("watchChoice")(function* (options: RunLaneOptions, session: Session) {
  const nowMs = yield* Clock.currentTimeMillis
  if (nowMs < session.chosenMs + CHOICE_EVERY_MS) return
  session.chosenMs = nowMs
  if ((yield* currentChoice(choiceOf(options))) === session.open.choice) return
  session.changed = true
  if (totals(session).records > 0) yield* flush(options, session)
  yield* saveIndex(session.open.readers)
})

const totals = ({ generations }: Session): { readonly records: number; readonly rows: number } => {
  let [records, rows] = [0, 0]
  for (const generation of generations) {
    records += pendingRecords(generation)
    rows += pendingRows(generation)
  }
  return { records, rows }
}

/** One read and what it leads to. */
const step = Effect.fn("step")(function* (options: RunLaneOptions, session: Session) {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  const { readers } = session.open
  const limits = options.limits ?? MEMORY_LIMITS
  const seed = hashSeedOf(log.identity.logId)
  const bytesMax = options.pace?.isSlowed() === true ? Math.min(PACED_READ_BYTES_MAX, limits.readBytesMax) : limits.readBytesMax
  const from = [...readers.values()].map(({ partition, state }) => ({ partition, nextOffset: state.nextOffset }))
  const pending = totals(session).records > 0
  const restMs = pending ? session.schedule.restMs(yield* Clock.currentTimeMillis) : IDLE_WAIT_MS
  // What comes until the flush is read with one read right before it: one for each append would cost more than the fold.
  const gathers = pending && session.drained && restMs > 0
  const reading = readLog(log, from, { bytesMax, waitMaxMs: gathers ? 0 : restMs })
  const read = Effect.map(gathers ? Effect.andThen(Effect.sleep(restMs), reading) : reading, (batches) => ({ batches, stopped: false }))
  // The stop comes first: under backlog every read is ready at once.
  const { batches, stopped } = yield* timed(options, "read", Effect.raceFirst(Effect.as(options.stop, { batches: [], stopped: true }), read))
  session.stopped = stopped
  let arrived = 0
  const behind = new Map<number, boolean>()
  for (const batch of batches) {
    const reader = readers.get(batch.partition)
    if (reader === undefined) continue
    yield* drop(options, session, yield* timed(options, "fold", foldBatch(store, reader, session.generations, batch, seed)))
    session.schedule.folded(batch.bytes.length)
    arrived += batch.ends.length
    behind.set(batch.partition, batch.more)
  }
  // Not by the size of the read: a log answers with less than asked for as it likes.
  session.drained = ![...behind.values()].includes(true)
  const { records, rows } = totals(session)
  if (records === 0) return
  if (arrived > 0 && options.pace !== undefined && !stopped) yield* Effect.raceFirst(options.pace.wait(arrived), options.stop)
  if (stopped || session.schedule.isDue(yield* Clock.currentTimeMillis, session.drained, rows)) yield* flush(options, session)
})

/** Nothing can be folded: waits until something else is to be. */
const awaitChange = Effect.fn("awaitChange")(function* (options: RunLaneOptions, before: string) {
  const choice = choiceOf(options)
  if (choice !== "served") return yield* Effect.as(options.stop, "stopped" as const)
  for (;;) {
    const stopped = yield* Effect.raceFirst(Effect.as(Effect.sleep(CHOICE_EVERY_MS), false), Effect.as(options.stop, true))
    if (stopped) return "stopped" as const
    if ((yield* currentChoice(choice)) !== before) return "changed" as const
  }
})

/** Runs from the checkpoint until it is stopped, something else is to be folded, or every generation has halted and something else is. */
const runSession = Effect.fn("runSession")(function* (options: RunLaneOptions, rereads: Rereads) {
  const open = yield* openLane(options.lane, choiceOf(options))
  const reread = rereads.taken(open)
  if (reread.length > 0) yield* Effect.sync(() => options.observer.reread?.(reread))
  for (const { record, error } of open.halted) yield* recordHalt(options, record.projection, record.generation, error)
  const startMs = yield* Clock.currentTimeMillis
  const session: Session = { open, generations: open.generations, schedule: new FlushSchedule(startMs, open.behind, options.limits), drained: false, lastIndexMs: startMs, chosenMs: startMs, stopped: false, changed: false }
  const halting = (error: HaltError) => drop(options, session, session.generations.map((generation) => ({ generation, error })))
  let turnMs = startMs
  const fold = Effect.gen(function* () {
    while (!session.stopped && !session.changed && session.generations.length > 0) {
      yield* Effect.catchTag(step(options, session), "HaltError", halting)
      // A thread is told to stop between two turns of its event loop: under backlog nothing else lets one end.
      const nowMs = yield* Clock.currentTimeMillis
      if (nowMs - turnMs >= TURN_MS) {
        yield* Effect.yieldNow
        turnMs = nowMs
      }
      if (!session.stopped) yield* watchChoice(options, session)
    }
  })
  yield* Effect.onError(fold, () => Effect.sync(() => rereads.lost(session.generations)))
  if (session.stopped) yield* saveIndex(open.readers)
  return session.stopped ? "stopped" : session.changed ? "changed" : yield* awaitChange(options, open.choice)
})

/** No partition can be read: every generation stands still until something else is to be folded. */
const haltAll = Effect.fn("haltAll")(function* (options: RunLaneOptions, error: HaltError) {
  const chosen = yield* chosenGenerations(choiceOf(options))
  for (const { projection, generation } of chosen) yield* recordHalt(options, projection, generation, error)
  return yield* awaitChange(options, choiceText(chosen))
})

/** One session. A fence that comes with something else to be folded is answered like any such change. */
const takeOverAndRun = Effect.fn("takeOverAndRun")(function* (options: RunLaneOptions, rereads: Rereads) {
  const choice = currentChoice(choiceOf(options))
  const before = yield* choice
  const reopen = Effect.fn("reopen")(function* (error: FencedError | GenerationMissingError) {
    if ((yield* choice) === before) return yield* Effect.fail(error)
    return "changed" as const
  })
  return yield* runSession(options, rereads).pipe(Effect.catchTags({ HaltError: (error) => haltAll(options, error), FencedError: reopen, GenerationMissingError: reopen }))
})

const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/**
 * Runs one lane until `stop`. Fails with `FencedError` when a newer owner exists; everything else is retried from the
 * checkpoint or halts what it concerns. A generation that was dropped, or given to others, fences its owner too: where
 * something else is to be folded meanwhile, the lane is taken over again, which is always safe.
 */
export const runLane = Effect.fn("runLane")(function* (options: RunLaneOptions) {
  let retryInMs = RETRY_FIRST_MS
  const rereads = new Rereads()
  for (;;) {
    const startMs = yield* Clock.currentTimeMillis
    const outcome = yield* takeOverAndRun(options, rereads).pipe(
      Effect.catchTags({
        CommitUnknownError: (error) => Effect.succeed(`commit outcome unknown: ${String(error.cause)}`),
        StoreUnavailableError: (error) => Effect.succeed(`read models unavailable: ${String(error.cause)}`),
        LogUnavailableError: (error) => Effect.succeed(`log unavailable: ${String(error.cause)}`),
        PartitionIndexError: (error) => Effect.succeed(`partition index unavailable: ${String(error.cause)}`)
      })
    )
    if (outcome === "stopped") return
    if (outcome === "changed") continue
    if ((yield* Clock.currentTimeMillis) - startMs > RETRY_MAX_MS) retryInMs = RETRY_FIRST_MS
    yield* Effect.sync(() => options.observer.retrying({ lane: options.lane, cause: outcome, retryInMs }))
    const stopped = yield* Effect.raceFirst(Effect.as(Effect.sleep(retryInMs), false), Effect.as(options.stop, true))
    if (stopped) return
    retryInMs = Math.min(retryInMs * 2, RETRY_MAX_MS)
  }
})
