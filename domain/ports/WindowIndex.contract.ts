/** What every window index must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { keyIdOf } from "../definitions/rowKey.ts"
import { WindowIndex } from "./WindowIndex.ts"
import type { WindowDocument, WindowIndexShape, WindowModel } from "./WindowIndex.ts"

export interface WindowIndexHarness {
  /** An empty index, the same each time it is opened. */
  readonly open: () => Layer.Layer<WindowIndex, unknown>
  readonly dispose: () => Promise<void>
}

const MINUTE = 60_000
const DAY = 86_400_000
const T0 = Date.UTC(2024, 0, 31, 23, 58)
const model: WindowModel = { projection: "page-views", generation: 1, incarnation: "abcdef0123456789", dimensions: ["page", "site"], figures: ["opened", "views"] }

const document = (over: Partial<WindowDocument> = {}): WindowDocument => {
  const { tenantId = "t", key = ["/", "s"] } = over
  return {
    tenantId, resolution: 0, windowStartMs: T0, keyId: keyIdOf(tenantId, key), key, figures: [0, 1], events: 1n, lateEvents: 0n, backfillEvents: 0n,
    fingerprint: 2n ** 64n - 1n, revision: 1n, contentHash: "0".repeat(32), ...over
  }
}

const page = (name: string, minute: number, views: number, over: Partial<WindowDocument> = {}): WindowDocument =>
  document({ key: [name, "s"], windowStartMs: T0 + minute * MINUTE, figures: [1, views], ...over })

const putDone = (index: WindowIndexShape, documents: readonly WindowDocument[]) =>
  Effect.map(index.put(model, documents), (outcomes) => expect(outcomes).toEqual(documents.map(() => ({ kind: "done" }))))

type Session = (use: (index: WindowIndexShape) => Effect.Effect<void, unknown>) => () => Promise<void>

const declareVersions = (session: Session): void => {
  it("keeps a document exactly, also numbers beyond 2^53 and texts of any kind, and reads it before it is searchable", session((index) => Effect.gen(function* () {
    const odd = document({ key: ["\"quoted\" é😀 \u2028", ""], figures: [0, 1e21], events: 2n ** 53n + 1n, revision: 2n ** 53n + 1n, windowStartMs: -MINUTE })
    yield* putDone(index, [odd, document()])
    expect(yield* index.read(model, [document(), odd, document({ windowStartMs: 0 })])).toEqual([document(), odd, undefined])
  })))

  it("never lets an older document overwrite a newer one, whichever comes first", session((index) => Effect.gen(function* () {
    const [older, newer] = [document({ revision: 4n, contentHash: "4".repeat(32) }), document({ revision: 5n, contentHash: "5".repeat(32) })]
    yield* putDone(index, [newer])
    yield* putDone(index, [older])
    expect(yield* index.read(model, [newer])).toEqual([newer])
  })))

  it("takes the same document again, and calls another content under the same revision a conflict, changing nothing", session((index) => Effect.gen(function* () {
    yield* putDone(index, [document(), page("/a", 0, 1)])
    const outcomes = yield* index.put(model, [document(), document({ contentHash: "f".repeat(32), events: 2n }), page("/b", 0, 1)])
    expect(outcomes.map(({ kind }) => kind)).toEqual(["done", "conflict", "done"])
    expect(yield* index.read(model, [document()])).toEqual([document()])
  })))

  it("keeps tenants, generations and histories of the store apart", session((index) => Effect.gen(function* () {
    yield* putDone(index, [document(), document({ tenantId: "u", events: 9n })])
    for (const other of [{ ...model, generation: 2 }, { ...model, incarnation: "fedcba9876543210" }, { ...model, projection: "page" }]) {
      expect(yield* index.read(other, [document()])).toEqual([undefined])
      yield* index.put(other, [document({ events: 3n })])
      expect(yield* index.read(other, [document()])).toEqual([document({ events: 3n })])
    }
    expect(yield* index.read(model, [document(), document({ tenantId: "u" })])).toEqual([document(), document({ tenantId: "u", events: 9n })])
  })))

  it("knows whether an image is complete and how many documents were refused, after reopening too, and which images there are", session((index) => Effect.gen(function* () {
    expect(yield* index.state(model)).toEqual({ complete: false, refused: 0 })
    yield* putDone(index, [document()])
    yield* index.setComplete(model, true)
    yield* index.keepRefused(model, [{ document: document(), reason: "r" }, { document: page("/a", 0, 1), reason: "r" }])
    yield* index.keepRefused(model, [{ document: document({ revision: 2n }), reason: "r" }])
    expect(yield* index.state(model)).toEqual({ complete: true, refused: 2 })
    yield* index.setComplete(model, false)
    expect((yield* index.state(model)).complete).toBe(false)
    expect(yield* index.images).toEqual([{ projection: "page-views", generation: 1, incarnation: "abcdef0123456789" }])
    yield* index.drop(model)
    expect(yield* index.images).toEqual([])
    expect(yield* index.state(model)).toEqual({ complete: false, refused: 0 })
    expect(yield* index.read(model, [document()])).toEqual([undefined])
  })))

  it("drops what is older than a time by whole indices: nothing that starts later is lost", session((index) => Effect.gen(function* () {
    const [old, young] = [document({ windowStartMs: T0 - 70 * DAY }), document()]
    yield* putDone(index, [old, young])
    yield* index.drop(model, T0)
    expect(yield* index.read(model, [old, young])).toEqual([undefined, young])
  })))
}

