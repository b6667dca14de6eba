/** `top` and `facets` with an index of windows beside the store: the answers are those of all rows, whatever it knows. */
import { SearchUnavailableError } from "@tidemark/domain/ports/SearchIndex"
import { WindowIndex, holdsText } from "@tidemark/domain/ports/WindowIndex"
import type { Candidates, Ranking, WindowIndexShape, WindowSelection } from "@tidemark/domain/ports/WindowIndex"
import type { OutboxEntry, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { facetsOf } from "./facets.ts"
import { definition, World } from "./fakes.ts"
import { portsOf } from "./fakePorts.ts"
import { openModel } from "./openModel.ts"
import type { OpenModel } from "./openModel.ts"
import { topOf } from "./top.ts"

const DAY = Date.parse("2026-03-01T00:00:00Z")
const MINUTE = 60_000
const RANGE = { projection: definition.name, fromMs: DAY, toMs: DAY + 180 * MINUTE }

const nameOf = ({ tenantId, resolution, windowStartMs, keyId }: StoredRow): string => `${tenantId} ${resolution} ${windowStartMs} ${keyId}`

/** Events of every window over all lanes. */
const documentsOf = (rows: readonly StoredRow[]): Map<string, { readonly row: StoredRow; readonly events: number }> => {
  const found = new Map<string, { readonly row: StoredRow; readonly events: number }>()
  for (const row of rows) found.set(nameOf(row), { row, events: Number(row.events) + (found.get(nameOf(row))?.events ?? 0) })
  return found
}

const unavailable = Effect.fail(new SearchUnavailableError({ cause: new Error("away") }))

/** An index that holds these documents. Every event counts as one view, so the figure is the events. */
const indexOf = (documents: Iterable<{ readonly row: StoredRow; readonly events: number }>, over: Partial<WindowIndexShape> = {}): WindowIndexShape => {
  const isIn = ({ tenantId, resolution, windowStartMs, key }: StoredRow, selection: WindowSelection): boolean =>
    tenantId === selection.tenantId && resolution === selection.resolution && windowStartMs >= selection.fromMs && windowStartMs < selection.toMs
    && (selection.where ?? []).every(({ name, in: texts }) => texts.includes(key[Object.keys(definition.key).indexOf(name)] ?? ""))
  const rank = (selections: readonly WindowSelection[], { by, text = "", limit }: Ranking): Candidates => {
    const sums = new Map<string, number>()
    for (const { row, events } of documents) {
      const value = row.key[Object.keys(definition.key).indexOf(by)] ?? ""
      if (holdsText(value, text) && selections.some((selection) => isIn(row, selection))) sums.set(value, (sums.get(value) ?? 0) + events)
    }
    const ranked = [...sums].sort(([a, left], [b, right]) => right - left || Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const [value, amount] = (ranked.length > limit ? ranked[limit - 1] : undefined) ?? []
    return { values: ranked.slice(0, limit).map(([name]) => name), last: value === undefined || amount === undefined ? undefined : { value, amount }, complete: true }
  }
  return {
    put: () => unavailable, read: () => unavailable, find: () => unavailable, keepRefused: () => unavailable, setComplete: () => unavailable, images: unavailable, drop: () => unavailable,
    refresh: () => Effect.void, state: () => Effect.succeed({ complete: true, refused: 0 }), candidates: (_model, selections, ranking) => Effect.sync(() => rank(selections, ranking)), ...over
  }
}

/** Asks a question of all rows, and with the index, which is asked as soon as there is a row; `before` happens once the snapshot is open. */
const both = <A, E>(world: World, index: WindowIndexShape | (() => WindowIndexShape), ask: (model: OpenModel) => Effect.Effect<A, E>, before: () => void = () => {}) => {
  const whole = Effect.gen(function* () {
    const model = yield* openModel(definition.name, "acme")
    before()
    const { candidates, ...plain } = model
    if (candidates === undefined) throw new Error("no index")
    const expected = yield* ask(plain)
    world.scans.length = 0
    const answer = yield* ask({ ...plain, candidates: { ...candidates, rowsFirst: 0 } })
    // The last scans are of few values, or of all.
    return { expected, answer, byIndex: world.scans.at(-1)?.where !== undefined }
  })
  const lazy: WindowIndexShape = typeof index === "function" ? { ...indexOf([]), candidates: (...asked) => Effect.suspend(() => index().candidates(...asked)) } : index
  return Effect.runPromise(Effect.scoped(Effect.provide(whole, Context.add(portsOf(world), WindowIndex, lazy))))
}

const entryOf = (rows: readonly StoredRow[]): OutboxEntry => ({ sequence: 1n, lane: { projection: definition.name, generation: 1, lane: 0 }, hints: rows.map(({ tenantId, resolution, windowStartMs, keyId, revision }) => ({ tenantId, resolution, windowStartMs, keyId, revision })) })

interface Visit {
  readonly page: number
  readonly country: number
  readonly minute: number
}

const COUNTRIES = ["DE", "FR", "IT"]
const PAGES = Array.from({ length: 60 }, (_, at) => `${at % 3 === 0 ? "/Shop" : "/blog"}/${at}`)

let made = 0
const visit = (world: World, { page, country, minute }: Visit): void => {
  made += 1
  world.fold(made % 2, { id: `e${made}`, timeMs: DAY + minute * MINUTE, page: PAGES[page] ?? "/", country: COUNTRIES[country] ?? "DE" })
}

const visits = (most: number) => fc.array(fc.record({ page: fc.nat(PAGES.length - 1), country: fc.nat(2), minute: fc.nat(200) }), { maxLength: most })

describe("ranking with an index of windows", () => {
  it("property: answers what all rows answer, however far the index is behind or before the snapshot", async () => {
    let [asked, byIndex] = [0, 0]
    await fc.assert(fc.asyncProperty(visits(120), visits(12), visits(12), fc.nat(7), fc.record({
      first: fc.integer({ min: 1, max: 12 }), by: fc.constantFrom("page", "country"), text: fc.constantFrom("", "SHOP", "/1"), where: fc.constantFrom([], [{ name: "country", in: ["DE", "IT"] }]), seed: fc.nat()
    }), async (indexed, unread, later, skew, { first, by, text, where, seed }) => {
      const world = new World()
      for (const one of indexed) visit(world, one)
      const known = documentsOf(world.rows)
      const before = new Map(world.rows.map((row) => [`${nameOf(row)} ${row.lane}`, row]))
      for (const one of unread) visit(world, one)
      world.unread = [entryOf(world.rows.filter((row) => before.get(`${nameOf(row)} ${row.lane}`) !== row))]
      const states = [known, documentsOf(world.rows)]
      // Of each window, the index holds what it was at the cursor, in the snapshot, or after it.
      const index = () => {
        const names = new Set(states.flatMap((state) => [...state.keys()]))
        return indexOf([...names].flatMap((name, at) => states[(at * (skew + 1) + seed) % states.length]?.get(name) ?? known.get(name) ?? []))
      }
      const then = () => {
        for (const one of later) visit(world, one)
        states.push(documentsOf(world.rows))
      }
      const isTop = seed % 2 === 0
      const ask = (model: OpenModel): Effect.Effect<unknown, unknown> => (isTop ? topOf(model, { ...RANGE, by, where, first, measure: "views" }) : facetsOf(model, { ...RANGE, by, where, first, text }))
      const answered = await both(world, index, ask, then)
      expect(answered.answer).toEqual(answered.expected)
      asked += 1
      if (answered.byIndex && where.length === 0) byIndex += 1
    }), { numRuns: 150 })
    expect(byIndex / asked, "the index is what answers, mostly").toBeGreaterThan(0.3)
  }, 60_000)

  const worldWithPages = (): World => {
    const world = new World()
    for (let page = 0; page < 40; page++) for (let times = 0; times <= page % 9; times++) visit(world, { page, country: 0, minute: times })
    world.unread = []
    return world
  }
  const listPages = (model: OpenModel) => facetsOf(model, { ...RANGE, by: "page", first: 5 })

  it("reads only rows of the values that may be among the first", async () => {
    const world = worldWithPages()
    const { expected, answer, byIndex } = await both(world, indexOf(documentsOf(world.rows).values()), listPages)
    expect(answer).toEqual(expected)
    expect(byIndex).toBe(true)
    expect(answer.values.map(({ events }) => events)).toEqual([9n, 9n, 9n, 9n, 8n])
    expect(world.scans.at(-1)?.where?.[0]?.in.length).toBeLessThan(40)
  })

  const lying = indexOf([])
  const cannotTell: readonly (readonly [string, WindowIndexShape, (world: World) => void])[] = [
    ["is not complete", indexOf([], { state: () => Effect.succeed({ complete: false, refused: 0 }) }), () => {}],
    ["refused documents", indexOf([], { state: () => Effect.succeed({ complete: true, refused: 1 }) }), () => {}],
    ["is away", indexOf([], { candidates: () => unavailable }), () => {}],
    ["does not answer", indexOf([], { refresh: () => Effect.never }), () => {}],
    ["looked at a part only", indexOf([], { candidates: () => Effect.succeed({ values: [], last: undefined, complete: false }) }), () => {}],
    ["is fed by nobody", lying, (world) => { world.unread = undefined }],
    ["is far behind", lying, (world) => { world.unread = [entryOf(Array.from({ length: 2_001 }, (_, at) => ({ ...(world.rows[0] as StoredRow), windowStartMs: at })))] }]
  ]
  it.each(cannotTell)("reads all rows when the index %s", async (_why, index, prepare) => {
    const world = worldWithPages()
    prepare(world)
    const { expected, answer, byIndex } = await both(world, index, listPages)
    expect(answer).toEqual(expected)
    expect(byIndex).toBe(false)
    expect(answer.values).toHaveLength(5)
  })

  it("reads all rows when what the index named does not prove to come first", async () => {
    const world = worldWithPages()
    const short = indexOf(documentsOf(world.rows).values(), { candidates: () => Effect.succeed({ values: PAGES.slice(0, 6), last: { value: "/blog/5", amount: 4 }, complete: true }) })
    const { expected, answer, byIndex } = await both(world, short, listPages)
    expect(answer).toEqual(expected)
    expect(byIndex).toBe(false)
  })

  it("asks no index for what it cannot rank by", async () => {
    const world = worldWithPages()
    const { expected, answer, byIndex } = await both(world, lying, (model) => topOf(model, { ...RANGE, by: "page", measure: "visitors" }))
    expect(answer).toEqual(expected)
    expect(byIndex).toBe(false)
  })
})

describe("facets", () => {
  it("lists the values a dimension can be filtered by: those of the other filters, its own left aside, that hold a text in either case", async () => {
    const world = new World()
    for (const [page, country] of [["/Shop", "DE"], ["/shop/cart", "DE"], ["/shop/cart", "FR"], ["/blog", "DE"], ["/Shop", "DE"]] as const) world.fold(0, { id: `f${made++}`, timeMs: DAY, page, country })
    const list = (input: { readonly text?: string; readonly first?: number }) =>
      Effect.runPromise(Effect.scoped(Effect.provide(Effect.flatMap(openModel(definition.name, "acme"), (model) => facetsOf(model, { ...RANGE, by: "page", where: [{ name: "country", in: ["DE"] }, { name: "page", in: ["/blog"] }], ...input })), portsOf(world))))
    expect(await list({})).toMatchObject({ values: [{ value: "/Shop", events: 2n }, { value: "/blog", events: 1n }, { value: "/shop/cart", events: 1n }], truncated: false, exact: true })
    expect((await list({ text: "SHOP" })).values.map(({ value }) => value)).toEqual(["/Shop", "/shop/cart"])
    expect(await list({ first: 1 })).toMatchObject({ values: [{ value: "/Shop", events: 2n }], truncated: true })
    expect((await list({ text: "nowhere" })).values).toEqual([])
  })
})
