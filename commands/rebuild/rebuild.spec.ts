import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { GenerationInUseError, PointerConflictError, ReadModelStore, StoreUnavailableError, TargetBehindError } from "@tidemark/domain/ports/ReadModelStore"
import { pointerTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub, PubSubUnavailableError } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape } from "@tidemark/domain/ports/PubSub"
import { PAUSED, pauseOf } from "@tidemark/domain/ports/projectionPause"
import type { GenerationId, GenerationRecord, Halt, Pointer, ReadModelStoreShape } from "@tidemark/domain/ports/ReadModelStore"
import { decideClaim, decideMove, decideVerified } from "@tidemark/domain/settings/rebuild/decide"
import type { Rebuild } from "@tidemark/domain/settings/rebuild/evolve"
import { makeFakeEventStore } from "../settings/fakes.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import { cutOver, followPointer, rollBack } from "./cutOver.ts"
import { emptySnapshot } from "./fakes.ts"
import { retireStandby } from "./retire.ts"
import { standbyHalt } from "./standbyHalt.ts"
import { startRebuild } from "./startRebuild.ts"
import { abortRebuild, compareAgain, pauseRebuild, resumeRebuild } from "./steerRebuild.ts"

const act = { actor: "sha256_0a1b2c3d", reason: "the filter was wrong" }
const place = { projection: "page-views", rebuildId: "r1" }
const command = {
  ...place, generation: 2, fromGeneration: 1, definition: "{}", definitionHash: "h", reason: act.reason, plan: { events: "10", bytes: "1000", seconds: 1 }
}

/** A pointer and nothing else; `next` is how the next flips end. */
const makeStore = () => {
  const stored = new Set([1])
  const control = { stored, pointer: { projection: "page-views", generation: 1, pointerVersion: 1 } as Pointer, flips: 0, dropped: [] as string[], refusal: undefined as TargetBehindError | StoreUnavailableError | undefined, behindFor: 0, halts: [] as Halt[], beforeDrop: (): void => {} }
  const generations = () => Effect.sync(() => [...stored].map((generation): GenerationRecord => ({ projection: "page-views", generation, definition: "{}", definitionHash: "h", createdAtMs: 0, logId: "l", coverage: [] })))
  const snapshot = { ...emptySnapshot, pointer: () => Effect.sync(() => control.pointer), generations, halts: Effect.sync(() => control.halts) }
  const shape = {
    snapshot: Effect.succeed(snapshot),
    flip: (projection: string, generation: number, expected: number) => Effect.suspend((): ReturnType<ReadModelStoreShape["flip"]> => {
      if (control.behindFor > 0) {
        control.behindFor -= 1
        if (control.behindFor === 0) control.refusal = undefined
        return Effect.fail(new TargetBehindError({ projection, generation, partition: 0, nextOffset: 1n, activeOffset: 2n }))
      }
      if (control.refusal !== undefined) return Effect.fail(control.refusal)
      if (expected !== control.pointer.pointerVersion) return Effect.fail(new PointerConflictError({ projection, pointerVersion: control.pointer.pointerVersion }))
      control.flips += 1
      stored.add(generation)
      control.pointer = { projection, generation, pointerVersion: expected + 1 }
      return Effect.succeed(control.pointer)
    }),
    follow: ({ generation }: GenerationId, isFollowed: boolean) => Effect.sync(() => {
      control.dropped.push(`${generation} followed ${isFollowed}`)
      control.beforeDrop()
    }),
    dropGeneration: ({ projection, generation }: GenerationId) => Effect.suspend(() => {
      if (control.pointer.generation === generation) return Effect.fail(new GenerationInUseError({ projection, generation }))
      control.dropped.push(`${generation} dropped`)
      stored.delete(generation)
      return Effect.void
    })
  } as unknown as ReadModelStoreShape
  return { control, shape }
}

const open = () => {
  const events = makeFakeEventStore()
  const store = makeStore()
  const bus = { told: [] as string[], isAway: false }
  const shape: PubSubShape = {
    publish: (topic, notifications) => bus.isAway
      ? Effect.fail(new PubSubUnavailableError({ cause: new Error("away") }))
      : Effect.sync(() => void bus.told.push(...notifications.map(({ key, version }) => `${topic} ${key} ${version}`))),
    subscribe: () => Effect.die("no command listens")
  }
  const run = <A, E>(effect: Effect.Effect<A, E, EventStore | ReadModelStore | PubSub>): Promise<A> =>
    Effect.runPromise(effect.pipe(Effect.provideService(EventStore, events.shape), Effect.provideService(ReadModelStore, store.shape), Effect.provideService(PubSub, shape)))
  return { events, control: store.control, bus, run, status: () => run(Effect.map(loadRebuilds("page-views"), (all) => all.at(-1)?.status)) }
}

