/** What every search over the event log must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { encodeEvent } from "../events/envelope.ts"
import type { EventAttributes } from "../events/event.ts"
import { encodeHeartbeat } from "../events/systemRecords.ts"
import type { LogRecord, PartitionPosition } from "./EventLog.ts"
import { SearchIndex } from "./SearchIndex.ts"
import type { EventSearch, EventSearchPage, SearchIndexShape } from "./SearchIndex.ts"

export interface SearchIndexHarness {
  /** A search over a log of 3 partitions that holds these records, appended in this order, all of them searchable. */
  readonly open: (records: readonly LogRecord[]) => Layer.Layer<SearchIndex, unknown>
  readonly dispose: () => Promise<void>
}

const PARTITIONS = 3
const T0_MS = 1_700_000_000_000
const SCAN_MAX = 1_000_000

const event = (id: string, receivedS: number, over: Partial<EventAttributes> = {}, data?: unknown, partition = 0): LogRecord => {
  const attributes: EventAttributes = {
    id, source: "s", type: "x", timeMs: T0_MS + receivedS * 1_000 - 500, receivedAtMs: T0_MS + receivedS * 1_000, tenantId: "t", partitionKey: "t:k", schemaVersion: 0, ...over
  }
  return { partition, key: "t:k", value: encodeEvent(attributes, data === undefined ? undefined : JSON.stringify(data)) }
}

const idsOf = (page: EventSearchPage): string[] => page.hits.map(({ value }) => (JSON.parse(new TextDecoder().decode(value)) as { id: string }).id)

/** All pages, one after the other. */
const allPages = (index: SearchIndexShape, query: EventSearch, limit: number, scanMaxRecords: number) =>
  Effect.gen(function* () {
    const pages: EventSearchPage[] = []
    let before: readonly PartitionPosition[] | undefined
    do {
      const page: EventSearchPage = yield* index.searchEvents(query, { limit, scanMaxRecords, ...(before === undefined ? {} : { before }) })
      pages.push(page)
      before = page.next
    } while (before !== undefined)
    return pages
  })

