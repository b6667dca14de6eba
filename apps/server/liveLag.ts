/** How far the served projections are behind, in time: for how long the log has held a record that one of them has not folded. */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"

/** Next offsets by partition. */
type Offsets = ReadonlyMap<number, bigint>

/** `ends`: of the log. `reached`: by the served projection that is furthest behind. */
export interface LivePosition {
  readonly ends: Offsets
  readonly reached: Offsets
}

/** Those that stand still, halted or paused, are left out: nothing a rebuild does holds them up. */
export const readLivePosition = Effect.fn("readLivePosition")(function* () {
  const log = yield* EventLog
  const store = yield* ReadModelStore
  const reached = new Map<number, bigint>()
  yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const halted = new Set((yield* snapshot.halts).map(({ projection }) => projection))
    for (const { projection, generation } of yield* snapshot.pointers) {
      if (halted.has(projection)) continue
      for (const { partition, nextOffset } of (yield* snapshot.checkpoints(projection, generation)).flatMap(({ partitions }) => partitions)) {
        const lowest = reached.get(partition)
        if (lowest === undefined || nextOffset < lowest) reached.set(partition, nextOffset)
      }
    }
  }))
  const ends = new Map<number, bigint>()
  // The log is read after the projections: what comes in between counts as not folded, never the other way round.
  for (const partition of reached.keys()) ends.set(partition, (yield* log.bounds(partition)).end)
  const position: LivePosition = { ends, reached }
  return position
})

const isBehind = (reached: Offsets, ends: Offsets): boolean => [...reached].some(([partition, offset]) => (ends.get(partition) ?? 0n) > offset)

/** Notes positions as they are read; answers the lag, ms, to the precision of how often that is. */
export const makeLagClock = (): ((position: LivePosition, nowMs: number) => number) => {
  let seen: { readonly atMs: number; readonly ends: Offsets }[] = []
  return ({ ends, reached }, nowMs) => {
    seen.push({ atMs: nowMs, ends })
    const first = seen.findIndex((one) => isBehind(reached, one.ends))
    // What was reached once is never behind again.
    seen = first === -1 ? [] : seen.slice(first)
    return nowMs - (seen[0]?.atMs ?? nowMs)
  }
}
