/** Live answers: what a subscriber is told, in which order, and that nothing is asked while nothing is told. */
import { checkpointTopic, pointerTopic } from "@tidemark/domain/ports/hintTopic"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import { portsOf } from "./fakePorts.ts"
import { definition, World } from "./fakes.ts"
import { seriesChanged } from "./live.ts"
import type { SeriesChange, SeriesChangesInput } from "./live.ts"
import { pass, subscribe, underTestClock } from "./subscriber.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const at = (minute: number, second = 0): number => START + minute * 60_000 + second * 1_000
const base: SeriesChangesInput = { projection: "page-views", measures: ["views"], fromMs: at(0), toMs: at(60), resolution: "minute" }

const follow = (world: World, input: Partial<SeriesChangesInput> = {}) =>
  subscribe(Stream.provideContext(seriesChanged({ ...base, ...input }, "acme"), portsOf(world)))

/** The notice of a checkpoint that did not move, or of anything else that changes nothing. */
const notice = (world: World, version = "1"): void => world.tell(checkpointTopic(definition.name), [{ key: definition.name, version }])

/** From here on what is told waits for the next message's turn, and is looked at together. */
const busy = (world: World) => Effect.andThen(Effect.andThen(pass(2_000), Effect.sync(() => notice(world))), pass(10))

const points = ({ groups }: SeriesChange) => groups.flatMap((group) => group.points.map(({ startMs, events, state }) => [startMs, Number(events), state] as const))