/** A rebuild that was compared: `differ` windows, of another definition. */
const ready = (differ: number, over: Partial<typeof command> = {}) => Effect.gen(function* () {
  const planned = { ...command, ...over }
  const { rebuildId } = planned
  yield* startRebuild(planned, act)
  for (const to of ["preparing", "building", "catching_up", "verifying"] as const) yield* changeRebuilds("page-views", act, (state, nowMs) => decideMove(state, rebuildId, to, nowMs))
  const parity = { sameDefinition: false, sample: { seed: 1, windows: 9, skipped: 0, differing: [] }, compared: 9, equal: 9 - differ, differ, onlyOld: 0, onlyNew: 0, faults: [], position: [] }
  yield* changeRebuilds("page-views", act, (state, nowMs) => decideVerified(state, rebuildId, parity, nowMs))
})

/** The second rebuild: from 2 to 3. */
const second = { rebuildId: "r2", generation: 3, fromGeneration: 2 }
const placeOf = (rebuildId: string) => ({ projection: "page-views", rebuildId })

/** One rebuild serves generation 2, the next one is ready to serve 3. */
const openTwo = async () => {
  const opened = open()
  await opened.run(ready(0))
  await opened.run(cutOver(place, undefined, act))
  await opened.run(ready(0, second))
  return { ...opened, statuses: () => opened.run(Effect.map(loadRebuilds("page-views"), (all) => all.map(({ status }) => status))) }
}

describe("a rebuild that a later one has replaced", () => {
  it("is retired by the same append that tells of the later one, and cut over again changes nothing", async () => {
    const { run, events, control, statuses } = await openTwo()
    await run(cutOver(placeOf("r2"), undefined, act))
    expect(await statuses()).toEqual(["retired", "active"])
    expect(events.stored.slice(-2)).toMatchObject([{ type: "rebuild.cut_over", data: { rebuildId: "r2" } }, { type: "rebuild.retired", data: { rebuildId: "r1" } }])
    const told = events.stored.length
    expect(await run(Effect.flip(cutOver(place, undefined, act)))).toMatchObject({ _tag: "RebuildStatusError", rebuildId: "r1", status: "retired" })
    expect(control.pointer).toMatchObject({ generation: 3, pointerVersion: 3 })
    expect(events.stored).toHaveLength(told)
  })

  it("is not served by a second request either while the stream still calls it active", async () => {
    const { run, control, statuses } = await openTwo()
    control.pointer = { projection: "page-views", generation: 3, pointerVersion: 3 }
    expect(await statuses()).toEqual(["active", "ready"])
    expect(await run(Effect.flip(cutOver(place, undefined, act)))).toMatchObject({ _tag: "RebuildStatusError", status: "active, but generation 3 is served" })
    expect(control.pointer).toMatchObject({ generation: 3, pointerVersion: 3 })
    await run(followPointer("page-views", act))
    expect(await statuses()).toEqual(["retired", "active"])
  })

  it("leaves no generation: one is on standby, the earlier ones are dropped at once", async () => {
    const { run, control } = await openTwo()
    await run(cutOver(placeOf("r2"), undefined, act))
    await run(ready(0, { rebuildId: "r3", generation: 4, fromGeneration: 3 }))
    await run(cutOver(placeOf("r3"), undefined, act))
    expect([...control.stored]).toEqual([1, 2, 3, 4])
    expect(await run(retireStandby("page-views", 60_000, act))).toEqual([1, 2])
    expect([...control.stored]).toEqual([3, 4])
    expect(await run(retireStandby("page-views", 60_000, act))).toEqual([])
    await run(rollBack("page-views", act))
    expect(control.pointer).toMatchObject({ generation: 3 })
    expect(await run(retireStandby("page-views", 60_000, act))).toEqual([])
    expect(await run(Effect.flip(rollBack("page-views", act)))).toMatchObject({ _tag: "RebuildStatusError" })
    expect(await run(retireStandby("page-views", 0, act))).toEqual([4])
    expect([...control.stored]).toEqual([3])
  })

  it("leaves no generation that stood by after a way back", async () => {
    const { run, control, statuses } = await openTwo()
    await run(abortRebuild(placeOf("r2"), act))
    await run(rollBack("page-views", act))
    await run(ready(0, { rebuildId: "r3", generation: 4, fromGeneration: 1 }))
    await run(cutOver(placeOf("r3"), undefined, act))
    expect(await statuses()).toEqual(["retired", "aborted", "active"])
    expect(await run(retireStandby("page-views", 60_000, act))).toEqual([2])
    expect([...control.stored]).toEqual([1, 4])
  })

  it("is retired afterwards where streams of earlier versions call both active", async () => {
    const { run, control, statuses } = await openTwo()
    await run(changeRebuilds("page-views", act, (_, atMs) => [{ type: "rebuild.cut_over", data: { rebuildId: "r2", pointerVersion: 3, atMs } }]))
    control.pointer = { projection: "page-views", generation: 3, pointerVersion: 3 }
    control.stored.add(3)
    expect(await statuses()).toEqual(["active", "active"])
    expect(await run(retireStandby("page-views", 60_000, act))).toEqual([1])
    expect(await statuses()).toEqual(["retired", "active"])
  })
})