/** Declares the suite for one adapter. */
export const searchIndexContract = (name: string, makeHarness: () => SearchIndexHarness): void => {
  const withRecords = async <A>(records: readonly LogRecord[], use: (index: SearchIndexShape) => Effect.Effect<A, unknown>): Promise<A> => {
    const harness = makeHarness()
    try {
      return await Effect.runPromise(Effect.gen(function* () { return yield* use(yield* SearchIndex) }).pipe(Effect.provide(harness.open(records))))
    } finally {
      await harness.dispose()
    }
  }
  const find = (index: SearchIndexShape, query: Partial<EventSearch>) => index.searchEvents({ tenantId: "t", ...query }, { limit: 100, scanMaxRecords: SCAN_MAX }).pipe(Effect.map(idsOf))

  describe(`SearchIndex on ${name}`, () => {
    it("answers newest first by receive time across partitions, with the place and the stored bytes of each event", async () => {
      const newest = event("b", 5, {}, undefined, 0)
      const records = [event("a", 1, {}, undefined, 0), event("e", 2, {}, undefined, 1), event("c", 3, {}, undefined, 1), event("d", 4, {}, undefined, 2), newest]
      const page = await withRecords(records, (index) => index.searchEvents({ tenantId: "t" }, { limit: 100, scanMaxRecords: SCAN_MAX }))
      expect(idsOf(page)).toEqual(["b", "d", "c", "e", "a"])
      expect(page.next).toBeUndefined()
      expect(page.hits[0]).toMatchObject({ partition: 0, offset: 2n })
      expect(new Uint8Array(page.hits[0]?.value ?? [])).toEqual(newest.value)
    })

    it("shows nothing of another tenant, whatever is asked", async () => {
      const other = { tenantId: "u", userId: "me" }
      const answers = await withRecords([event("a", 1, other, { word: "needle" }), event("b", 2, { userId: "me" }, { word: "needle" })], (index) =>
        Effect.forEach([{}, { eventId: "a" }, { userId: "me" }, { text: "needle" }, { where: [{ path: "data.word", equals: "needle" }] }], (query) => find(index, query)))
      expect(answers).toEqual([["b"], [], ["b"], ["b"], ["b"]])
    })

    it("takes every condition: event time from and before, types, ids, text, fields", async () => {
      const records = [
        event("a", 1, { type: "view", timeMs: T0_MS - 10, userId: "u1", sessionId: "s1" }, { path: "/Home", n: 5, deep: { ok: true } }),
        event("b", 2, { type: "buy", timeMs: T0_MS, userId: "u1", sessionId: "s2" }, { path: "/Cart", n: 50 }),
        event("c", 3, { type: "click", timeMs: T0_MS + 10, userId: "u2", sessionId: "s2" })
      ]
      const cases: readonly (readonly [Partial<EventSearch>, readonly string[]])[] = [
        [{ fromMs: T0_MS }, ["c", "b"]],
        [{ toMs: T0_MS }, ["a"]],
        [{ types: ["view", "click"] }, ["c", "a"]],
        [{ types: [] }, []],
        [{ eventId: "b" }, ["b"]],
        [{ userId: "u1" }, ["b", "a"]],
        [{ userId: "u1", sessionId: "s2" }, ["b"]],
        [{ text: "/cArT" }, ["b"]],
        [{ where: [{ path: "data.n", equals: "5" }] }, ["a"]],
        [{ where: [{ path: "data.path", contains: "ho" }] }, ["a"]],
        [{ where: [{ path: "data.path", in: ["/Cart", "/Home"] }, { path: "data.n", in: ["50"] }] }, ["b"]],
        [{ where: [{ path: "data.deep.ok", equals: "true" }] }, ["a"]],
        [{ where: [{ path: "data.constructor.name", contains: "" }] }, []]
      ]
      const answers = await withRecords(records, (index) => Effect.forEach(cases, ([query]) => find(index, query)))
      expect(answers).toEqual(cases.map(([, ids]) => ids))
    })

    it("passes over system records and what cannot be decoded", async () => {
      const records = [event("a", 1), { partition: 0, key: "", value: encodeHeartbeat(T0_MS + 2_000) }, { partition: 0, key: "", value: new TextEncoder().encode("{ t broken") }, event("b", 3)]
      expect(await withRecords(records, (index) => find(index, { text: "t" }))).toEqual(["b", "a"])
    })

    it("pages through everything once, in the same order, whatever the limits", async () => {
      const records = Array.from({ length: 700 }, (_, i) => event(`e${i}`, i, { tenantId: i % 4 === 0 ? "t" : "u" }, undefined, (i * 7 + (i >> 3)) % PARTITIONS))
      const expected = Array.from({ length: 175 }, (_, i) => `e${(174 - i) * 4}`)
      const runs = await withRecords(records, (index) =>
        Effect.forEach([[1_000, SCAN_MAX], [10, SCAN_MAX], [10, 17], [1_000, 100], [175, SCAN_MAX]] as const, ([limit, scanMax]) => allPages(index, { tenantId: "t" }, limit, scanMax)))
      for (const pages of runs) expect(pages.flatMap(idsOf)).toEqual(expected)
      expect(runs[0]).toHaveLength(1)
      for (const page of runs[1] ?? []) expect(page.hits.length).toBeLessThanOrEqual(10)
    })

    it("never looks at more records than allowed, and its cursor leads on from where it stopped", async () => {
      const records = Array.from({ length: 300 }, (_, i) => event(`e${i}`, i, { tenantId: i === 0 ? "t" : "u" }, undefined, i % PARTITIONS))
      const pages = await withRecords(records, (index) => allPages(index, { tenantId: "t" }, 5, 50))
      for (const page of pages) expect(page.scannedRecords).toBeLessThanOrEqual(50)
      expect(pages.flatMap(idsOf)).toEqual(["e0"])
    })
  })
}
