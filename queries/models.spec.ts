/** Series, top and window over a small hand-made read model. */
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { portsOf } from "./fakePorts.ts"
import { World } from "./fakes.ts"
import type { View } from "./fakes.ts"
import { series } from "./series.ts"
import type { SeriesInput } from "./series.ts"
import { top } from "./top.ts"
import type { TopInput } from "./top.ts"
import { window } from "./window.ts"
import type { WindowInput } from "./window.ts"

const DAY = Date.parse("2026-03-01T00:00:00Z")
const at = (minute: number, second = 0): number => DAY + minute * 60_000 + second * 1_000
const hours = (from: number, to: number) => ({ fromMs: at(from * 60), toMs: at(to * 60) })
const base: SeriesInput = { projection: "page-views", measures: ["views", "visitors"], ...hours(0, 1), resolution: "minute" }

const ask = {
  series: (world: World, input: Partial<SeriesInput> = {}, tenantId = "acme") => Effect.runPromise(Effect.provide(series({ ...base, ...input }, tenantId), portsOf(world))),
  top: (world: World, input: Partial<TopInput> = {}) => Effect.runPromise(Effect.provide(top({ projection: "page-views", measure: "views", by: "page", ...hours(0, 24), ...input }, "acme"), portsOf(world))),
  window: (world: World, input: Partial<WindowInput> = {}) =>
    Effect.runPromise(Effect.provide(window({ projection: "page-views", key: [{ name: "country", value: "DE" }, { name: "page", value: "/" }], startMs: at(0), resolution: "minute", ...input }, "acme"), portsOf(world)))
}

const failure = async (answer: Promise<unknown>): Promise<unknown> => answer.then(() => undefined, (error: unknown) => error)

const worldOf = (...views: readonly (readonly [number, View])[]): World => {
  const world = new World()
  for (const [partition, view] of views) world.fold(partition, view)
  return world
}

/** Key ids that scans of rows were bound to since this was asked last; undefined for a scan of all keys. */
const scannedKeys = (world: World) => world.scans.splice(0).map(({ keyId }) => keyId)

const figures = ({ measures }: { readonly measures: readonly { readonly name: string; readonly text: string | null }[] }) => Object.fromEntries(measures.map(({ name, text }) => [name, text]))

