import type { LateEntry } from "@tidemark/domain/ports/ReadModelStore"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { commitOf, prepare, rowOf, withStore } from "./specStore.ts"
import { dropNamespace, freshNamespace } from "./testDatabase.ts"

/** What Postgres' text does not hold, what SQL and array syntax treat as special, and the escape itself. */
const TEXTS = ["", "NULL", "a\u0000b", "\ud800", "x\udfffy", "\ue000", "\ue0000000", "{\"'\\,}", "'; DROP TABLE x; --", "é😀", "\n\t\u0001", "%_*$1"]

describe("texts of a log on Postgres", () => {
  let namespace: string
  beforeEach(() => { namespace = freshNamespace() })
  afterEach(() => dropNamespace(namespace))

  it("reads every text back as it was: tenants, dimensions, ledgers, halts", async () => {
    const rows = TEXTS.map((text) => rowOf(text, [text], 1))
    const late = TEXTS.map((text, at): LateEntry => ({
      partition: 0, offset: BigInt(at), tenantId: text, eventId: text, eventType: text, eventTimeMs: -1, windowStartMs: -60_000, key: [text], lateByMs: 7, outcome: "held", contribution: { [text]: text }
    }))
    const deadLetters = TEXTS.map((text, at) => ({ partition: 0, offset: BigInt(at), tenantId: text, code: "C", pointer: text }))
    const duplicates = TEXTS.map((text, at) => ({ partition: 0, offset: BigInt(at), tenantId: text }))
    const keyCounts = TEXTS.map((text) => ({ tenantId: text, windowStartMs: 0, partition: 0, keys: 1 }))
    const hints = TEXTS.map((text) => ({ tenantId: text, resolution: 0 as const, windowStartMs: -60_000, keyId: "ab".repeat(16), revision: 2n ** 63n }))
    const lane = { projection: "p", generation: 1, lane: 0 }
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* store.registerOutbox("c")
      yield* store.commit([commitOf("p", 0, 1n, 0n, 99n, { rows, late, deadLetters, duplicates, keyCounts, hints })])
      yield* store.recordHalt({ ...lane, code: "C", detail: TEXTS.join(""), atMs: -5 })
      const range = { projection: "p", generation: 1, partition: 0, min: 0n, max: 99n }
      const snapshot = yield* store.snapshot
      expect(yield* store.readRows(lane, rows)).toEqual(rows)
      expect(yield* snapshot.lateIn(range)).toEqual(late)
      expect(yield* snapshot.deadLettersIn(range)).toEqual(deadLetters)
      expect(yield* snapshot.duplicatesIn(range)).toEqual(duplicates)
      expect(yield* store.readKeyCounts(lane, keyCounts)).toEqual(keyCounts)
      for (const text of TEXTS) expect(yield* snapshot.late({ projection: "p", generation: 1, tenantId: text, limit: 99 })).toEqual(late.filter(({ tenantId }) => tenantId === text))
      expect((yield* store.readOutbox("c", 0n, 9)).flatMap((entry) => entry.hints)).toEqual(hints)
      expect(yield* snapshot.halts).toEqual([{ ...lane, code: "C", detail: TEXTS.join(""), atMs: -5 }])
    }))
  })

  it("enters the last of several entries at one place of one flush", async () => {
    const entry: LateEntry = { partition: 0, offset: 4n, tenantId: "t", eventId: "e", eventType: "x", eventTimeMs: 1, windowStartMs: 0, key: ["/"], lateByMs: 7, outcome: "held", contribution: {} }
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p")
      yield* store.commit([commitOf("p", 0, 1n, 0n, 9n, { late: [entry, { ...entry, outcome: "applied" }] })])
      const snapshot = yield* store.snapshot
      expect(yield* snapshot.lateIn({ projection: "p", generation: 1, partition: 0, min: 4n, max: 4n })).toEqual([{ ...entry, outcome: "applied" }])
    }))
  })

  it("scans more rows than one statement answers, of all keys and of one, without missing or repeating any", async () => {
    const rows = Array.from({ length: 2_500 }, (_, i) => rowOf("acme", [`/${i % 2}`], i + 1, { windowStartMs: Math.floor(i / 2) * 60_000 }))
    await withStore(namespace, (store) => Effect.gen(function* () {
      yield* prepare(store, "p", { lanes: 2 })
      yield* store.commit([0, 1].map((lane) => commitOf("p", lane, 1n, 0n, 9n, { rows: lane === 0 ? rows : rows.slice(0, 200) })))
      const snapshot = yield* store.snapshot
      const query = { projection: "p", generation: 1, tenantId: "acme", resolution: 0 as const, fromMs: 0, toMs: 1e12 }
      const scan = (keyId?: string) => Effect.gen(function* () {
        const found: string[] = []
        yield* snapshot.scan(keyId === undefined ? query : { ...query, keyId }, (chunk) => found.push(...chunk.map(({ windowStartMs, key, lane }) => `${windowStartMs} ${key[0]} ${lane}`)))
        return found
      })
      const [all, one] = [yield* scan(), yield* scan(rows[0]?.keyId)]
      expect([all.length, new Set(all).size]).toEqual([2_700, 2_700])
      expect([one.length, new Set(one).size]).toEqual([1_350, 1_350])
      expect(one.every((found) => found.includes("/0"))).toBe(true)
    }))
  })
})
