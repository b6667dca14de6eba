/**
 * The only loop of the product: read → classify → fold → flush, for one lane. Rules: docs/semantics.md §4, §7.
 *
 * Whatever goes wrong with an engine, all memory goes and the lane is taken over again from its checkpoint; whatever
 * goes wrong with a generation halts that one and no other.
 */
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt } from "@tidemark/domain/ports/ReadModelStore"
import { Clock, Effect } from "effect"
import { flushLane } from "./flushLane.ts"
import { foldBatch } from "./foldBatch.ts"
import type { FoldFailure } from "./foldBatch.ts"
import { pendingRecords, pendingRows } from "./generationLane.ts"
import type { GenerationLane } from "./generationLane.ts"
import type { HaltError } from "./halt.ts"
import type { RuntimeObserver } from "./observer.ts"
import { READ_BYTES_MAX, openLane } from "./openLane.ts"
import type { OpenLane } from "./openLane.ts"
import { readLog } from "./readLog.ts"
import { saveIndex } from "./saveIndex.ts"

/** Least time between two flushes of a lane that keeps up, ms. */
const FLUSH_EVERY_MS = 50
/** A lane under backlog flushes at least this often, ms. */
const FLUSH_BACKLOG_MS = 500
/**
 * A lane that has not drained for long is replaying: each flush in a row doubles the time to the next, up to this, ms. A
 * flush writes hour and day of every key once, however much it covers; a crash costs that much replay and no more.
 */
const FLUSH_REPLAY_MS = 4_000
/** More than this much of the log is never held uncommitted. */
const FLUSH_BYTES_MAX = 64 << 20
/** Nor more base rows than this, over all generations. */
const FLUSH_ROWS_MAX = 50_000
const IDLE_WAIT_MS = 1_000
const INDEX_EVERY_MS = 10_000

export interface RunLaneOptions {
  readonly lane: number
  /** Once it completes, the lane flushes what it holds, saves its index and returns. */
  readonly stop: Effect.Effect<void>
  readonly observer: RuntimeObserver
}

/** A lane between taking over and losing its memory. */
interface Session {
  readonly open: OpenLane
  generations: readonly GenerationLane[]
  lastFlushMs: number
  /** Longest time to the next flush under backlog. */
  backlogMs: number
  lastIndexMs: number
  bytes: number
  stopped: boolean
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

const flush = Effect.fn("flush")(function* (options: RunLaneOptions, session: Session) {
  const store = yield* ReadModelStore
  const { reports, failures } = yield* flushLane(store, session.generations, session.open.readers)
  yield* drop(options, session, failures)
  session.bytes = 0
  session.lastFlushMs = yield* Clock.currentTimeMillis
  if (reports.length > 0) yield* Effect.sync(() => options.observer.committed(reports))
  if (session.lastFlushMs - session.lastIndexMs >= INDEX_EVERY_MS) {
    session.lastIndexMs = session.lastFlushMs
    yield* saveIndex(session.open.readers)
  }
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
  const seed = hashSeedOf(log.identity.logId)
  const from = [...readers.values()].map(({ partition, state }) => ({ partition, nextOffset: state.nextOffset }))
  const pending = totals(session).records > 0
  const waitMaxMs = pending ? Math.max(0, session.lastFlushMs + FLUSH_EVERY_MS - (yield* Clock.currentTimeMillis)) : IDLE_WAIT_MS
  const read = Effect.map(readLog(log, from, { bytesMax: READ_BYTES_MAX, waitMaxMs }), (batches) => ({ batches, stopped: false }))
  const { batches, stopped } = yield* Effect.raceFirst(read, Effect.as(options.stop, { batches: [], stopped: true }))
  session.stopped = stopped
  let bytes = 0
  for (const batch of batches) {
    const reader = readers.get(batch.partition)
    if (reader === undefined) continue
    yield* drop(options, session, yield* foldBatch(store, reader, session.generations, batch, seed))
    bytes += batch.bytes.length
  }
  session.bytes += bytes
  const { records, rows } = totals(session)
  if (records === 0) return
  const sinceMs = (yield* Clock.currentTimeMillis) - session.lastFlushMs
  const drained = bytes < READ_BYTES_MAX
  if (drained) session.backlogMs = FLUSH_BACKLOG_MS
  const overdue = sinceMs >= (drained ? FLUSH_EVERY_MS : session.backlogMs)
  if (!drained && overdue) session.backlogMs = Math.min(session.backlogMs * 2, FLUSH_REPLAY_MS)
  if (stopped || overdue || session.bytes >= FLUSH_BYTES_MAX || rows >= FLUSH_ROWS_MAX) yield* flush(options, session)
})

/** Runs from the checkpoint until it is stopped or every generation has halted. */
const runSession = Effect.fn("runSession")(function* (options: RunLaneOptions) {
  const open = yield* openLane(options.lane)
  for (const { record, error } of open.halted) yield* recordHalt(options, record.projection, record.generation, error)
  const startMs = yield* Clock.currentTimeMillis
  const session: Session = { open, generations: open.generations, lastFlushMs: startMs, backlogMs: FLUSH_BACKLOG_MS, lastIndexMs: startMs, bytes: 0, stopped: false }
  const halting = (error: HaltError) => drop(options, session, session.generations.map((generation) => ({ generation, error })))
  while (!session.stopped && session.generations.length > 0) {
    yield* Effect.catchTag(step(options, session), "HaltError", halting)
  }
  if (session.stopped) yield* saveIndex(open.readers)
})

/** No partition can be read: every active generation stands still. */
const haltAll = Effect.fn("haltAll")(function* (options: RunLaneOptions, error: HaltError) {
  const pointers = yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* (yield* ReadModelStore).snapshot
    return yield* snapshot.pointers
  }))
  for (const { projection, generation } of pointers) yield* recordHalt(options, projection, generation, error)
})

const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/**
 * Runs one lane until `stop`. Fails with `FencedError` when a newer owner exists; everything else is retried from the
 * checkpoint or halts what it concerns.
 */
export const runLane = Effect.fn("runLane")(function* (options: RunLaneOptions) {
  let retryInMs = RETRY_FIRST_MS
  for (;;) {
    const startMs = yield* Clock.currentTimeMillis
    const outcome = yield* runSession(options).pipe(
      Effect.as("ended" as const),
      Effect.catchTags({
        HaltError: (error) => Effect.as(Effect.orDie(haltAll(options, error)), "ended" as const),
        CommitUnknownError: (error) => Effect.succeed(`commit outcome unknown: ${String(error.cause)}`),
        StoreUnavailableError: (error) => Effect.succeed(`read models unavailable: ${String(error.cause)}`),
        LogUnavailableError: (error) => Effect.succeed(`log unavailable: ${String(error.cause)}`),
        PartitionIndexError: (error) => Effect.succeed(`partition index unavailable: ${String(error.cause)}`)
      })
    )
    if (outcome === "ended") return yield* options.stop
    if ((yield* Clock.currentTimeMillis) - startMs > RETRY_MAX_MS) retryInMs = RETRY_FIRST_MS
    yield* Effect.sync(() => options.observer.retrying({ lane: options.lane, cause: outcome, retryInMs }))
    const stopped = yield* Effect.raceFirst(Effect.as(Effect.sleep(retryInMs), false), Effect.as(options.stop, true))
    if (stopped) return
    retryInMs = Math.min(retryInMs * 2, RETRY_MAX_MS)
  }
})
