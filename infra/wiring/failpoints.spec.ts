import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { EventStoreShape } from "@tidemark/domain/ports/EventStore"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, LaneCommit, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { FAILPOINTS, failpointLayer } from "./failpoints.ts"

/** Two appends, a take-over and a commit, with `isRebuild` a generation's life as well; answers what had happened when the process would have died. */
const runTo = async (setting: string, isRebuild = false, part: "serve" | "build" = "serve"): Promise<readonly string[]> => {
  const done: string[] = []
  const act = (name: string) => Effect.sync(() => void done.push(name))
  const log = { append: () => Effect.as(act("append"), []) } as unknown as EventLogShape
  const store = {
    takeOver: () => act("take over"), commit: () => act("commit"), createGeneration: () => act("create"), follow: () => act("follow"), flip: () => act("flip"), dropGeneration: () => act("drop"),
    snapshot: Effect.succeed({ pointer: () => Effect.succeed({ projection: "p", generation: 2, pointerVersion: 1 }), windows: () => act("windows"), partials: () => act("partials"), scan: () => act("scan") })
  } as unknown as ReadModelStoreShape
  const events = { append: () => act("note") } as unknown as EventStoreShape
  const base = Layer.mergeAll(Layer.succeed(EventLog, log), Layer.succeed(ReadModelStore, store), Layer.succeed(EventStore, events))
  await new Promise<void>((resolve) => {
    const layer = failpointLayer(setting, {
      kill: () => {
        done.push("killed")
        resolve()
      },
      pause: (ms) => void done.push(`paused ${ms}`),
      stop: () => void done.push("stopped")
    }, part).pipe(Layer.provideMerge(base))
    const program = Effect.gen(function* () {
      const wrapped = yield* EventLog
      const models = yield* ReadModelStore
      for (let i = 0; i < 2; i++) {
        yield* wrapped.append([])
        done.push("answered")
      }
      yield* models.takeOver({ projection: "p", generation: 1, lane: 0 })
      yield* models.commit([])
      done.push("flushed")
      if (isRebuild) {
        yield* models.createGeneration({} as GenerationRecord, [])
        yield* models.follow({ projection: "p", generation: 2 }, true)
        yield* models.flip("p", 3, 1)
        yield* models.dropGeneration({ projection: "p", generation: 1 })
        yield* models.follow({ projection: "p", generation: 3 }, false)
        yield* models.flip("p", 1, 2)
        const lane = (generation: number) => ({ lane: { projection: "p", generation, lane: 0 } }) as LaneCommit
        yield* models.commit([lane(1), lane(2)])
        yield* Effect.scoped(Effect.gen(function* () {
          const snapshot = yield* models.snapshot
          yield* snapshot.windows({} as never)
          yield* snapshot.partials("p", 1, [])
          yield* snapshot.scan({} as never, () => {})
        }))
        const journal = yield* EventStore
        yield* journal.append("rebuild~p", [{ id: "1", type: "rebuild.moved", data: { to: "catching_up" } }], "any")
        yield* journal.append("rebuild~p", [{ id: "2", type: "rebuild.cut_over", data: {} }], "any")
        yield* journal.append("tenants", [{ id: "3", type: "tenant.created", data: {} }], "any")
      }
      resolve()
    })
    void Effect.runFork(program.pipe(Effect.provide(layer)))
  })
  return done
}