describe("a rebuild that is ready, compared with a generation that is not served any more", () => {
  it("is refused until that one is served again", async () => {
    const { run, control, statuses } = await openTwo()
    await run(rollBack("page-views", act))
    const refused = await run(Effect.flip(cutOver(placeOf("r2"), undefined, act)))
    expect(refused).toMatchObject({ _tag: "RebuildStatusError", status: "ready, compared with generation 2, but generation 1 is served" })
    expect(refused).toHaveProperty("wanted", expect.stringContaining("it has to be compared again"))
    expect(control.pointer).toMatchObject({ generation: 1, pointerVersion: 3 })
    expect(await statuses()).toEqual(["standby", "ready"])
    await run(cutOver(place, undefined, act))
    await run(cutOver(placeOf("r2"), undefined, act))
    expect(control.pointer).toMatchObject({ generation: 3, pointerVersion: 5 })
  })

  it("is refused as well when the way back is taken between its decision and the move", async () => {
    const { run, events, control } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    await run(ready(6, second))
    // The first append of the cut-over stores the note.
    events.control.beforeAppend = Effect.sync(() => void (control.pointer = { projection: "page-views", generation: 1, pointerVersion: 3 }))
    expect(await run(Effect.flip(cutOver(placeOf("r2"), "refunds count", act)))).toMatchObject({ _tag: "PointerConflictError" })
    expect(control.pointer).toMatchObject({ generation: 1, pointerVersion: 3 })
  })
})

describe("commands of a rebuild", () => {
  it("record who did what and why, and refuse a second one at the same time", async () => {
    const { run, events, status } = open()
    await run(startRebuild(command, act))
    expect(events.stored).toMatchObject([{ stream: "rebuild~page-views", type: "rebuild.planned", metadata: act }])
    expect(await run(Effect.flip(startRebuild({ ...command, rebuildId: "r2" }, act)))).toMatchObject({ _tag: "RebuildRunningError", rebuildId: "r1" })
    await run(pauseRebuild(place, act))
    expect(await status()).toBe("paused")
    await run(resumeRebuild(place, act))
    expect(await status()).toBe("planned")
    await run(abortRebuild(place, act))
    expect(await status()).toBe("aborted")
  })

  it("lets only one of two win that start at the same moment", async () => {
    const { run, events } = open()
    events.control.beforeAppend = Effect.provideService(Effect.orDie(startRebuild({ ...command, rebuildId: "r2" }, act)), EventStore, events.shape).pipe(Effect.asVoid)
    expect(await run(Effect.flip(startRebuild(command, act)))).toMatchObject({ _tag: "RebuildRunningError", rebuildId: "r2" })
  })
})

describe("two executors that claim a rebuild at the same moment", () => {
  it("meet at the revision of the stream, and one of them is refused", async () => {
    const { run, events } = open()
    await run(startRebuild(command, act))
    const claim = (executor: string) => changeRebuilds("page-views", act, (state, nowMs) => decideClaim(state, "r1", executor, 60_000, nowMs))
    events.control.beforeAppend = Effect.provideService(Effect.orDie(claim("quicker")), EventStore, events.shape).pipe(Effect.asVoid)
    expect(await run(Effect.flip(claim("slower")))).toMatchObject({ _tag: "RebuildStatusError", status: "planned, claimed by quicker" })
    expect(events.stored.map(({ type }) => type)).toEqual(["rebuild.planned", "rebuild.claimed"])
  })
})