describe("series", () => {
  it("merges the partials of all lanes and keys, and counts a visitor of both once", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0, 1), page: "/", user: "ann" }],
      [1, { id: "2", timeMs: at(0, 2), page: "/cart", user: "ann" }],
      [1, { id: "3", timeMs: at(0, 3), page: "/", user: "bob" }]
    )
    const { groups } = await ask.series(world)
    expect(groups).toHaveLength(1)
    expect(groups[0]?.key).toEqual([])
    expect(groups[0]?.points.map((point) => [point.startMs, point.events, figures(point)])).toEqual([[at(0), 3n, { views: "3", visitors: "2" }]])
  })

  it("answers figures in the order asked for, each part of a measure by its name", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/", durationMs: 10 }], [1, { id: "2", timeMs: at(0), page: "/", durationMs: 30 }])
    const [group] = (await ask.series(world, { measures: ["duration.max", "views", "duration.avg"] })).groups
    expect(group?.points[0]?.measures.map(({ name, text }) => [name, text])).toEqual([["duration.max", "30"], ["views", "2"], ["duration.avg", "20"]])
  })

  it("has a point for every window with data only; fill adds the empty ones with zero events", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(1), page: "/" }], [0, { id: "2", timeMs: at(3), page: "/" }])
    const range = { fromMs: at(0), toMs: at(5) }
    expect((await ask.series(world, range)).groups[0]?.points.map(({ startMs }) => startMs)).toEqual([at(1), at(3)])
    const filled = (await ask.series(world, { ...range, fill: true })).groups[0]?.points ?? []
    expect(filled.map(({ startMs, events }) => [startMs, events])).toEqual([[at(0), 0n], [at(1), 1n], [at(2), 0n], [at(3), 1n], [at(4), 0n]])
    expect(figures(filled[0] ?? { measures: [] })).toEqual({ views: "0", visitors: "0" })
  })

  it("is one group with an empty key and no points when nothing is there", async () => {
    expect((await ask.series(new World())).groups).toEqual([{ key: [], points: [] }])
  })

  it("breaks down by one dimension, the groups with the most events first, and keeps to the number asked for", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0), page: "/a", country: "FR" }],
      [0, { id: "2", timeMs: at(0), page: "/b", country: "DE" }],
      [1, { id: "3", timeMs: at(9), page: "/c", country: "DE" }],
      [1, { id: "4", timeMs: at(9), page: "/c", country: "AT" }]
    )
    const groups = (await ask.series(world, { breakdownBy: "country" })).groups
    expect(groups.map(({ key, points }) => [key, points.length])).toEqual([[[{ name: "country", value: "DE" }], 2], [[{ name: "country", value: "AT" }], 1], [[{ name: "country", value: "FR" }], 1]])
    expect(await ask.series(world, { breakdownBy: "country", first: 1 })).toMatchObject({ groups: [{ key: [{ value: "DE" }] }], truncated: true })
    expect((await ask.series(world, { breakdownBy: "country" })).truncated).toBe(false)
  })

  it("keeps rows for which every filter holds, each with any of its values", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0), page: "/a", country: "FR" }],
      [0, { id: "2", timeMs: at(0), page: "/a", country: "DE" }],
      [1, { id: "3", timeMs: at(0), page: "/b", country: "DE" }],
      [1, { id: "4", timeMs: at(0), page: "/a", country: "AT" }]
    )
    const where = [{ name: "country", in: ["DE", "AT"] }, { name: "page", in: ["/a"] }]
    expect((await ask.series(world, { where })).groups[0]?.points[0]?.events).toBe(2n)
  })

  it("reads only the keys that filters on every dimension name, and the one that took those beyond the cap", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0), page: "/a", country: "FR" }],
      [0, { id: "2", timeMs: at(0), page: "/a", country: "DE" }],
      [1, { id: "3", timeMs: at(1), page: "/b", country: "DE" }],
      [1, { id: "4", timeMs: at(1), page: "/a", country: "AT" }]
    )
    const other = keyIdOf("acme", [OTHER, OTHER])
    const [overflow] = world.rows.filter(({ resolution, windowStartMs, key }) => resolution === 0 && windowStartMs === at(1) && key[1] === "/b")
    if (overflow !== undefined) world.put({ ...overflow, key: [OTHER, OTHER], keyId: other })
    const where = [{ name: "page", in: ["/a"] }, { name: "country", in: ["DE", "AT", "XX"] }, { name: "country", in: ["AT", "DE"] }]
    const named = [keyIdOf("acme", ["DE", "/a"]), keyIdOf("acme", ["AT", "/a"]), other]
    const points = (await ask.series(world, { where })).groups[0]?.points ?? []
    expect(points.map(({ startMs, events, measures }) => [startMs, events, measures.every(({ exact }) => exact)])).toEqual([[at(0), 1n, true], [at(1), 1n, false]])
    expect(scannedKeys(world)).toEqual(named)
    const { rows } = await ask.top(world, { by: "country", where, fromMs: at(0), toMs: at(2) })
    expect(rows.map(({ value, measure }) => [value, measure.text, measure.exact])).toEqual([["AT", "1", false], ["DE", "1", false]])
    expect(scannedKeys(world)).toEqual(named)
    const many = [{ name: "page", in: ["/a"] }, { name: "country", in: Array.from({ length: 5 }, (_, index) => (index === 0 ? "DE" : `x${index}`)) }]
    expect((await ask.series(world, { where: many })).groups[0]?.points.map(({ events }) => events)).toEqual([1n])
    await ask.series(world, { where: where.slice(0, 1) })
    expect(scannedKeys(world)).toEqual([undefined, undefined])
  })

  it("is cut into the definition's own shortest windows where a minute is asked for", async () => {
    const world = new World()
    world.baseMs = 10_000
    for (const [id, second] of [["1", 5], ["2", 15], ["3", 38]] as const) world.fold(0, { id, timeMs: at(0, second), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(0, 35))
    const points = async (input: Partial<SeriesInput>) => (await ask.series(world, input)).groups[0]?.points.map(({ startMs, endMs, state, events }) => [(startMs - DAY) / 1_000, (endMs - DAY) / 1_000, state, Number(events)])
    expect(await points({})).toEqual([[0, 10, "FINAL", 1], [10, 20, "FINAL", 1], [30, 40, "PROVISIONAL", 1]])
    expect(await points({ fromMs: at(0, 12), toMs: at(0, 28), fill: true })).toEqual([[10, 20, "FINAL", 1], [20, 30, "PROVISIONAL", 0]])
    expect(await ask.window(world, { startMs: at(0, 10) })).toMatchObject({ endMs: at(0, 20), events: 1n, state: "FINAL" })
    expect(await failure(ask.window(world, { startMs: at(0, 15) }))).toMatchObject({ _tag: "BadArgumentError", argument: "start", detail: "is not the start of a window of 10 s" })
    expect((await ask.top(world, { fromMs: at(0, 12), toMs: at(0, 28) })).rows).toMatchObject([{ value: "/", events: 1n }])
  })

  it("is cut into the definition's own windows where those are longer than a minute too", async () => {
    const world = new World()
    world.baseMs = 300_000
    world.fold(0, { id: "1", timeMs: at(1), page: "/" })
    for (const partition of [0, 1]) world.heartbeat(partition, at(4))
    expect((await ask.series(world, { fromMs: at(3), toMs: at(4) })).groups[0]?.points).toMatchObject([{ startMs: at(0), endMs: at(5), state: "PROVISIONAL", events: 1n }])
    expect((await ask.top(world, { fromMs: at(3), toMs: at(4) })).rows).toMatchObject([{ value: "/", events: 1n }])
  })

  it("shows a tenant nothing of another one", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }], [0, { id: "2", timeMs: at(0), page: "/", tenantId: "other" }])
    expect((await ask.series(world, {}, "other")).groups[0]?.points[0]?.events).toBe(1n)
    expect((await ask.series(world, {}, "third")).groups[0]?.points).toEqual([])
  })

  it("answers hours and days that are the merge of their minutes, whatever is folded where", async () => {
    const view = fc.record({ partition: fc.integer({ min: 0, max: 1 }), minute: fc.integer({ min: 0, max: 1_439 }), user: fc.constantFrom("a", "b", "c"), page: fc.constantFrom("/", "/x") })
    await fc.assert(fc.asyncProperty(fc.array(view, { minLength: 1, maxLength: 12 }), async (views) => {
      const world = worldOf(...views.map(({ partition, minute, ...rest }, index) => [partition, { id: String(index), timeMs: at(minute), ...rest }] as const))
      const day = (await ask.series(world, { ...hours(0, 24), resolution: "day" })).groups[0]?.points ?? []
      expect(day.map((point) => [point.events, figures(point)])).toEqual([[BigInt(views.length), { views: String(views.length), visitors: String(new Set(views.map(({ user }) => user)).size) }]])
      for (const resolution of ["minute", "hour"] as const) {
        const points = (await ask.series(world, { ...hours(0, 24), resolution })).groups[0]?.points ?? []
        expect(points.reduce((sum, { events }) => sum + events, 0n)).toBe(BigInt(views.length))
      }
    }), { numRuns: 20 })
  })

  it("is no longer exact in a window whose keys went beyond the cap", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }], [0, { id: "2", timeMs: at(1), page: "/" }])
    const [row] = world.rows.filter(({ resolution, windowStartMs }) => resolution === 0 && windowStartMs === at(1))
    if (row !== undefined) world.put({ ...row, key: [OTHER, OTHER], keyId: keyIdOf("acme", [OTHER, OTHER]) })
    const points = (await ask.series(world)).groups[0]?.points ?? []
    expect(points.map(({ events, measures }) => [events, measures.every(({ exact }) => exact)])).toEqual([[1n, true], [2n, false]])
  })

  it("refuses, before a row is read, what cannot be answered and says what could be", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }])
    expect(await failure(ask.series(world, { projection: "nope" }))).toMatchObject({ _tag: "UnknownProjectionError", valid: ["page-views"] })
    expect(await failure(ask.series(world, { measures: ["clicks"] }))).toMatchObject({ _tag: "UnknownMeasureError", measure: "clicks" })
    expect(await failure(ask.series(world, { measures: [] }))).toMatchObject({ _tag: "BadArgumentError", argument: "measures" })
    expect(await failure(ask.series(world, { breakdownBy: "city" }))).toMatchObject({ _tag: "UnknownDimensionError", valid: ["country", "page"] })
    expect(await failure(ask.series(world, { where: [{ name: "city", in: [] }] }))).toMatchObject({ _tag: "UnknownDimensionError", dimension: "city" })
    expect(await failure(ask.series(world, { fromMs: at(5), toMs: at(5) }))).toMatchObject({ _tag: "BadArgumentError", argument: "to" })
    expect(await failure(ask.series(world, hours(0, 167)))).toMatchObject({ _tag: "LimitError", limit: "buckets", max: 10_000, wanted: 10_020 })
    expect(await failure(ask.series(world, { ...hours(0, 24), breakdownBy: "page", first: 7, fill: true }))).toMatchObject({ _tag: "LimitError", wanted: 7 * 1_440 })
    expect(await failure(ask.series(world, { breakdownBy: "page", first: 1_001 }))).toMatchObject({ _tag: "LimitError", limit: "first", max: 1_000 })
  })
})