describe("a live series", () => {
  it("is the whole series first, then the changed points only", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    world.fold(0, { id: "2", timeMs: at(5), page: "/" })
    const { told } = yield* follow(world)
    expect(told.map((change) => [change.kind, points(change)])).toEqual([["RESYNC", [[at(0), 1, "PROVISIONAL"], [at(5), 1, "PROVISIONAL"]]]])
    world.fold(0, { id: "3", timeMs: at(5, 1), page: "/x" })
    yield* pass(0)
    expect(told.slice(1).map((change) => [change.kind, points(change)])).toEqual([["UPSERT", [[at(5), 2, "PROVISIONAL"]]]])
  })))

  it("tells that a window turned final when only a heartbeat came, and nothing of the others", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    world.fold(0, { id: "2", timeMs: at(5), page: "/" })
    world.heartbeat(1, at(30))
    const { told } = yield* follow(world)
    world.heartbeat(0, at(6, 10))
    yield* pass(0)
    expect(told.slice(1).map((change) => [change.kind, change.watermarkMs, points(change)])).toEqual([["UPSERT", at(6), [[at(5), 1, "FINAL"]]]])
  })))

  it("tells a final window as revised when a late event joins it", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(30))
    const { told } = yield* follow(world)
    world.fold(1, { id: "2", timeMs: at(0, 9), page: "/" }, { late: true })
    yield* pass(0)
    expect(told.map(points)).toEqual([[[at(0), 1, "FINAL"]], [[at(0), 2, "REVISED"]]])
  })))

  it("asks nothing while nothing is told, however long that is", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    yield* follow(world)
    const before = world.snapshots
    yield* pass(3_600_000)
    expect([before, world.snapshots]).toEqual([1, 1])
  })))

  it("looks once a second where nothing is told but that checkpoints moved or other windows changed, and at once when one of its own did", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world)
    const before = world.snapshots
    for (let tenth = 0; tenth < 100; tenth++) {
      world.heartbeat(0, at(1) + tenth)
      world.fold(0, { id: `beyond ${tenth}`, timeMs: at(61), page: "/" })
      yield* pass(100)
    }
    expect(world.snapshots - before).toBeGreaterThanOrEqual(9)
    expect(world.snapshots - before).toBeLessThanOrEqual(11)
    world.fold(0, { id: "2", timeMs: at(0), page: "/" })
    yield* pass(100)
    expect(told.slice(1).flatMap(points)).toEqual([[at(0), 2, "PROVISIONAL"]])
  })))

  it("reads the windows that were told of and no others, however long ago it read them all", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    for (let minute = 0; minute < 40; minute++) world.fold(0, { id: `${minute}`, timeMs: at(minute), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(20))
    const { told } = yield* follow(world)
    expect(world.scans.splice(0).map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([[at(0), at(60)]])
    for (let second = 0; second < 60; second++) {
      yield* pass(1_000)
      for (const partition of [0, 1]) world.heartbeat(partition, at(20, second / 10))
    }
    yield* busy(world)
    world.fold(0, { id: "late", timeMs: at(3, 1), page: "/" })
    world.fold(0, { id: "now", timeMs: at(40), page: "/" })
    world.fold(0, { id: "now too", timeMs: at(41), page: "/" })
    yield* pass(1_000)
    expect(world.scans.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([[at(3), at(4)], [at(40), at(42)]])
    expect(told.slice(1).flatMap(points)).toEqual([[at(3), 2, "FINAL"], [at(40), 1, "PROVISIONAL"], [at(41), 1, "PROVISIONAL"]])
  })))

  it("reads no row when hints are of windows outside its range or of another resolution", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const minutes = yield* follow(world)
    world.scans.splice(0)
    world.fold(0, { id: "2", timeMs: at(61), page: "/" })
    yield* pass(1_000)
    expect([minutes.told.length, world.scans]).toEqual([1, []])
  })))

  it("follows the definition's own windows where they are longer than a minute", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.baseMs = 300_000
    const { told } = yield* follow(world, { fromMs: at(3), toMs: at(12) })
    world.fold(0, { id: "1", timeMs: at(1), page: "/" })
    yield* pass(1_000)
    for (const minute of [4, 6]) {
      for (const partition of [0, 1]) world.heartbeat(partition, at(minute))
      yield* pass(1_000)
    }
    expect(told.slice(1).map(points)).toEqual([[[at(0), 1, "PROVISIONAL"]], [], [[at(0), 1, "FINAL"]]])
    world.fold(0, { id: "2", timeMs: at(14), page: "/" })
    yield* pass(1_000)
    expect(told.slice(4).flatMap(points)).toEqual([[at(10), 1, "PROVISIONAL"]])
  })))

  it("reads windows far apart as one run when they are very many", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    const { told } = yield* follow(world)
    world.scans.splice(0)
    yield* busy(world)
    for (let minute = 1; minute < 60; minute += 2) world.fold(0, { id: `${minute}`, timeMs: at(minute), page: "/" })
    yield* pass(1_000)
    expect(world.scans.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual([[at(1), at(60)]])
    expect(told.slice(1).flatMap(points)).toHaveLength(30)
  })))

  it("stays silent when what is told changes nothing for this subscriber", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world, { where: [{ name: "page", in: ["/"] }] })
    world.fold(0, { id: "2", timeMs: at(1), page: "/other", tenantId: "another" })
    world.fold(0, { id: "3", timeMs: at(1), page: "/x" })
    yield* pass(1_000)
    expect(told).toHaveLength(1)
  })))

  it("continues from a position with what changed since, and starts over from one it does not know", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const since = world.checkpoints.map(({ partition, nextOffset }) => ({ partition, nextOffset }))
    world.fold(1, { id: "2", timeMs: at(7), page: "/" })
    const live = yield* follow(world, { since })
    expect(live.told.map((change) => [change.kind, points(change).map(([startMs]) => startMs)])).toEqual([["UPSERT", [at(7)]]])
    const beyond = yield* follow(world, { since: [{ partition: 0, nextOffset: 99n }, { partition: 1, nextOffset: 0n }] })
    expect(beyond.told.map((change) => [change.kind, points(change).length])).toEqual([["RESYNC", 2]])
  })))

  it("starts over when another generation becomes the active one, at once and once, though nothing else happens", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world)
    world.generations.add(2)
    world.pointers = [{ projection: definition.name, generation: 2, pointerVersion: 2 }]
    for (let times = 0; times < 2; times++) world.tell(pointerTopic(definition.name), [{ key: definition.name, version: "2" }])
    yield* pass(0)
    expect(told.slice(1)).toMatchObject([{ kind: "RESYNC", generation: 2, pointerVersion: 2 }])
    yield* pass(1_000)
    expect(told).toHaveLength(2)
  })))

  it("never tells an older pointer, an older position or an older watermark, and still owes what was told meanwhile", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(3))
    const { told } = yield* follow(world)
    const { pointers } = world
    const older = { rows: world.rows, checkpoints: [...world.checkpoints] }
    world.fold(1, { id: "2", timeMs: at(9), page: "/" })
    yield* pass(1_000)
    expect(told).toHaveLength(2)
    world.fold(1, { id: "3", timeMs: at(10), page: "/" })
    const newer = { rows: world.rows, checkpoints: [...world.checkpoints] }
    const answer = ({ rows, checkpoints }: typeof older) => {
      world.rows = rows
      world.checkpoints.splice(0, 2, ...checkpoints)
    }
    answer(older)
    yield* pass(1_000)
    expect(told).toHaveLength(2)
    answer(newer)
    world.pointers = pointers.map((pointer) => ({ ...pointer, pointerVersion: 0 }))
    notice(world)
    yield* pass(1_000)
    expect(told).toHaveLength(2)
    world.pointers = pointers
    notice(world)
    yield* pass(1_000)
    expect(told.slice(2).map(points)).toEqual([[[at(10), 1, "PROVISIONAL"]]])
  })))

  it("ends with the query's own answer, in rising order, at most ten times a second however fast events come", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    const { told } = yield* follow(world)
    for (let index = 0; index < 200; index++) {
      world.fold(index % 2, { id: String(index), timeMs: at(index % 20, index % 60), page: `/${index % 3}` })
      if (index % 4 === 0) yield* pass(10)
    }
    yield* pass(1_000)
    const held = new Map<number, { readonly revision: bigint; readonly events: bigint }>()
    let [watermarkMs, pointerVersion] = [-Infinity, 0]
    for (const change of told) {
      expect(change.pointerVersion).toBeGreaterThanOrEqual(pointerVersion)
      expect(change.watermarkMs ?? -Infinity).toBeGreaterThanOrEqual(watermarkMs)
      ;[watermarkMs, pointerVersion] = [change.watermarkMs ?? -Infinity, change.pointerVersion]
      for (const point of change.groups.flatMap((group) => group.points)) {
        expect(point.revision).toBeGreaterThanOrEqual(held.get(point.startMs)?.revision ?? 0n)
        held.set(point.startMs, point)
      }
    }
    expect([...held.values()].reduce((sum, { events }) => sum + events, 0n)).toBe(200n)
    expect(told.length).toBeGreaterThan(3)
    expect(told.length).toBeLessThanOrEqual(8)
  })))

  it("tells a position up to which everything was told, however far the model it read had got", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world)
    world.held = []
    world.fold(0, { id: "2", timeMs: at(5), page: "/" })
    const first = world.held.splice(0)
    world.fold(0, { id: "3", timeMs: at(6), page: "/" })
    const second = world.held.splice(0)
    world.held = undefined
    const deliver = (publications: typeof first) => Effect.andThen(Effect.sync(() => publications.forEach((one) => world.tell(...one))), pass(1_000))
    yield* deliver(first)
    expect(told.slice(1).map(points)).toEqual([[[at(5), 1, "PROVISIONAL"]]])
    const continued = yield* follow(world, { since: told[1]?.position ?? [] })
    expect(continued.told.map(({ kind }) => kind)).toEqual(["UPSERT"])
    expect(continued.told.flatMap(points)).toContainEqual([at(6), 1, "PROVISIONAL"])
    yield* deliver(second)
    world.fold(0, { id: "4", timeMs: at(7), page: "/" })
    yield* pass(1_000)
    world.fold(0, { id: "5", timeMs: at(8), page: "/" })
    yield* pass(1_000)
    const later = yield* follow(world, { since: told.at(-1)?.position ?? [] })
    expect(told.slice(2).flatMap(points).map(([startMs]) => startMs)).toEqual([at(6), at(7), at(8)])
    expect(later.told.flatMap(points).map(([startMs]) => startMs)).not.toContain(at(6))
  })))

  it("starts over when hints were lost and the bus does not know, and not when they come twice", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world)
    world.fold(0, { id: "2", timeMs: at(1), page: "/" })
    yield* pass(1_000)
    world.held = []
    world.fold(0, { id: "3", timeMs: at(2), page: "/" })
    const again = world.held
    world.held = undefined
    for (let times = 0; times < 2; times++) {
      again.forEach((one) => world.tell(...one))
      yield* pass(1_000)
    }
    world.fold(0, { id: "4", timeMs: at(3), page: "/", tenantId: "another" })
    world.fold(0, { id: "5", timeMs: at(4), page: "/" })
    yield* pass(1_000)
    expect(told.slice(1).map((change) => [change.kind, points(change).map(([startMs]) => startMs)])).toEqual([["UPSERT", [at(1)]], ["UPSERT", [at(2)]], ["UPSERT", [at(4)]]])
    world.held = []
    world.fold(0, { id: "6", timeMs: at(5), page: "/" })
    world.held = undefined
    world.fold(0, { id: "7", timeMs: at(6), page: "/" })
    yield* pass(1_000)
    expect(told.slice(4).map((change) => [change.kind, points(change).map(([startMs]) => startMs)])).toEqual([["RESYNC", [at(0), at(1), at(2), at(4), at(5), at(6)]]])
  })))

  it("starts over when more was told than the bus keeps", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "1", timeMs: at(0), page: "/" })
    const { told } = yield* follow(world)
    world.tell(checkpointTopic(definition.name), Array.from({ length: 10_001 }, (_, index) => ({ key: definition.name, version: String(index) })))
    yield* pass(100)
    expect(told.map(({ kind }) => kind)).toEqual(["RESYNC", "RESYNC"])
  })))

  it("fails for a measure that is not there", underTestClock(() => Effect.gen(function* () {
    const { failure } = yield* follow(new World(), { measures: ["clicks"] })
    expect(failure()).toMatchObject({ _tag: "UnknownMeasureError" })
  })))

  it("stops listening when its subscriber leaves", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    const { leave } = yield* follow(world)
    expect([...world.listeners.values()].map(({ size }) => size)).toEqual([1, 1, 1])
    yield* leave
    expect([...world.listeners.values()].map(({ size }) => size)).toEqual([0, 0, 0])
  })))
})