describe("a generation on standby", () => {
  it("is dropped once its time is over, the replaced one after a cut-over and the rebuilt one after a rollback, and never the served one", async () => {
    for (const isBack of [false, true]) {
      const { run, control, status } = open()
      expect(await run(retireStandby("page-views", 0, act))).toEqual([])
      await run(ready(0))
      expect(await run(retireStandby("page-views", 0, act))).toEqual([])
      await run(cutOver(place, undefined, act))
      if (isBack) await run(rollBack("page-views", act))
      expect(await run(retireStandby("page-views", 60_000, act))).toEqual([])
      expect(control.dropped).toEqual([])
      const standby = isBack ? 2 : 1
      expect(await run(retireStandby("page-views", 0, act))).toEqual([standby])
      expect(control.dropped).toEqual([`${standby} followed false`, `${standby} dropped`])
      expect(await status()).toBe("retired")
      expect(await run(Effect.flip(rollBack("page-views", act)))).toMatchObject({ _tag: "RebuildStatusError" })
      expect(await run(retireStandby("page-views", 0, act))).toEqual([])
    }
  })
})

describe("a generation to which the pointer moves back while it is to be dropped", () => {
  it("stays, and nothing is told of its end", async () => {
    const { run, control, status } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    control.beforeDrop = () => void (control.pointer = { projection: "page-views", generation: 1, pointerVersion: 3 })
    expect(await run(retireStandby("page-views", 0, act))).toEqual([])
    expect(control.dropped).toEqual(["1 followed false"])
    expect(await status()).toBe("active")
    await run(followPointer("page-views", act))
    expect(await status()).toBe("standby")
  })
})

