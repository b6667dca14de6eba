import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { GenerationInUseError, ReadModelStore, StoreUnavailableError, TargetBehindError } from "@tidemark/domain/ports/ReadModelStore"
import { pointerTopic } from "@tidemark/domain/ports/hintTopic"
import { PubSub, PubSubUnavailableError } from "@tidemark/domain/ports/PubSub"
import type { PubSubShape } from "@tidemark/domain/ports/PubSub"
import type { GenerationId, Pointer, ReadModelStoreShape, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { decideClaim, decideMove, decideVerified } from "@tidemark/domain/settings/rebuild/decide"
import { makeFakeEventStore } from "../settings/fakes.ts"
import { changeRebuilds, loadRebuilds } from "./aggregate.ts"
import { cutOver, followPointer, rollBack } from "./cutOver.ts"
import { retireStandby } from "./retire.ts"
import { startRebuild } from "./startRebuild.ts"
import { abortRebuild, pauseRebuild, resumeRebuild } from "./steerRebuild.ts"

const act = { actor: "sha256_0a1b2c3d", reason: "the filter was wrong" }
const place = { projection: "page-views", rebuildId: "r1" }
const command = {
  ...place, generation: 2, fromGeneration: 1, definition: "{}", definitionHash: "h", reason: act.reason, plan: { events: "10", bytes: "1000", seconds: 1 }
}

/** A pointer and nothing else; `next` is how the next flips end. */
const makeStore = () => {
  const control = { pointer: { projection: "page-views", generation: 1, pointerVersion: 1 } as Pointer, flips: 0, dropped: [] as string[], refusal: undefined as TargetBehindError | StoreUnavailableError | undefined, beforeDrop: (): void => {} }
  const snapshot = { pointer: () => Effect.sync(() => control.pointer) } as unknown as ReadSnapshot
  const shape = {
    snapshot: Effect.succeed(snapshot),
    flip: (projection: string, generation: number, expected: number) => Effect.suspend(() => {
      if (control.refusal !== undefined) return Effect.fail(control.refusal)
      control.flips += 1
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
const ready = (differ: number) => Effect.gen(function* () {
  yield* startRebuild(command, act)
  for (const to of ["preparing", "building", "catching_up", "verifying"] as const) yield* changeRebuilds("page-views", act, (state, nowMs) => decideMove(state, "r1", to, nowMs))
  const parity = { sameDefinition: false, sample: { seed: 1, windows: 9, skipped: 0, differing: [] }, compared: 9, equal: 9 - differ, differ, onlyOld: 0, onlyNew: 0, faults: [], position: [] }
  yield* changeRebuilds("page-views", act, (state, nowMs) => decideVerified(state, "r1", parity, nowMs))
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
      expect(await run(retireStandby("page-views", 0, act))).toBeUndefined()
      await run(ready(0))
      expect(await run(retireStandby("page-views", 0, act))).toBeUndefined()
      await run(cutOver(place, undefined, act))
      if (isBack) await run(rollBack("page-views", act))
      expect(await run(retireStandby("page-views", 60_000, act))).toBeUndefined()
      expect(control.dropped).toEqual([])
      const standby = isBack ? 2 : 1
      expect(await run(retireStandby("page-views", 0, act))).toBe(standby)
      expect(control.dropped).toEqual([`${standby} followed false`, `${standby} dropped`])
      expect(await status()).toBe("retired")
      expect(await run(Effect.flip(rollBack("page-views", act)))).toMatchObject({ _tag: "RebuildStatusError" })
      expect(await run(retireStandby("page-views", 0, act))).toBeUndefined()
    }
  })
})

describe("a generation to which the pointer moves back while it is to be dropped", () => {
  it("stays, and nothing is told of its end", async () => {
    const { run, control, status } = open()
    await run(ready(0))
    await run(cutOver(place, undefined, act))
    control.beforeDrop = () => void (control.pointer = { projection: "page-views", generation: 1, pointerVersion: 3 })
    expect(await run(retireStandby("page-views", 0, act))).toBeUndefined()
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
