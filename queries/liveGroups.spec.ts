/** Live break-downs: which groups a subscriber is told of, and how much is held for it. */
import { checkpointTopic, hintKey, modelTopic } from "@tidemark/domain/ports/hintTopic"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import { portsOf } from "./fakePorts.ts"
import { definition, World } from "./fakes.ts"
import { seriesChanged } from "./live.ts"
import type { SeriesChange, SeriesChangesInput } from "./live.ts"
import { pass, subscribe, underTestClock } from "./subscriber.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const at = (minute: number): number => START + minute * 60_000
const base: SeriesChangesInput = { projection: "page-views", measures: ["views"], fromMs: at(0), toMs: at(60), resolution: "minute", breakdownBy: "page" }

const follow = (world: World, input: Partial<SeriesChangesInput>) =>
  subscribe(Stream.provideContext(seriesChanged({ ...base, ...input }, "acme"), portsOf(world)))

let ids = 0
/** Views of these pages, one each, in one minute. */
const view = (world: World, minute: number, pages: readonly string[]): void => {
  for (const page of pages) world.fold(0, { id: `view ${ids++}`, timeMs: at(minute), page })
}

/** From here on what is told waits for the next message's turn, and is looked at together. */
const busy = Effect.fn(function* (world: World) {
  yield* pass(2_000)
  world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "1" }])
  yield* pass(10)
})

/** Has the bus forget more than it keeps: the whole range is read again. */
const lose = (world: World): void =>
  world.tell(checkpointTopic(definition.name), Array.from({ length: 10_001 }, (_, index) => ({ key: definition.name, version: String(index) })))

/** Kind, groups and the minutes told of each. */
const outline = ({ kind, groups }: SeriesChange) => [kind, Object.fromEntries(groups.map(({ key, points }) => [key[0]?.value, points.map(({ startMs }) => (startMs - START) / 60_000)]))]

describe("a live break-down limited by `first`", () => {
  it("keeps to the groups it began with, however large others become, until it starts over", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    view(world, 0, ["/a", "/a", "/a", "/b", "/b", "/c"])
    const { told } = yield* follow(world, { first: 2 })
    for (let minute = 1; minute <= 5; minute++) {
      view(world, minute, ["/c", "/c", "/c", "/d", minute === 5 ? "/b" : "/c"])
      yield* pass(10_000)
    }
    expect(told.map(outline)).toEqual([["RESYNC", { "/a": [0], "/b": [0] }], ["UPSERT", { "/b": [5] }]])
    lose(world)
    yield* pass(1_000)
    view(world, 6, ["/a", "/b", "/c", "/d"])
    yield* pass(1_000)
    expect(told.slice(2).map(outline)).toEqual([["RESYNC", { "/c": [0, 1, 2, 3, 4, 5], "/d": [1, 2, 3, 4, 5] }], ["UPSERT", { "/c": [6], "/d": [6] }]])
  })))

  it("takes new groups in while there are places left, and never gives one of them away", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    view(world, 0, ["/a"])
    const { told } = yield* follow(world, { first: 2 })
    yield* busy(world)
    view(world, 1, ["/a", "/b", "/b", "/c", "/c", "/c"])
    yield* busy(world)
    view(world, 2, ["/a", "/b", "/b", "/c"])
    yield* pass(1_000)
    expect(told.map(outline)).toEqual([["RESYNC", { "/a": [0] }], ["UPSERT", { "/a": [1], "/c": [1] }], ["UPSERT", { "/a": [2], "/c": [2] }]])
  })))

  it("starts over where a position is to be continued and groups are left out: another answer may hold others", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    view(world, 0, ["/a", "/a", "/b"])
    const since = world.checkpoints.map(({ partition, nextOffset }) => ({ partition, nextOffset }))
    view(world, 1, ["/b", "/b"])
    const all = yield* follow(world, { first: 2, since })
    const limited = yield* follow(world, { first: 1, since })
    expect([...all.told, ...limited.told].map(outline)).toEqual([["UPSERT", { "/b": [1] }], ["RESYNC", { "/b": [0, 1] }]])
  })))

  it("tells the empty windows of every group that turned final, when it is to fill them", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    view(world, 0, ["/a"])
    for (const partition of [0, 1]) world.heartbeat(partition, at(1))
    const { told } = yield* follow(world, { fill: true, toMs: at(4) })
    for (const partition of [0, 1]) world.heartbeat(partition, at(3) + 10_000)
    yield* pass(1_000)
    expect(told.map(outline)).toEqual([["RESYNC", { "/a": [0, 1, 2, 3] }], ["UPSERT", { "/a": [0, 1, 2] }]])
    expect(told[1]?.groups[0]?.points.map(({ state }) => state)).toEqual(["FINAL", "FINAL", "FINAL"])
  })))
})

describe("a live break-down of any size", () => {
  it("ends as the query would when it has more points than an answer may", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    view(world, 0, ["/a"])
    const template = world.rows.find(({ resolution }) => resolution === 0)
    const rowOf = (group: number, minute: number): readonly StoredRow[] =>
      template === undefined ? [] : [{ ...template, key: ["DE", `/${group}`], keyId: String(group), windowStartMs: at(minute) }]
    world.rows = Array.from({ length: 50 }, (_, minute) => Array.from({ length: 200 }, (__, group) => rowOf(group, minute)).flat()).flat()
    const { told, failure } = yield* follow(world, { first: 200 })
    expect(told.map(({ groups }) => groups.reduce((sum, { points }) => sum + points.length, 0))).toEqual([10_000])
    world.rows = [...world.rows, ...rowOf(0, 50)]
    world.tell(modelTopic("acme", definition.name), [{ key: hintKey({ resolution: 0, windowStartMs: at(50), keyId: "0" }), version: "1" }])
    yield* pass(1_000)
    expect([told.length, failure()]).toMatchObject([1, { _tag: "LimitError", limit: "buckets", max: 10_000, wanted: 10_001 }])
  })))
})
