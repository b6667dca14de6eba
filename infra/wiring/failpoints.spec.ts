import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventLogShape } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { FAILPOINTS, failpointLayer } from "./failpoints.ts"

/** Two appends, a take-over and a commit, with `isRebuild` a generation's life as well; answers what had happened when the process would have died. */
const runTo = async (setting: string, isRebuild = false): Promise<readonly string[]> => {
  const done: string[] = []
  const act = (name: string) => Effect.sync(() => void done.push(name))
  const log = { append: () => Effect.as(act("append"), []) } as unknown as EventLogShape
  const store = {
    takeOver: () => act("take over"), commit: () => act("commit"), createGeneration: () => act("create"), follow: () => act("follow"), flip: () => act("flip"), dropGeneration: () => act("drop")
  } as unknown as ReadModelStoreShape
  const base = Layer.mergeAll(Layer.succeed(EventLog, log), Layer.succeed(ReadModelStore, store))
  await new Promise<void>((resolve) => {
    const layer = failpointLayer(setting, {
      kill: () => {
        done.push("killed")
        resolve()
      },
      pause: (ms) => void done.push(`paused ${ms}`),
      stop: () => void done.push("stopped")
    }).pipe(Layer.provideMerge(base))
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
        yield* models.flip("p", 2, 1)
        yield* models.dropGeneration({ projection: "p", generation: 1 })
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

  it("pause where they say and go on", async () => {
    expect(await runTo("append-before:2:pause=40")).toEqual(["append", "answered", "paused 40", "append", "answered", "take over", "commit", "flushed"])
    expect(await runTo("commit-after:1:pause=5")).toEqual(["append", "answered", "append", "answered", "take over", "commit", "paused 5", "flushed"])
    expect(await runTo("append-before:2:stop")).toEqual(["append", "answered", "stopped", "append", "answered", "take over", "commit", "flushed"])
  })

  it("refuses a name it does not know", () => {
    for (const wrong of ["", "commit", "commit-before", "commit-before:0", "commit-before:x", "commit-before:1:pause", "commit-before:1:pause=x"]) expect(() => failpointLayer(wrong, { kill: () => {}, pause: () => {}, stop: () => {} })).toThrow(/TIDEMARK_FAILPOINT/)
    expect(FAILPOINTS).toHaveLength(15)
  })
})