const declareSearch = (session: Session): void => {
  const selection = { tenantId: "t", resolution: 0 as const, fromMs: T0, toMs: T0 + 10 * MINUTE }
  const filled = (index: WindowIndexShape) => Effect.andThen(
    putDone(index, [
      page("/a", 0, 5), page("/b", 0, 7), page("/a", 1, 1), page("/a", 3, 2), page("/c", 3, 2), page("/c", 9, 5), page("/a", 10, 100),
      page("/a", 1, 50, { tenantId: "u", keyId: keyIdOf("u", ["/a", "s"]) }), page("/a", 0, 60, { resolution: 1 }), page("/a", 2, 0, { key: ["/a", "z"], keyId: keyIdOf("t", ["/a", "z"]) })
    ]),
    index.refresh(model)
  )

  it("finds a tenant's windows newest first and page by page, and counts the values of its dimensions in all of them", session((index) => Effect.gen(function* () {
    yield* filled(index)
    const first = yield* index.find(model, { ...selection, limit: 4, facets: ["page", "site"] })
    const last = first.documents.at(-1)
    const second = yield* index.find(model, { ...selection, limit: 100, ...(last === undefined ? {} : { after: last }) })
    const all = [...first.documents, ...second.documents]
    expect(all.map(({ windowStartMs, tenantId }) => [(windowStartMs - T0) / MINUTE, tenantId])).toEqual([9, 3, 3, 2, 1, 0, 0].map((minute) => [minute, "t"]))
    expect(new Set(all.map(({ keyId, windowStartMs }) => `${keyId}${windowStartMs}`)).size).toBe(7)
    expect(all[1]?.keyId.localeCompare(all[2]?.keyId ?? "")).toBe(-1)
    expect(all.find(({ key, windowStartMs }) => key[0] === "/b" && windowStartMs === T0)).toEqual(page("/b", 0, 7))
    expect(first.facets).toEqual({ page: [{ value: "/a", windows: 4 }, { value: "/c", windows: 2 }, { value: "/b", windows: 1 }], site: [{ value: "s", windows: 6 }, { value: "z", windows: 1 }] })
  })))

  it("filters by any of the texts of each dimension named", session((index) => Effect.gen(function* () {
    yield* filled(index)
    const pages = (where: readonly { readonly name: string; readonly in: readonly string[] }[]) => Effect.map(index.find(model, { ...selection, limit: 100, where }), ({ documents }) => documents.map(({ key }) => key.join()))
    expect(yield* pages([{ name: "page", in: ["/b", "/c"] }])).toEqual(["/c,s", "/c,s", "/b,s"])
    expect(yield* pages([{ name: "page", in: ["/a"] }, { name: "site", in: ["z"] }])).toEqual(["/a,z"])
    expect(yield* pages([{ name: "page", in: [] }])).toEqual([])
  })))

  it("ranks the values of a dimension by a figure or by events, over ranges of several resolutions, and says what comes behind", session((index) => Effect.gen(function* () {
    yield* filled(index)
    const rank = (limit: number) => index.candidates(model, [selection], { figure: "views", by: "page", limit })
    expect(yield* rank(1)).toEqual({ values: ["/a"], last: { value: "/a", amount: 8 }, complete: true })
    expect(yield* rank(2)).toEqual({ values: ["/a", "/b"], last: { value: "/b", amount: 7 }, complete: true })
    expect(yield* rank(3)).toEqual({ values: ["/a", "/b", "/c"], last: undefined, complete: true })
    const hours = { tenantId: "t", resolution: 1 as const, fromMs: T0, toMs: T0 + MINUTE }
    const rest = { ...selection, fromMs: T0 + MINUTE, where: [{ name: "page", in: ["/a", "/c"] }] }
    expect(yield* index.candidates(model, [hours, rest], { figure: "views", by: "page", limit: 1 })).toEqual({ values: ["/a"], last: { value: "/a", amount: 63 }, complete: true })
    expect(yield* index.candidates(model, [selection], { by: "page", limit: 1 })).toEqual({ values: ["/a"], last: { value: "/a", amount: 4 }, complete: true })
    expect(yield* index.candidates(model, [selection], { by: "site", limit: 9 })).toEqual({ values: ["s", "z"], last: undefined, complete: true })
    expect(yield* index.candidates(model, [{ ...selection, tenantId: "nobody" }], { figure: "views", by: "page", limit: 1 })).toEqual({ values: [], last: undefined, complete: true })
  })))

  it("ranks only values that hold a text, whatever its case and whatever signs are in it", session((index) => Effect.gen(function* () {
    const names = ["/Pricing", "/pricing/*", "/pri?ing", "/p\\q", "/ÄRGER", "/\u{1F600}"]
    yield* putDone(index, names.map((name, at) => page(name, 0, at, { keyId: keyIdOf("t", [name]) })))
    yield* index.refresh(model)
    const holding = (text: string) => Effect.map(index.candidates(model, [selection], { by: "page", limit: 9, text }), ({ values }) => values)
    expect(yield* holding("PRICING")).toEqual(["/Pricing", "/pricing/*"])
    expect(yield* holding("*")).toEqual(["/pricing/*"])
    expect(yield* holding("?")).toEqual(["/pri?ing"])
    expect(yield* holding("\\")).toEqual(["/p\\q"])
    expect(yield* holding("RGER")).toEqual(["/ÄRGER"])
    expect(yield* holding("\u{1F600}")).toEqual(["/\u{1F600}"])
    expect(yield* holding("nowhere")).toEqual([])
  })))
}

/** Declares the suite for one adapter. */
export const windowIndexContract = (name: string, makeHarness: () => WindowIndexHarness): void => {
  const session: Session = (use) => async () => {
    const harness = makeHarness()
    try {
      await Effect.runPromise(Effect.gen(function* () { yield* use(yield* WindowIndex) }).pipe(Effect.provide(harness.open())))
    } finally {
      await harness.dispose()
    }
  }
  describe(`WindowIndex on ${name}`, () => {
    declareVersions(session)
    declareSearch(session)
  })
}
