/** Live answers: what a subscriber is told, in which order, and that nothing is asked while nothing is told. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import { eventTail } from "./eventTail.ts"
import { portsOf } from "./fakePorts.ts"
import { definition, viewed, World } from "./fakes.ts"
import { freshnessChanged } from "./freshnessChanged.ts"
import { seriesChanged } from "./live.ts"
import type { SeriesChange, SeriesChangesInput } from "./live.ts"
import { checkpointTopic } from "@tidemark/domain/ports/hintTopic"

const START = Date.parse("2026-03-01T00:00:00Z")
const at = (minute: number, second = 0): number => START + minute * 60_000 + second * 1_000
const base: SeriesChangesInput = { projection: "page-views", measures: ["views"], fromMs: at(0), toMs: at(60), resolution: "minute" }

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Collects what a stream says until stopped. */
const collect = <A, E>(world: World, stream: Stream.Stream<A, E, never>) => {
  const told: A[] = []
  const waiting = new Set<() => void>()
  const fiber = Effect.runFork(Stream.runForEach(stream, (item) => Effect.sync(() => {
    told.push(item)
    for (const wake of waiting) wake()
  })))
  /** Waits until `count` items were told; fails after two seconds. */
  const has = async (count: number): Promise<readonly A[]> => {
    const deadline = performance.now() + 2_000
    while (told.length < count) {
      if (performance.now() > deadline) throw new Error(`told ${told.length} of ${count}`)
      await Promise.race([sleep(20), new Promise<void>((resolve) => waiting.add(resolve))])
    }
    return told
  }
  return { told, has, stop: () => Effect.runPromise(Fiber.interrupt(fiber)), world }
}

const follow = (world: World, input: Partial<SeriesChangesInput> = {}) =>
  collect(world, Stream.provideContext(seriesChanged({ ...base, ...input }, "acme"), portsOf(world)))

const points = ({ groups }: SeriesChange) => groups.flatMap((group) => group.points.map(({ startMs, events, state }) => [startMs, Number(events), state] as const))

