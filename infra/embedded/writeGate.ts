/**
 * Write transactions of all threads of a process, so that it can end without one of them in the middle of one.
 *
 * LMDB's client holds a lock of the environment from the begin of a synchronous transaction to its end, and takes it
 * again when its thread is torn down. A thread that is terminated inside a transaction therefore never ends, nor does the
 * process that waits for it. The count is shared with every thread that is started after this module was loaded.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads"

const NAME = "tidemark:writes"
/** Transactions under way. */
const UNDER_WAY = 0
/** 1 once none may begin any more. */
const CLOSED = 1

const shared = (): Int32Array => {
  const given: unknown = getEnvironmentData(NAME)
  if (given instanceof SharedArrayBuffer) return new Int32Array(given)
  const made = new SharedArrayBuffer(8)
  // A thread whose process knows nothing of it counts for itself.
  if (isMainThread) setEnvironmentData(NAME, made)
  return new Int32Array(made)
}

const gate = shared()

/** The process ends: nothing is written any more. */
export class WritesClosedError extends Error {
  override readonly name = "WritesClosedError"
}

const leave = (): void => {
  Atomics.sub(gate, UNDER_WAY, 1)
  Atomics.notify(gate, UNDER_WAY)
}

/** What can write in transactions. */
interface Writing {
  transactionSync: <A>(action: () => A) => A
}

/** Counts the transactions of `database`, and lets none begin once the gate is closed. */
export const gateWrites = (database: Writing): void => {
  const { transactionSync } = database
  database.transactionSync = (action) => {
    Atomics.add(gate, UNDER_WAY, 1)
    try {
      if (Atomics.load(gate, CLOSED) === 1) throw new WritesClosedError("the process ends")
      return transactionSync.call(database, action) as ReturnType<typeof action>
    } finally {
      leave()
    }
  }
}

/** Lets no transaction begin any more and blocks until those of other threads have ended; false when one has not after `waitMaxMs`. Not to be called inside one. */
export const closeWrites = (waitMaxMs: number): boolean => {
  Atomics.store(gate, CLOSED, 1)
  const untilMs = performance.now() + waitMaxMs
  for (;;) {
    const underWay = Atomics.load(gate, UNDER_WAY)
    if (underWay === 0) return true
    const leftMs = untilMs - performance.now()
    if (leftMs <= 0) return false
    Atomics.wait(gate, UNDER_WAY, underWay, leftMs)
  }
}