describe("cut-over and rollback", () => {
  it("move the pointer there and back and there again, each once", async () => {
    const { run, control, status } = open()
    await run(ready(0))
    expect(await run(cutOver(place, undefined, act))).toEqual({ projection: "page-views", generation: 2, pointerVersion: 2 })
    expect(await run(cutOver(place, undefined, act))).toEqual(control.pointer)
    expect(await status()).toBe("active")
    expect(await run(rollBack("page-views", act))).toEqual({ projection: "page-views", generation: 1, pointerVersion: 3 })
    expect(await status()).toBe("standby")
    await run(cutOver(place, undefined, act))
    expect(control).toMatchObject({ pointer: { generation: 2, pointerVersion: 4 }, flips: 3 })
    await run(rollBack("page-views", act))
    expect(await run(Effect.flip(rollBack("page-views", act)))).toMatchObject({ _tag: "RebuildStatusError" })
  })

  it("are told to the bus once the pointer has moved, again when asked again, and not when it has not", async () => {
    const { run, bus, control } = open()
    const told = (version: number) => `${pointerTopic("page-views")} page-views ${version}`
    await run(ready(0))
    control.refusal = new TargetBehindError({ projection: "page-views", generation: 2, partition: 0, nextOffset: 1n, activeOffset: 2n })
    await run(Effect.flip(cutOver(place, undefined, act)))
    expect(bus.told).toEqual([])
    control.refusal = undefined
    await run(cutOver(place, undefined, act))
    expect(bus.told).toEqual([told(2)])
    await run(cutOver(place, undefined, act))
    await run(rollBack("page-views", act))
    expect(bus.told).toEqual([told(2), told(2), told(3)])
    await run(followPointer("page-views", act))
    expect(bus.told).toHaveLength(3)
  })

  it("move the pointer although the bus is away", async () => {
    const { run, bus, control, status } = open()
    await run(ready(0))
    bus.isAway = true
    await run(cutOver(place, undefined, act))
    expect([control.pointer.generation, await status()]).toEqual([2, "active"])
  })

  it("say of a halted generation that is behind that it will not catch up, and only of such a one", async () => {
    const { run, control } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    const halt = { projection: "page-views", generation: 1, lane: 0, code: "FOLD_FAILED", detail: "at 3/41", atMs: 0 }
    control.refusal = new TargetBehindError({ projection: "page-views", generation: 1, partition: 0, nextOffset: 1n, activeOffset: 2n })
    const back = () => run(Effect.all([Effect.map(loadRebuilds("page-views"), (all) => all[0]), Effect.flip(rollBack("page-views", act))]))
    const halted = (rebuild: Rebuild | undefined) => (rebuild === undefined ? undefined : run(standbyHalt(rebuild)))
    control.halts = [{ ...halt, generation: 2 }]
    const [rebuild, behind] = await back()
    expect([behind._tag, await halted(rebuild)]).toEqual(["TargetBehindError", undefined])
    control.halts = [halt]
    expect((await back())[1]).toMatchObject({ _tag: "StandbyHaltedError", generation: 1, haltCode: "FOLD_FAILED", detail: "at 3/41" })
    expect(await halted(rebuild)).toEqual(halt)
    control.halts = [halt, { ...halt, ...pauseOf("page-views"), code: PAUSED }]
    expect((await back())[1]._tag).toBe("TargetBehindError")
    expect(control.pointer).toMatchObject({ generation: 2 })
  }, 30_000)

  it("never go back past the last cut-over", async () => {
    const { run, control } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    control.pointer = { projection: "page-views", generation: 3, pointerVersion: 3 }
    expect(await run(Effect.flip(rollBack("page-views", act)))).toMatchObject({ _tag: "RebuildStatusError" })
    expect(control.pointer).toMatchObject({ generation: 3 })
  })

  it("leave the pointer alone while differences are not accepted or the target is behind; the note stands from then on", async () => {
    const { run, control, status } = open()
    await run(ready(6))
    expect(await run(Effect.flip(cutOver(place, undefined, act)))).toMatchObject({ _tag: "ParityDiffersError", differences: 6, isAcceptable: true })
    control.refusal = new TargetBehindError({ projection: "page-views", generation: 2, partition: 0, nextOffset: 1n, activeOffset: 2n })
    expect(await run(Effect.flip(cutOver(place, "test traffic is gone", act)))).toMatchObject({ _tag: "TargetBehindError" })
    expect(control.flips).toBe(0)
    expect(await status()).toBe("ready")
    control.refusal = undefined
    await run(cutOver(place, undefined, act))
    expect(await run(loadRebuilds("page-views"))).toMatchObject([{ status: "active", accepted: "test traffic is gone" }])
  })

  it("waits for a generation that is a moment behind, which is compared again where it stays so", async () => {
    const { run, control, status } = open()
    await run(ready(0))
    control.refusal = new TargetBehindError({ projection: "page-views", generation: 2, partition: 0, nextOffset: 1n, activeOffset: 2n })
    await run(Effect.flip(cutOver(place, undefined, act)))
    await run(compareAgain(place, act))
    expect(await status()).toBe("verifying")
    expect(await run(Effect.flip(cutOver(place, undefined, act)))).toMatchObject({ _tag: "RebuildStatusError", status: "verifying" })
    await run(compareAgain(place, act))
    const parity = { sameDefinition: true, compared: 9, equal: 9, differ: 0, onlyOld: 0, onlyNew: 0, faults: [], position: [] }
    await run(changeRebuilds("page-views", act, (state, nowMs) => decideVerified(state, "r1", parity, nowMs)))
    control.behindFor = 3
    await run(cutOver(place, undefined, act))
    expect(control).toMatchObject({ behindFor: 0, flips: 1, pointer: { generation: 2 } })
    expect(await run(Effect.flip(compareAgain(place, act)))).toMatchObject({ _tag: "RebuildStatusError", status: "active" })
  })

  it("are put right in the event stream when the process ended after the pointer moved", async () => {
    const { run, control, bus, status } = open()
    await run(ready(0))
    control.pointer = { projection: "page-views", generation: 2, pointerVersion: 2 }
    await run(followPointer("page-views", act))
    expect(await status()).toBe("active")
    expect(bus.told).toEqual([`${pointerTopic("page-views")} page-views 2`])
    control.pointer = { projection: "page-views", generation: 1, pointerVersion: 3 }
    await run(followPointer("page-views", act))
    expect(await status()).toBe("standby")
    await run(followPointer("page-views", act))
    expect(await status()).toBe("standby")
  })

  it("are not taken back in the event stream by a look at the pointer that is older than the last move", async () => {
    const { run, control, bus, status } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    const told = bus.told.length
    control.pointer = { projection: "page-views", generation: 1, pointerVersion: 1 }
    await run(followPointer("page-views", act))
    expect(await status()).toBe("active")
    expect(bus.told).toHaveLength(told)
  })

  it("are put right of an earlier rebuild as well, while a later one goes on", async () => {
    const { run, control } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    await run(startRebuild({ ...command, rebuildId: "r2", generation: 3, fromGeneration: 2 }, act))
    control.pointer = { projection: "page-views", generation: 1, pointerVersion: 3 }
    await run(followPointer("page-views", act))
    expect(await run(loadRebuilds("page-views"))).toMatchObject([{ status: "standby", pointerVersion: 3 }, { status: "planned" }])
  })

  it("stand although the rebuild was aborted while the pointer moved, for what is served is not dropped", async () => {
    const { run, events, control, status } = open()
    await run(ready(0))
    // The first append of the cut-over tells that the pointer has moved.
    events.control.beforeAppend = Effect.provideService(Effect.orDie(abortRebuild(place, act)), EventStore, events.shape).pipe(Effect.asVoid)
    await run(cutOver(place, undefined, act))
    expect(await status()).toBe("active")
    await run(rollBack("page-views", act))
    expect(control.pointer).toEqual({ projection: "page-views", generation: 1, pointerVersion: 3 })
  })
})