describe("top", () => {
  it("ranks one dimension over everything else, largest first, ties by text", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0), page: "/b", country: "FR" }],
      [1, { id: "2", timeMs: at(700), page: "/b", country: "DE" }],
      [0, { id: "3", timeMs: at(5), page: "/c" }],
      [1, { id: "4", timeMs: at(5), page: "/a" }]
    )
    const { rows } = await ask.top(world)
    expect(rows.map(({ value, measure, events }) => [value, measure.text, events])).toEqual([["/b", "2", 2n], ["/a", "1", 1n], ["/c", "1", 1n]])
    expect(await ask.top(world, { first: 1 })).toMatchObject({ rows: [{ value: "/b" }], truncated: true })
    expect((await ask.top(world, { first: 3 })).truncated).toBe(false)
    expect((await ask.top(world, { where: [{ name: "country", in: ["DE"] }] })).rows.map(({ measure }) => measure.text)).toEqual(["1", "1", "1"])
  })

  it("ranks over all of time, years without data included", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/b" }], [1, { id: "2", timeMs: at(700), page: "/b" }])
    const { rows } = await ask.top(world, { fromMs: Date.parse("0001-01-01T00:00:00Z"), toMs: Date.parse("9999-01-01T00:00:00Z") })
    expect(rows.map(({ value, events }) => [value, events])).toEqual([["/b", 2n]])
  })

  it("ranks by another measure than the number of events", async () => {
    const world = worldOf(
      [0, { id: "1", timeMs: at(0), page: "/often", user: "ann" }],
      [0, { id: "2", timeMs: at(1), page: "/often", user: "ann" }],
      [1, { id: "3", timeMs: at(2), page: "/by-two", user: "ann" }],
      [1, { id: "4", timeMs: at(3), page: "/by-two", user: "bob" }]
    )
    expect((await ask.top(world, { measure: "visitors" })).rows.map(({ value, measure }) => [value, measure.text])).toEqual([["/by-two", "2"], ["/often", "1"]])
  })

  it("counts exactly the minutes of a range, whichever days, hours and minutes it is read from", async () => {
    const minute = fc.integer({ min: 0, max: 3 * 1_440 })
    await fc.assert(fc.asyncProperty(fc.array(minute, { minLength: 1, maxLength: 25 }), minute, minute, async (minutes, a, b) => {
      const world = worldOf(...minutes.map((of, index) => [index % 2, { id: String(index), timeMs: at(of, 30), page: "/" }] as const))
      const [from, to] = [Math.min(a, b), Math.max(a, b) + 1]
      const expected = minutes.filter((of) => of >= from && of < to).length
      const { rows } = await ask.top(world, { fromMs: at(from), toMs: at(to) })
      expect(rows.map(({ events }) => events)).toEqual(expected === 0 ? [] : [BigInt(expected)])
    }), { numRuns: 60 })
  })

  it("leaves out the keys beyond the cap and then calls no figure exact", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }])
    const [row] = world.rows
    for (const same of world.rows) if (row !== undefined) world.put({ ...same, key: [OTHER, OTHER], keyId: keyIdOf("acme", [OTHER, OTHER]) })
    expect((await ask.top(world)).rows.map(({ value, measure }) => [value, measure.text, measure.exact])).toEqual([["/", "1", false]])
  })
})