describe("a live series", () => {
  it("is the whole series first, then the changed points only", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    world.fold(0, { id: "2", timeMs: at(5), page: "/" })
    const live = follow(world)
    const [first] = await live.has(1)
    expect([first?.kind, first && points(first)]).toEqual(["RESYNC", [[at(0), 1, "PROVISIONAL"], [at(5), 1, "PROVISIONAL"]]])
    world.fold(0, { id: "3", timeMs: at(5, 1), page: "/x" })
    const [, second] = await live.has(2)
    expect([second?.kind, second && points(second)]).toEqual(["UPSERT", [[at(5), 2, "PROVISIONAL"]]])
    await live.stop()
  })

  it("tells that a window turned final when only a heartbeat came, and nothing of the others", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    world.fold(0, { id: "2", timeMs: at(5), page: "/" })
    world.heartbeat(1, at(30))
    const live = follow(world)
    await live.has(1)
    world.heartbeat(0, at(6, 10))
    const [, second] = await live.has(2)
    expect([second?.kind, second?.watermarkMs, second && points(second)]).toEqual(["UPSERT", at(6), [[at(5), 1, "FINAL"]]])
    await live.stop()
  })

  it("tells a final window as revised when a late event joins it", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(30))
    const live = follow(world)
    const [first] = await live.has(1)
    expect(first && points(first)).toEqual([[at(0), 1, "FINAL"]])
    world.fold(1, { id: "2", timeMs: at(0, 9), page: "/" }, { late: true })
    const [, second] = await live.has(2)
    expect(second && points(second)).toEqual([[at(0), 2, "REVISED"]])
    await live.stop()
  })

  it("asks nothing while nothing is told", async () => {
    const world = new World()
    const live = follow(world)
    await live.has(1)
    const before = world.snapshots
    await sleep(400)
    expect(world.snapshots).toBe(before)
    await live.stop()
  })

  it("stays silent when what is told changes nothing for this subscriber", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const live = follow(world, { where: [{ name: "page", in: ["/"] }] })
    await live.has(1)
    world.fold(0, { id: "2", timeMs: at(1), page: "/other", tenantId: "another" })
    world.fold(0, { id: "3", timeMs: at(1), page: "/x" })
    await sleep(300)
    expect(live.told).toHaveLength(1)
    await live.stop()
  })

  it("continues from a position with what changed since, and starts over from one it does not know", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const since = world.checkpoints.map(({ partition, nextOffset }) => ({ partition, nextOffset }))
    world.fold(1, { id: "2", timeMs: at(7), page: "/" })
    const live = follow(world, { since })
    const [first] = await live.has(1)
    expect([first?.kind, first && points(first).map(([startMs]) => startMs)]).toEqual(["UPSERT", [at(7)]])
    await live.stop()
    const beyond = follow(world, { since: [{ partition: 0, nextOffset: 99n }, { partition: 1, nextOffset: 0n }] })
    const [again] = await beyond.has(1)
    expect([again?.kind, again && points(again).length]).toEqual(["RESYNC", 2])
    await beyond.stop()
  })

  it("starts over when another generation becomes the active one", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const live = follow(world)
    await live.has(1)
    world.generations.add(2)
    world.pointers = [{ projection: definition.name, generation: 2, pointerVersion: 2 }]
    world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "1" }])
    const [, second] = await live.has(2)
    expect(second).toMatchObject({ kind: "RESYNC", generation: 2, pointerVersion: 2 })
    await live.stop()
  })

  it("never tells an older pointer, an older position or an older watermark, whatever the store answers", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(3))
    const live = follow(world)
    await live.has(1)
    const [rows, pointers, checkpoints] = [world.rows, world.pointers, [...world.checkpoints]]
    world.fold(1, { id: "2", timeMs: at(9), page: "/" })
    await live.has(2)
    const newRows = world.rows
    const newCheckpoints = [...world.checkpoints]
    world.rows = rows
    world.checkpoints.splice(0, 2, ...checkpoints)
    world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "0" }])
    await sleep(250)
    expect(live.told).toHaveLength(2)
    world.rows = newRows
    world.checkpoints.splice(0, 2, ...newCheckpoints)
    world.pointers = pointers.map((pointer) => ({ ...pointer, pointerVersion: 0 }))
    world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "0" }])
    await sleep(250)
    expect(live.told).toHaveLength(2)
    await live.stop()
  })

  it("ends with the query's own answer, in rising order, however fast events come", async () => {
    const world = new World()
    const live = follow(world)
    await live.has(1)
    for (let index = 0; index < 200; index++) {
      world.fold(index % 2, { id: String(index), timeMs: at(index % 20, index % 60), page: `/${index % 3}` })
      if (index % 10 === 0) await sleep(7)
    }
    await sleep(300)
    const held = new Map<number, { readonly revision: bigint; readonly events: bigint }>()
    let [watermarkMs, pointerVersion] = [-Infinity, 0]
    for (const change of live.told) {
      expect(change.pointerVersion).toBeGreaterThanOrEqual(pointerVersion)
      expect(change.watermarkMs ?? -Infinity).toBeGreaterThanOrEqual(watermarkMs)
      ;[watermarkMs, pointerVersion] = [change.watermarkMs ?? -Infinity, change.pointerVersion]
      for (const point of change.groups.flatMap((group) => group.points)) {
        expect(point.revision).toBeGreaterThanOrEqual(held.get(point.startMs)?.revision ?? 0n)
        held.set(point.startMs, point)
      }
    }
    expect([...held.values()].reduce((sum, { events }) => sum + events, 0n)).toBe(200n)
    expect(live.told.length).toBeLessThanOrEqual(12)
    await live.stop()
  })

  it("starts over when more was told than the bus keeps", async () => {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const live = follow(world)
    await live.has(1)
    world.tell(checkpointTopic(definition.name), Array.from({ length: 10_001 }, (_, index) => ({ key: definition.name, version: String(index) })))
    const [, second] = await live.has(2)
    expect(second?.kind).toBe("RESYNC")
    await live.stop()
  })

  it("keeps to the groups it began with when a break-down is limited", async () => {
    const world = new World()
    for (const id of ["1", "2", "3"]) world.fold(0, { id, timeMs: at(0), page: "/big" })
    const live = follow(world, { breakdownBy: "page", first: 1 })
    await live.has(1)
    world.fold(1, { id: "4", timeMs: at(1), page: "/small" })
    world.fold(1, { id: "5", timeMs: at(2), page: "/big" })
    await live.has(2)
    await sleep(150)
    expect(live.told.slice(1).flatMap(({ groups }) => groups.map(({ key }) => key[0]?.value))).toEqual(["/big"])
    await live.stop()
  })

  it("fails for a measure that is not there", async () => {
    const answer = Stream.runHead(Stream.provideContext(seriesChanged({ ...base, measures: ["clicks"] }, "acme"), portsOf(new World())))
    await expect(Effect.runPromise(answer)).rejects.toMatchObject({ _tag: "UnknownMeasureError" })
  })

  it("stops listening when its subscriber leaves", async () => {
    const world = new World()
    const live = follow(world)
    await live.has(1)
    expect([...world.listeners.values()].map(({ size }) => size)).toEqual([1, 1])
    await live.stop()
    expect([...world.listeners.values()].map(({ size }) => size)).toEqual([0, 0])
  })
})

