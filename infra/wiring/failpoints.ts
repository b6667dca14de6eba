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
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape, NewStoredEvent } from "@tidemark/domain/ports/EventStore"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LaneCommit, ReadModelStoreShape, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

/** Before it happens, and after it. */
const around = (steps: readonly string[]): readonly string[] => steps.flatMap((step) => [`${step}-before`, `${step}-after`])

/** Events of a rebuild's journal: `journal-verified-before` is before the event is stored. */
const JOURNAL = ["planned", "preparing", "building", "catching-up", "verifying", "verified", "accepted", "cut-over", "rolled-back", "retired", "aborted"].map((step) => `journal-${step}`)

/**
 * An append: before it, in it before the sync, in its sync, after the sync and before the answer. A flush of what is
 * served, of several generations of one projection, and of one that is built. A lane taken over, for what is served and
 * for what is built. A generation created, followed and not any more, made active, made active again, dropped. Reads of a
 * comparison. Events of a rebuild's journal.
 */
export const FAILPOINTS: readonly string[] = [
  "append-before", "append-written", "append-unsynced", "append-synced", ...around(["commit", "joined-commit", "build-commit"]), "taken-over", "build-taken-over",
  ...around(["create", "follow", "unfollow", "flip", "flip-back", "drop"]), "compare-windows", "compare-partials", "compare-scan", ...around(JOURNAL)
]

/** What engines are opened for: in the threads of a rebuild places have names of their own. */
export type Part = "serve" | "build"

/** Comes to a place; never returns when the process dies there. */
type Hit = (place: string) => Effect.Effect<void>

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

/** Whether two generations of one projection are committed together. */
const isJoined = (commits: readonly LaneCommit[]): boolean =>
  commits.some(({ lane }) => commits.some((other) => other.lane.projection === lane.projection && other.lane.generation !== lane.generation))

const wrapServing = (store: ReadModelStoreShape, hit: Hit): ReadModelStoreShape => ({
  ...store,
  takeOver: (lane) => Effect.tap(store.takeOver(lane), () => hit("taken-over")),
  commit: (commits) => {
    const both = (when: string) => Effect.andThen(hit(`commit-${when}`), isJoined(commits) ? hit(`joined-commit-${when}`) : Effect.void)
    return both("before").pipe(Effect.andThen(store.commit(commits)), Effect.tap(() => both("after")))
  }
})

const wrapBuilding = (store: ReadModelStoreShape, hit: Hit): ReadModelStoreShape => ({
  ...store,
  takeOver: (lane) => Effect.tap(store.takeOver(lane), () => hit("build-taken-over")),
  commit: (commits) => hit("build-commit-before").pipe(Effect.andThen(store.commit(commits)), Effect.tap(() => hit("build-commit-after"))),
  snapshot: Effect.map(store.snapshot, (snapshot): ReadSnapshot => ({
    ...snapshot,
    windows: (page) => Effect.andThen(hit("compare-windows"), snapshot.windows(page)),
    partials: (projection, generation, keys) => Effect.andThen(hit("compare-partials"), snapshot.partials(projection, generation, keys)),
    scan: (range, rows) => Effect.andThen(hit("compare-scan"), snapshot.scan(range, rows))
  }))
})

/** The pointer goes back where it is moved to an older generation. */
const flipName = (store: ReadModelStoreShape, projection: string, generation: number) =>
  Effect.scoped(Effect.gen(function* () {
    const pointer = yield* (yield* store.snapshot).pointer(projection)
    return (pointer?.generation ?? 0) > generation ? "flip-back" : "flip"
  }))

const wrapGenerations = (store: ReadModelStoreShape, hit: Hit): ReadModelStoreShape => ({
  ...store,
  createGeneration: (record, lanes) => hit("create-before").pipe(Effect.andThen(store.createGeneration(record, lanes)), Effect.tap(() => hit("create-after"))),
  follow: (id, isFollowed) => {
    const name = isFollowed ? "follow" : "unfollow"
    return hit(`${name}-before`).pipe(Effect.andThen(store.follow(id, isFollowed)), Effect.tap(() => hit(`${name}-after`)))
  },
  flip: (projection, generation, expectedVersion) => Effect.flatMap(flipName(store, projection, generation), (name) =>
    hit(`${name}-before`).pipe(Effect.andThen(store.flip(projection, generation, expectedVersion)), Effect.tap(() => hit(`${name}-after`)))),
  dropGeneration: (id) => hit("drop-before").pipe(Effect.andThen(store.dropGeneration(id)), Effect.tap(() => hit("drop-after")))
})

