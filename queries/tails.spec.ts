/** Freshness and the event tail as they are followed. */
import { checkpointTopic, pointerTopic } from "@tidemark/domain/ports/hintTopic"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import { eventTail } from "./eventTail.ts"
import { portsOf } from "./fakePorts.ts"
import { definition, viewed, World } from "./fakes.ts"
import { freshnessChanged } from "./freshnessChanged.ts"
import { pass, subscribe, underTestClock } from "./subscriber.ts"

const START = Date.parse("2026-03-01T00:00:00Z")

describe("live freshness", () => {
  it("is told first as it stands, then when a checkpoint moved, and not again when nothing did", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    const { told } = yield* subscribe(Stream.provideContext(freshnessChanged({}, "acme"), portsOf(world)))
    expect(told.map((answer) => answer.map(({ partition, nextOffset }) => [partition, nextOffset]))).toEqual([[[0, 0n], [1, 0n]]])
    world.heartbeat(1, START)
    yield* pass(500)
    expect(told[1]?.[1]).toMatchObject({ partition: 1, nextOffset: 1n, lagEvents: 0n, watermarkMs: START - 10_000 })
    world.tell(checkpointTopic(definition.name), [{ key: definition.name, version: "1" }])
    yield* pass(60_000)
    expect(told).toHaveLength(2)
    world.generations.add(2)
    world.pointers = [{ projection: definition.name, generation: 2, pointerVersion: 2 }]
    world.tell(pointerTopic(definition.name), [{ key: definition.name, version: "2" }])
    yield* pass(500)
    expect(told[2]?.map(({ generation }) => generation)).toEqual([2, 2])
  })))
})

describe("the event tail", () => {
  it("shows the tenant's events from now on that match, and no one else's", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    world.fold(0, { id: "before", timeMs: START, page: "/" })
    const { told, leave } = yield* subscribe(Stream.provideContext(eventTail({ where: [{ path: "data.page", equals: "/" }] }, "acme"), portsOf(world)))
    world.fold(0, { id: "other page", timeMs: START, page: "/x" })
    world.fold(1, { id: "other tenant", timeMs: START, page: "/", tenantId: "another" })
    world.fold(1, { id: "mine", timeMs: START, page: "/" })
    world.heartbeat(0, START + 60_000)
    yield* pass(60_000)
    expect(told).toMatchObject([{ partition: 1, offset: 1n, event: { id: "mine", data: viewed({ id: "mine", timeMs: START, page: "/" }).data } }])
    yield* leave
    expect(world.appendListeners.size).toBe(0)
  })))

  it("leaves nothing out when very many come at once", underTestClock(() => Effect.gen(function* () {
    const world = new World()
    const { told } = yield* subscribe(Stream.provideContext(eventTail(undefined, "acme"), portsOf(world)))
    for (let n = 0; n < 700; n++) world.fold(0, { id: `e${n}`, timeMs: START, page: "/" })
    yield* pass(0)
    expect(told.map(({ event }) => event.id)).toEqual(Array.from({ length: 700 }, (_, n) => `e${n}`))
  })))
})