describe("live freshness", () => {
  it("is told first as it stands, then when a checkpoint moved, and not again when nothing did", async () => {
    const world = new World()
    const live = collect(world, Stream.provideContext(freshnessChanged({}, "acme"), portsOf(world)))
    expect((await live.has(1))[0]?.map(({ partition, nextOffset }) => [partition, nextOffset])).toEqual([[0, 0n], [1, 0n]])
    world.heartbeat(1, at(0))
    expect((await live.has(2))[1]?.[1]).toMatchObject({ partition: 1, nextOffset: 1n, lagEvents: 0n, watermarkMs: at(0) - 10_000 })
    world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "1" }])
    await sleep(700)
    expect(live.told).toHaveLength(2)
    await live.stop()
  })
})

describe("the event tail", () => {
  it("shows the tenant's events from now on that match, and no one else's", async () => {
    const world = new World()
    world.fold(0, { id: "before", timeMs: at(0), page: "/" })
    const live = collect(world, Stream.provideContext(eventTail({ where: [{ path: "data.page", equals: "/" }] }, "acme"), portsOf(world)))
    await sleep(50)
    world.fold(0, { id: "other page", timeMs: at(0), page: "/x" })
    world.fold(1, { id: "other tenant", timeMs: at(0), page: "/", tenantId: "another" })
    world.fold(1, { id: "mine", timeMs: at(0), page: "/" })
    world.heartbeat(0, at(1))
    const [only] = await live.has(1)
    expect(only).toMatchObject({ partition: 1, offset: 1n, event: { id: "mine", data: viewed({ id: "mine", timeMs: at(0), page: "/" }).data } })
    await sleep(50)
    expect(live.told).toHaveLength(1)
    await live.stop()
    expect(world.appendListeners.size).toBe(0)
  })

  it("leaves nothing out when very many come at once", async () => {
    const world = new World()
    const live = collect(world, Stream.provideContext(eventTail(undefined, "acme"), portsOf(world)))
    await sleep(50)
    for (let n = 0; n < 700; n++) world.fold(0, { id: `e${n}`, timeMs: at(0), page: "/" })
    const told = await live.has(700)
    expect(told.map(({ event }) => event.id)).toEqual(Array.from({ length: 700 }, (_, n) => `e${n}`))
    await live.stop()
  })
})