describe("failpoints", () => {
  it("kill where they say, at the time they say, and nothing happens afterwards", async () => {
    expect(await runTo("append-before:1")).toEqual(["killed"])
    expect(await runTo("append-before:2")).toEqual(["append", "answered", "killed"])
    expect(await runTo("append-synced:2")).toEqual(["append", "answered", "append", "killed"])
    const appended = ["append", "answered", "append", "answered"]
    expect(await runTo("taken-over:1")).toEqual([...appended, "take over", "killed"])
    expect(await runTo("commit-before:1")).toEqual([...appended, "take over", "killed"])
    expect(await runTo("commit-after:1")).toEqual([...appended, "take over", "commit", "killed"])
    expect(await runTo("commit-after:2")).toEqual([...appended, "take over", "commit", "flushed"])
  })

  it("stand before and after every step of a generation's life", async () => {
    const steps = ["create", "follow", "flip", "drop"]
    for (const [at, step] of steps.entries()) {
      for (const [name, count] of [[`${step}-before`, at], [`${step}-after`, at + 1]] as const) {
        expect((await runTo(`${name}:1`, true)).slice(-count - 2), name).toEqual(["flushed", ...steps.slice(0, count), "killed"])
      }
    }
  })

  it("tell the way back from the way there, commits of several generations from others, and the events of a journal from each other", async () => {
    const life = ["create", "follow", "flip", "drop"]
    const rest = async (setting: string, part: "serve" | "build" = "serve") => (await runTo(setting, true, part)).slice(7)
    expect(await rest("unfollow-before:1")).toEqual([...life, "killed"])
    expect(await rest("unfollow-after:1")).toEqual([...life, "follow", "killed"])
    expect(await rest("flip-back-before:1")).toEqual([...life, "follow", "killed"])
    expect(await rest("flip-back-after:1")).toEqual([...life, "follow", "flip", "killed"])
    const joined = [...life, "follow", "flip"]
    expect(await rest("joined-commit-before:1")).toEqual([...joined, "killed"])
    expect(await rest("joined-commit-after:1")).toEqual([...joined, "commit", "killed"])
    const read = [...joined, "commit", "windows", "partials", "scan"]
    expect(await rest("journal-catching-up-before:1")).toEqual([...read, "killed"])
    expect(await rest("journal-catching-up-after:1")).toEqual([...read, "note", "killed"])
    expect(await rest("journal-cut-over-before:1")).toEqual([...read, "note", "killed"])
    expect(await rest("journal-cut-over-after:1")).toEqual([...read, "note", "note", "killed"])
    expect(await rest("journal-retired-after:1")).toEqual([...read, "note", "note", "note"])
  })

  it("have names of their own in the threads of a rebuild", async () => {
    const before = ["append", "answered", "append", "answered"]
    expect(await runTo("build-taken-over:1", true, "build")).toEqual([...before, "take over", "killed"])
    expect(await runTo("build-commit-before:1", true, "build")).toEqual([...before, "take over", "killed"])
    expect(await runTo("build-commit-after:1", true, "build")).toEqual([...before, "take over", "commit", "killed"])
    const read = [...before, "take over", "commit", "flushed", "create", "follow", "flip", "drop", "follow", "flip", "commit"]
    expect(await runTo("compare-windows:1", true, "build")).toEqual([...read, "killed"])
    expect(await runTo("compare-partials:1", true, "build")).toEqual([...read, "windows", "killed"])
    expect(await runTo("compare-scan:1", true, "build")).toEqual([...read, "windows", "partials", "killed"])
    for (const place of ["commit-before", "taken-over", "joined-commit-after"]) expect((await runTo(`${place}:1`, true, "build")).at(-1), place).toBe("note")
    expect((await runTo("compare-windows:1", true)).at(-1)).toBe("note")
  })

  it("pause where they say and go on", async () => {
    expect(await runTo("append-before:2:pause=40")).toEqual(["append", "answered", "paused 40", "append", "answered", "take over", "commit", "flushed"])
    expect(await runTo("commit-after:1:pause=5")).toEqual(["append", "answered", "append", "answered", "take over", "commit", "paused 5", "flushed"])
    expect(await runTo("append-before:2:stop")).toEqual(["append", "answered", "stopped", "append", "answered", "take over", "commit", "flushed"])
  })

  it("refuses a name it does not know", () => {
    for (const wrong of ["", "commit", "commit-before", "commit-before:0", "commit-before:x", "commit-before:1:pause", "commit-before:1:pause=x"]) expect(() => failpointLayer(wrong, { kill: () => {}, pause: () => {}, stop: () => {} })).toThrow(/TIDEMARK_FAILPOINT/)
    expect(new Set(FAILPOINTS).size).toBe(FAILPOINTS.length)
  })
})
