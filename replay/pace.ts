/**
 * How quickly the threads of a build may read, together: records a second, and when the next read is due, in memory that
 * they share. Whoever holds the memory changes the rate while they run, and sees there what takes their time.
 */
import type { Activity, Pace } from "@tidemark/projections/runtime/runLane"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Shared by the threads of one build. */
export type PaceMemory = SharedArrayBuffer

/** Records a second, 0 = as fast as it goes; then when the next read is due, µs; then what was spent, ns. */
const [RATE, DUE] = [0, 1]
const SPENT = { read: 2, fold: 3, write: 4, throttle: 5 } as const
const CELLS = 6

/** A slowed read looks this often whether the rate was changed, ms. */
const LOOK_EVERY_MS = 100

/** Memory that slows nobody. */
export const makePaceMemory = (): PaceMemory => new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT)

/** Records a second from now on, over all threads; undefined: as fast as it goes. */
export const allow = (memory: PaceMemory, recordsPerSecondMax: number | undefined): void => {
  const cells = new BigInt64Array(memory)
  const rate = recordsPerSecondMax === undefined ? 0n : BigInt(Math.max(1, Math.round(recordsPerSecondMax)))
  // What was waited for at the old rate is not waited for at the new one.
  if (Atomics.exchange(cells, RATE, rate) !== rate) Atomics.store(cells, DUE, 0n)
}

/** What is allowed now. */
export const allowed = (memory: PaceMemory): number | undefined => {
  const rate = Atomics.load(new BigInt64Array(memory), RATE)
  return rate === 0n ? undefined : Number(rate)
}

/** What the threads have spent so far on reading the log, folding, writing, and waiting because they are slowed, ns, over all of them. */
export type TimeSpent = Readonly<Record<Activity | "throttle", bigint>>

export const timeSpent = (memory: PaceMemory): TimeSpent => {
  const cells = new BigInt64Array(memory)
  return { read: Atomics.load(cells, SPENT.read), fold: Atomics.load(cells, SPENT.fold), write: Atomics.load(cells, SPENT.write), throttle: Atomics.load(cells, SPENT.throttle) }
}

/** Takes the next turn of all threads; answers when it ends, µs. */
const takeTurn = (cells: BigInt64Array, nowUs: bigint, lengthUs: bigint): bigint => {
  for (;;) {
    const due = Atomics.load(cells, DUE)
    const end = (due > nowUs ? due : nowUs) + lengthUs
    if (Atomics.compareExchange(cells, DUE, due, end) === due) return end
  }
}

/**
 * Times what the lanes of one thread do. They take turns: what one has noted meanwhile is not the other's, so that all of
 * them together never spend more than the time that has passed.
 */
const makeTimer = (cells: BigInt64Array) => {
  let noted = 0n
  return Effect.fnUntraced(function* <A, E, R>(activity: keyof typeof SPENT, work: Effect.Effect<A, E, R>) {
    const [from, before] = [yield* Clock.monotonicTimeNanos, noted]
    const answer = yield* work
    const own = (yield* Clock.monotonicTimeNanos) - from - (noted - before)
    if (own > 0n) {
      noted += own
      Atomics.add(cells, SPENT[activity], own)
    }
    return answer
  })
}

/** The pace of one of the threads. */
export const paceOf = (memory: PaceMemory): Pace => {
  const cells = new BigInt64Array(memory)
  const timed = makeTimer(cells)
  const wait = Effect.fn("pace")(function* (records: number) {
    const rate = Atomics.load(cells, RATE)
    if (rate === 0n) return
    const endUs = takeTurn(cells, BigInt(yield* Clock.currentTimeMillis) * 1_000n, (BigInt(records) * 1_000_000n) / rate)
    for (;;) {
      const leftMs = Number(endUs / 1_000n) - (yield* Clock.currentTimeMillis)
      if (leftMs <= 0 || Atomics.load(cells, RATE) !== rate) return
      yield* timed("throttle", Effect.sleep(Math.min(leftMs, LOOK_EVERY_MS)))
    }
  })
  return { isSlowed: () => Atomics.load(cells, RATE) !== 0n, wait, timed }
}
