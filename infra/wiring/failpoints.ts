/**
 * Failpoints, for tests of the real process alone: `TIDEMARK_FAILPOINT=name:k` kills the process with SIGKILL at the k-th
 * time (per thread) that it comes to that place. Without the variable nothing is wrapped, so production pays nothing;
 * with it every start says so. They stand around the ports, so no engine and no part of the runtime knows of them.
 *
 * An embedded append is written and synced within one call of the engine: no process can be killed between the two but
 * by chance, which the random kills of the campaign do.
 */
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { Effect, Layer } from "effect"

/** Before an append, after it is synced and before it is answered, before and after a flush commits, after a lane was taken over. */
export const FAILPOINTS = ["append-before", "append-synced", "commit-before", "commit-after", "taken-over"] as const
export type Failpoint = (typeof FAILPOINTS)[number]

/** Comes to a place; never returns when the process dies there. */
type Hit = (place: Failpoint) => Effect.Effect<void>

const makeHit = (wanted: string, at: number, kill: () => void): Hit => {
  let hits = 0
  return (place) =>
    Effect.suspend(() => {
      if (place !== wanted || ++hits !== at) return Effect.void
      kill()
      return Effect.never
    })
}

const wrapLog = (log: EventLogShape, hit: Hit): EventLogShape => ({
  ...log,
  append: (batch) => hit("append-before").pipe(Effect.andThen(log.append(batch)), Effect.tap(() => hit("append-synced")))
})

const wrapStore = (store: ReadModelStoreShape, hit: Hit): ReadModelStoreShape => ({
  ...store,
  takeOver: (lane) => Effect.tap(store.takeOver(lane), () => hit("taken-over")),
  commit: (commits) => hit("commit-before").pipe(Effect.andThen(store.commit(commits)), Effect.tap(() => hit("commit-after")))
})

/** `setting`: the variable's text. Throws `RangeError` when it names no failpoint. `kill` ends the process. */
export const failpointLayer = (setting: string, kill: () => void) => {
  const [name = "", count = ""] = setting.split(":")
  if (!FAILPOINTS.some((each) => each === name) || !/^[1-9]\d{0,8}$/.test(count)) throw new RangeError(`TIDEMARK_FAILPOINT is "${setting}": give one of ${FAILPOINTS.join(", ")} and a number from 1, as in commit-before:3.`)
  const hit = makeHit(name, Number(count), kill)
  return Layer.mergeAll(
    Layer.effect(EventLog, Effect.map(EventLog, (log) => wrapLog(log, hit))),
    Layer.effect(ReadModelStore, Effect.map(ReadModelStore, (store) => wrapStore(store, hit)))
  )
}

/** The engines with the failpoint that the environment names; the engines themselves when it names none. */
export const withFailpoints = <A, E>(engines: Layer.Layer<A | EventLog | ReadModelStore, E>): Layer.Layer<A | EventLog | ReadModelStore, E> => {
  const setting = process.env["TIDEMARK_FAILPOINT"]
  if (setting === undefined || setting === "") return engines
  process.stderr.write(`${JSON.stringify({ level: 40, msg: `failpoint ${setting}: this process kills itself; for tests only` })}\n`)
  return failpointLayer(setting, () => process.kill(process.pid, "SIGKILL")).pipe(Layer.provideMerge(engines))
}
