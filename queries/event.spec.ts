/** The journey of one event: its windows are named and described as `window` answers them. */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import type { StoredAt } from "@tidemark/domain/ports/EventLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { event } from "./event.ts"
import { portsOf } from "./fakePorts.ts"
import { LOG_ID, recordOf, viewed, World } from "./fakes.ts"
import type { View } from "./fakes.ts"

const START = Date.parse("2026-03-01T00:00:00Z")
const ask = (world: World, id: string, at?: StoredAt, tenantId = "acme") =>
  Effect.runPromise(Effect.provide(event({ id, seed: hashSeedOf(LOG_ID), ...(at === undefined ? {} : { at }) }, tenantId), portsOf(world)))
const journey = async (world: World, id: string) => (await ask(world, id))?.windows[0]
const closed = (world: World): World => {
  for (const partition of [0, 1]) world.heartbeat(partition, START + 120_000)
  return world
}

describe("the journey of an event", () => {
  it("gives the state of the whole window: revised by another event that was late, or imported into a live window", async () => {
    const late = new World()
    late.fold(0, { id: "on time", timeMs: START, page: "/" })
    late.fold(1, { id: "late", timeMs: START + 1, page: "/" }, { late: true })
    expect(await journey(closed(late), "on time")).toMatchObject({ outcome: "FOLDED", state: "REVISED" })

    const mixed = new World()
    mixed.fold(0, { id: "live", timeMs: START, page: "/" })
    mixed.fold(1, { id: "imported", timeMs: START + 1, page: "/", backfill: "import" })
    expect(await journey(closed(mixed), "imported")).toMatchObject({ outcome: "FOLDED", state: "REVISED" })

    const alone = new World()
    alone.fold(0, { id: "imported", timeMs: START, page: "/", backfill: "import" })
    expect(await journey(alone, "imported")).toMatchObject({ state: "PROVISIONAL" })
    expect(await journey(closed(alone), "imported")).toMatchObject({ state: "FINAL" })
  })

  it("names the row that counted the event: its own key where the partition admitted it, else __other__", async () => {
    const world = new World()
    world.fold(0, { id: "admitted", timeMs: START, page: "/a" })
    world.fold(0, { id: "beyond", timeMs: START + 1, page: "/b" })
    const own = keyIdOf("acme", ["DE", "/b"])
    // The cap was reached in partition 0; in partition 1 the same key has a row of its own.
    world.rows = world.rows.map((row) => (row.keyId === own ? { ...row, key: [OTHER, OTHER], keyId: keyIdOf("acme", [OTHER, OTHER]) } : row))
    world.fold(1, { id: "elsewhere", timeMs: START + 2, page: "/b" })
    const named = (value: string) => ({ key: [{ name: "country", value: value === OTHER ? OTHER : "DE" }, { name: "page", value }] })
    expect(await journey(world, "admitted")).toMatchObject(named("/a"))
    expect(await journey(world, "beyond")).toMatchObject({ outcome: "FOLDED", ...named(OTHER) })
    expect(await journey(world, "elsewhere")).toMatchObject(named("/b"))
  })

  it("names the minute, the hour and the day it counts in, with what the whole window holds", async () => {
    const world = new World()
    world.fold(0, { id: "one", timeMs: START + 61_000, page: "/" })
    world.fold(1, { id: "other minute", timeMs: START + 1, page: "/" })
    expect((await journey(closed(world), "one"))?.places).toEqual([
      { resolution: "minute", startMs: START + 60_000, endMs: START + 120_000, state: "PROVISIONAL", events: 1n, revision: 1n },
      { resolution: "hour", startMs: START, endMs: START + 3_600_000, state: "PROVISIONAL", events: 2n, revision: 2n },
      { resolution: "day", startMs: START, endMs: START + 86_400_000, state: "PROVISIONAL", events: 2n, revision: 2n }
    ])
  })

  it("says of a held event what it would have added, and of a released one which record released it", async () => {
    const world = new World()
    const view = { timeMs: START, page: "/", durationMs: 40 }
    world.fold(0, { ...view, id: "before" })
    world.hold(0, { ...view, id: "held" }, false)
    const [original, release] = world.hold(0, { ...view, id: "released" }, true)
    world.fold(0, { ...view, id: "behind" })
    const late = { lateByMs: 604_800_001, contribution: expect.arrayContaining([{ name: "views", text: "1" }, { name: "duration.max", text: "40" }]) as unknown }
    expect(await journey(world, "held")).toMatchObject({ ...late, outcome: "HELD", wasHeld: false, release: null })
    expect([original, release]).toEqual([2n, 3n])
    expect(await journey(world, "released")).toMatchObject({ ...late, outcome: "APPLIED", wasHeld: true, release: { offset: 3n, atMs: START + 5, actor: "tm_admin", reason: "came back" }, places: [{ events: 3n }, {}, {}] })
    expect(await journey(world, "behind")).toMatchObject({ outcome: "FOLDED", lateByMs: null, wasHeld: false, release: null })
  })

  it("tells what lies before the generation's first record, and what is not reached yet", async () => {
    const world = new World()
    world.fold(0, { id: "first", timeMs: START, page: "/" })
    world.coverage = [{ partition: 0, nextOffset: 1n }]
    expect(await journey(world, "first")).toMatchObject({ outcome: "UNCOVERED", places: [], contribution: [] })
    const again = new World()
    again.append(0, world.records[0]?.[0] ?? new Uint8Array())
    expect(await journey(again, "first")).toMatchObject({ outcome: "PENDING", places: [{ events: 0n }, {}, {}] })
  })

  it("reads it where it is said to be, and finds nothing at another place, under another id or for another tenant", async () => {
    const world = new World()
    world.fold(1, { id: "one", timeMs: START, page: "/" })
    world.fold(1, { id: "two", timeMs: START, page: "/" })
    expect(await ask(world, "two", { partition: 1, offset: 1n })).toMatchObject({ partition: 1, offset: 1n, event: { id: "two" }, repetitions: [], windows: [{ outcome: "FOLDED" }] })
    for (const [id, partition, offset] of [["two", 1, 0n], ["two", 1, 2n], ["two", 1, 99n], ["two", 0, 1n], ["two", 7, 1n], ["two", -1, 1n]] as const) expect(await ask(world, id, { partition, offset })).toBeNull()
    expect(await ask(world, "two", { partition: 1, offset: 1n }, "other")).toBeNull()
  })

  it("does not say that there is no such event when only a part of the log was searched", async () => {
    const world = new World()
    const bounded = Context.add(portsOf(world), SearchIndex, { searchEvents: () => Effect.succeed({ hits: [], next: [{ partition: 0, nextOffset: 9n }], scannedRecords: 1_000_000 }) })
    expect(await Effect.runPromise(Effect.flip(Effect.provide(event({ id: "old", seed: 1 }, "acme"), bounded)))).toMatchObject({ _tag: "SearchBoundError", records: 1_000_000, repetitions: 0 })
    expect(await ask(world, "never")).toBeNull()
  })

  /** Appends what the ledgers say is a repetition, and a heartbeat. */
  const repeat = (world: World, partition: number, view: View): void => {
    const offset = world.append(partition, recordOf(viewed(view)))
    world.duplicates.push({ partition, offset, tenantId: "acme" })
    world.heartbeat(partition, view.timeMs)
  }

  it("reads no further than the newest record that counts", async () => {
    const world = new World()
    world.fold(0, { id: "one", timeMs: START, page: "/", user: "u" })
    world.fold(0, { id: "other", timeMs: START, page: "/" })
    world.fold(1, { id: "one", timeMs: START + 1, page: "/", user: "v" })
    const pages: { readonly limit: number }[] = []
    const ports = portsOf(world)
    const counted = Context.add(ports, SearchIndex, { searchEvents: (query, options) => {
      pages.push(options)
      return Context.get(ports, SearchIndex).searchEvents(query, options)
    } })
    const found = await Effect.runPromise(Effect.provide(event({ id: "one", seed: hashSeedOf(LOG_ID) }, "acme"), counted))
    expect(found).toMatchObject({ partition: 1, offset: 0n, repetitions: [], repetitionsTruncated: false })
    expect(pages).toMatchObject([{ limit: 1 }])
  })

  it("tells no repetition as the event, wherever the search has to stop for it", async () => {
    const world = new World()
    world.fold(0, { id: "one", timeMs: START, page: "/first", user: "u" })
    for (const n of [1, 2, 3]) repeat(world, 0, { id: "one", timeMs: START + n, page: "/again", user: "u" })
    expect(await ask(world, "one")).toMatchObject({ offset: 0n, event: { data: { page: "/first" } }, repetitions: [{ offset: 1n }, { offset: 3n }, { offset: 5n }], windows: [{ outcome: "FOLDED" }] })
    const whole = Context.get(portsOf(world), SearchIndex)
    const bounded = Context.add(portsOf(world), SearchIndex, {
      searchEvents: (query, options) => Effect.map(whole.searchEvents(query, { ...options, limit: 1 }), (page) => ({ ...page, scannedRecords: 400_000 }))
    })
    expect(await Effect.runPromise(Effect.flip(Effect.provide(event({ id: "one", seed: 1 }, "acme"), bounded)))).toMatchObject({ _tag: "SearchBoundError", records: 1_200_000, repetitions: 3 })
  })

  it("takes only the same user and the same import for repetitions, and says when there are more than it lists", async () => {
    const world = new World()
    world.fold(0, { id: "one", timeMs: START, page: "/", user: "u", backfill: "import" })
    world.fold(0, { id: "one", timeMs: START + 1, page: "/", user: "u" })
    world.fold(0, { id: "one", timeMs: START + 2, page: "/", user: "v" })
    world.fold(1, { id: "one", timeMs: START + 3, page: "/mine", user: "w" })
    for (let n = 0; n < 130; n++) repeat(world, 1, { id: "one", timeMs: START + 4 + n, page: "/", user: "w" })
    const found = await ask(world, "one")
    expect(found).toMatchObject({ partition: 1, offset: 0n, event: { data: { page: "/mine" } }, repetitionsTruncated: true })
    expect(found?.repetitions.map(({ partition, offset }) => [partition, offset])).toEqual(Array.from({ length: 100 }, (_, at) => [1, BigInt(2 * at + 1)]))
  })

  it("decides by name and horizon what no projection has come to", async () => {
    const DAY_MS = 86_400_000
    const world = new World()
    world.fold(0, { id: "one", timeMs: START, page: "/", user: "u" })
    for (const timeMs of [START + DAY_MS, START + DAY_MS + 1, START + DAY_MS + 2]) world.append(0, recordOf(viewed({ id: "one", timeMs, page: "/", user: "u" })))
    expect(await ask(world, "one")).toMatchObject({ offset: 2n, repetitions: [{ offset: 3n }], windows: [{ outcome: "PENDING" }] })
    world.records[0]?.splice(2)
    expect(await ask(world, "one")).toMatchObject({ offset: 0n, repetitions: [{ offset: 1n }], windows: [{ outcome: "FOLDED" }] })
  })
})