describe("window", () => {
  it("is provisional until the watermark of every partition reaches its end, then final", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0, 30), page: "/" }])
    expect(await ask.window(world)).toMatchObject({ state: "PROVISIONAL", watermarkMs: null, events: 1n, corrections: 0n })
    world.heartbeat(1, at(10))
    world.heartbeat(0, at(1, 9) + 999)
    expect(await ask.window(world)).toMatchObject({ state: "PROVISIONAL", watermarkMs: at(1) - 1 })
    world.heartbeat(0, at(1, 10))
    expect(await ask.window(world)).toMatchObject({ state: "FINAL", watermarkMs: at(1), corrections: 0n })
  })

  it("is revised by a late event and says how many corrections it holds", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0, 30), page: "/" }])
    for (const partition of [0, 1]) world.heartbeat(partition, at(10))
    world.fold(1, { id: "2", timeMs: at(0, 40), page: "/" }, { late: true })
    expect(await ask.window(world)).toMatchObject({ state: "REVISED", corrections: 1n, events: 2n })
  })

  it("is final when all of it was imported, revised when imported events joined live ones", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0, 30), page: "/", backfill: "old" }])
    for (const partition of [0, 1]) world.heartbeat(partition, at(10))
    expect(await ask.window(world)).toMatchObject({ state: "FINAL", corrections: 0n })
    world.fold(1, { id: "2", timeMs: at(0, 40), page: "/" })
    expect(await ask.window(world)).toMatchObject({ state: "REVISED", corrections: 1n })
  })

  it("has the sum of its partials' revisions and of their fingerprints, and every figure of every measure", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }], [0, { id: "2", timeMs: at(0), page: "/" }], [1, { id: "3", timeMs: at(0), page: "/" }])
    const answer = await ask.window(world)
    const partials = world.rows.filter(({ resolution }) => resolution === 0)
    expect(partials).toHaveLength(2)
    expect(answer?.revision).toBe(3n)
    expect(answer?.fingerprint).toBe(partials.reduce((sum, row) => (sum + row.fingerprint) & ((1n << 64n) - 1n), 0n))
    expect(answer?.measures.map(({ name }) => name)).toEqual(["duration.avg", "duration.p50", "duration.p95", "duration.p99", "duration.max", "duration.min", "duration.sum", "duration.count", "views", "visitors"])
    expect(answer).toMatchObject({ generation: 1, pointerVersion: 1, position: [{ partition: 0, nextOffset: 2n }, { partition: 1, nextOffset: 1n }], endMs: at(1) })
  })

  it("takes the dimensions in any order, each once", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }])
    const [country, page] = [{ name: "country", value: "DE" }, { name: "page", value: "/" }]
    expect((await ask.window(world, { key: [page, country] }))?.key).toEqual([country, page])
    expect(await failure(ask.window(world, { key: [page] }))).toMatchObject({ _tag: "BadArgumentError", detail: "lacks country" })
    expect(await failure(ask.window(world, { key: [page, page] }))).toMatchObject({ _tag: "BadArgumentError", detail: "names page twice" })
    expect(await failure(ask.window(world, { startMs: at(0, 1) }))).toMatchObject({ _tag: "BadArgumentError", argument: "start" })
  })

  it("is null without data, also of a key that exists elsewhere", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }])
    expect(await ask.window(world, { startMs: at(1) })).toBeNull()
    expect(await ask.window(world, { key: [{ name: "country", value: "FR" }, { name: "page", value: "/" }] })).toBeNull()
  })

  it("is the hour's and the day's under the same key", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(3), page: "/" }], [1, { id: "2", timeMs: at(59), page: "/" }])
    expect(await ask.window(world, { resolution: "hour" })).toMatchObject({ events: 2n, endMs: at(60) })
    expect(await ask.window(world, { resolution: "day" })).toMatchObject({ events: 2n, endMs: at(1_440) })
  })
})

describe("a question", () => {
  it("opens one snapshot, so no answer mixes two states", async () => {
    const world = worldOf([0, { id: "1", timeMs: at(0), page: "/" }])
    for (const question of [() => ask.series(world), () => ask.top(world), () => ask.window(world)]) {
      const before = world.snapshots
      await question()
      expect(world.snapshots - before).toBe(1)
    }
  })
})
