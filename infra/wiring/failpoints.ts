/**
 * Failpoints, for tests of the real process alone: `TIDEMARK_FAILPOINT=name:k` kills the process with SIGKILL at the k-th
 * time (per thread) that it comes to that place; `name:k:pause=ms` makes the thread stand still there for so long and go
 * on as if nothing had happened; `name:k:stop` stops the whole process until somebody lets it go on. Without the variable nothing is wrapped, so production pays nothing; with it every start
 * says so. They stand around the ports, so no part of the runtime knows of them; those inside an embedded append are
 * the engine's (`commitThreadMain.ts`): `append-unsynced:k` fails the sync of the k-th append.
 */
import { writeSync } from "node:fs"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Before an append, in it before the sync, in its sync, after the sync and before the answer, before and after a flush commits, after a lane was taken over; before and after a generation is created, followed or not any more, made active, dropped. */
export const FAILPOINTS = [
  "append-before", "append-written", "append-unsynced", "append-synced", "commit-before", "commit-after", "taken-over",
  "create-before", "create-after", "follow-before", "follow-after", "flip-before", "flip-after", "drop-before", "drop-after"
] as const
export type Failpoint = (typeof FAILPOINTS)[number]

/** Comes to a place; never returns when the process dies there. */
type Hit = (place: Failpoint) => Effect.Effect<void>

/** What happens at the place: `kill` never returns in a real process. */
export interface FailpointActs {
  readonly kill: () => void
  /** Blocks the thread. */
  readonly pause: (ms: number) => void
  /** Stops the process until SIGCONT. */
  readonly stop: () => void
}

type Act = "kill" | "stop" | number

const makeHit = (wanted: string, at: number, act: Act, { kill, pause, stop }: FailpointActs): Hit => {
  let hits = 0
  return (place) =>
    Effect.suspend(() => {
      if (place !== wanted || ++hits !== at) return Effect.void
      if (act === "kill") {
        kill()
        return Effect.never
      }
      if (act === "stop") stop()
      else pause(act)
      return Effect.void
    })
}

const wrapLog = (log: EventLogShape, hit: Hit): EventLogShape => ({
  ...log,
  append: (batch) => hit("append-before").pipe(Effect.andThen(log.append(batch)), Effect.tap(() => hit("append-synced")))
})

const wrapStore = (store: ReadModelStoreShape, hit: Hit): ReadModelStoreShape => ({
  ...store,
  takeOver: (lane) => Effect.tap(store.takeOver(lane), () => hit("taken-over")),
  commit: (commits) => hit("commit-before").pipe(Effect.andThen(store.commit(commits)), Effect.tap(() => hit("commit-after"))),
  createGeneration: (record, lanes) => hit("create-before").pipe(Effect.andThen(store.createGeneration(record, lanes)), Effect.tap(() => hit("create-after"))),
  follow: (id, isFollowed) => hit("follow-before").pipe(Effect.andThen(store.follow(id, isFollowed)), Effect.tap(() => hit("follow-after"))),
  flip: (projection, generation, expectedVersion) => hit("flip-before").pipe(Effect.andThen(store.flip(projection, generation, expectedVersion)), Effect.tap(() => hit("flip-after"))),
  dropGeneration: (id) => hit("drop-before").pipe(Effect.andThen(store.dropGeneration(id)), Effect.tap(() => hit("drop-after")))
})

/** `setting`: the variable's text. Throws `RangeError` when it names no failpoint. */
export const failpointLayer = (setting: string, acts: FailpointActs) => {
  const [name = "", count = "", acting = "kill"] = setting.split(":")
  const [, pauseMs] = /^pause=(\d{1,6})$/.exec(acting) ?? []
  const act: Act | undefined = pauseMs !== undefined ? Number(pauseMs) : acting === "kill" || acting === "stop" ? acting : undefined
  if (!FAILPOINTS.some((each) => each === name) || !/^[1-9]\d{0,8}$/.test(count) || act === undefined) throw new RangeError(`TIDEMARK_FAILPOINT is "${setting}": give one of ${FAILPOINTS.join(", ")} and a number from 1, as in commit-before:3 or commit-before:3:pause=4000.`)
  const hit = makeHit(name, Number(count), act, acts)
  return Layer.mergeAll(
    Layer.effect(EventLog, Effect.map(EventLog, (log) => wrapLog(log, hit))),
    Layer.effect(ReadModelStore, Effect.map(ReadModelStore, (store) => wrapStore(store, hit)))
  )
}

/** The engines with the failpoint that the environment names; the engines themselves when it names none. */
export const withFailpoints = <A, E>(engines: Layer.Layer<A | EventLog | ReadModelStore, E>): Layer.Layer<A | EventLog | ReadModelStore, E> => {
  const setting = process.env["TIDEMARK_FAILPOINT"]
  if (setting === undefined || setting === "") return engines
  const say = (level: number, msg: string) => process.stderr.write(`${JSON.stringify({ level, msg })}\n`)
  say(40, `failpoint ${setting}: this process kills or stops itself; for tests only`)
  return failpointLayer(setting, {
    kill: () => process.kill(process.pid, "SIGKILL"),
    stop: () => process.kill(process.pid, "SIGSTOP"),
    pause: (ms) => {
      // Past the stream of the thread, which a thread that stands still never empties.
      writeSync(2, `${JSON.stringify({ level: 40, msg: "paused at a failpoint" })}\n`)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    }
  }).pipe(Layer.provideMerge(engines))
}