/** The place of an event of a rebuild's journal; undefined for any other event. */
const journalPlace = ({ type, data }: NewStoredEvent): string | undefined => {
  const step = type === "rebuild.moved" ? (data as { readonly to: string }).to : /^rebuild\.(\w+)$/.exec(type)?.[1]
  const place = `journal-${step?.replaceAll("_", "-")}`
  return JOURNAL.includes(place) ? place : undefined
}

const wrapEvents = (events: EventStoreShape, hit: Hit): EventStoreShape => ({
  ...events,
  append: (stream, appended, expectedRevision) => {
    const places = appended.flatMap((event) => journalPlace(event) ?? [])
    const all = (when: string) => Effect.forEach(places, (place) => hit(`${place}-${when}`), { discard: true })
    return all("before").pipe(Effect.andThen(events.append(stream, appended, expectedRevision)), Effect.tap(() => all("after")))
  }
})

/** `setting`: the variable's text. Throws `RangeError` when it names no failpoint. */
export const failpointLayer = (setting: string, acts: FailpointActs, part: Part = "serve") => {
  const [name = "", count = "", acting = "kill"] = setting.split(":")
  const [, pauseMs] = /^pause=(\d{1,6})$/.exec(acting) ?? []
  const act: Act | undefined = pauseMs !== undefined ? Number(pauseMs) : acting === "kill" || acting === "stop" ? acting : undefined
  if (!FAILPOINTS.some((each) => each === name) || !/^[1-9]\d{0,8}$/.test(count) || act === undefined) throw new RangeError(`TIDEMARK_FAILPOINT is "${setting}": give one of ${FAILPOINTS.join(", ")} and a number from 1, as in commit-before:3 or commit-before:3:pause=4000.`)
  const hit = makeHit(name, Number(count), act, acts)
  return Layer.mergeAll(
    Layer.effect(EventLog, Effect.map(EventLog, (log) => wrapLog(log, hit))),
    Layer.effect(ReadModelStore, Effect.map(ReadModelStore, (store) => wrapGenerations(part === "build" ? wrapBuilding(store, hit) : wrapServing(store, hit), hit))),
    // Threads have no journal of their own.
    Layer.unwrap(Effect.map(Effect.serviceOption(EventStore), Option.match({ onNone: () => Layer.empty, onSome: (events) => Layer.succeed(EventStore, wrapEvents(events, hit)) })))
  )
}

/** Ample for a process to be stopped by its own signal, on a busy machine too, ms. */
const STOPPED_WITHIN_MS = 5_000

/** Blocks the thread. Time goes on while the process is stopped: a longer sleep than that is not prolonged. */
const standStill = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** The engines with the failpoint that the environment names; the engines themselves when it names none. */
export const withFailpoints = <A, E>(engines: Layer.Layer<A | EventLog | ReadModelStore, E>, part: Part = "serve"): Layer.Layer<A | EventLog | ReadModelStore, E> => {
  const setting = process.env["TIDEMARK_FAILPOINT"]
  if (setting === undefined || setting === "") return engines
  const say = (level: number, msg: string) => process.stderr.write(`${JSON.stringify({ level, msg })}\n`)
  say(40, `failpoint ${setting}: this process kills or stops itself; for tests only`)
  return failpointLayer(setting, {
    kill: () => process.kill(process.pid, "SIGKILL"),
    stop: () => {
      process.kill(process.pid, "SIGSTOP")
      // The signal stops this thread only once some thread has taken it, and that one may have to wait for a processor.
      standStill(STOPPED_WITHIN_MS)
    },
    pause: (ms) => {
      // Past the stream of the thread, which a thread that stands still never empties.
      writeSync(2, `${JSON.stringify({ level: 40, msg: "paused at a failpoint" })}\n`)
      standStill(ms)
    }
  }, part).pipe(Layer.provideMerge(engines))
}
