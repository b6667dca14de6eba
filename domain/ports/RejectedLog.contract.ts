/** What every rejected log must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { RejectedLog } from "./RejectedLog.ts"
import type { RejectedLimits } from "./rejectedLimits.ts"
import type { RejectedEvent, RejectedLogShape } from "./RejectedLog.ts"

export interface RejectedLogHarness {
  /** The same stored log each time it is opened, with these limits or those of a log that is opened without any. */
  readonly open: (limits?: RejectedLimits) => Layer.Layer<RejectedLog, unknown>
  readonly dispose: () => Promise<void>
}

const entry = (entryId: string, receivedAtMs: number, more: Partial<RejectedEvent> = {}): RejectedEvent => ({
  tenantId: "acme",
  entryId,
  receivedAtMs,
  eventId: null,
  eventType: null,
  code: "SCHEMA",
  pointer: "/amount",
  detail: "must be a number",
  origin: null,
  body: "{\"amount\":\"x\"}",
  ...more
})

const idsOf = (entries: readonly RejectedEvent[]) => entries.map(({ entryId }) => entryId)

/** Declares the suite for one adapter. */
export const rejectedLogContract = (name: string, makeHarness: () => RejectedLogHarness): void => {
  const session = (body: (run: <A>(use: (log: RejectedLogShape) => Effect.Effect<A, unknown>, limits?: RejectedLimits) => Promise<A>) => Promise<void>) => async () => {
    const harness = makeHarness()
    try {
      await body((use, limits) => Effect.runPromise(Effect.gen(function* () { return yield* use(yield* RejectedLog) }).pipe(Effect.provide(harness.open(limits)))))
    } finally {
      await harness.dispose()
    }
  }

  describe(`RejectedLog on ${name}`, () => {
    it("keeps every field of an entry, after reopening too", session(async (run) => {
      const bare = entry("a", 1)
      const full = entry("b", 2, { eventId: "e-1", eventType: "order.placed", origin: "march.ndjson:17", body: "{\"$n\":\"é😀\"}\n\u0000" })
      await run((log) => log.put([bare, full]))
      expect(await run((log) => log.page("acme", 10))).toEqual([full, bare])
    }))

    it("pages newest first by time of receipt, then by entry id, whatever the order of arrival", session(async (run) => {
      await run((log) => log.put([entry("c", 1_700_000_000_000), entry("z", 999), entry("a", 1_700_000_000_001)]))
      await run((log) => log.put([entry("d", 1_700_000_000_000), entry("b", 1_700_000_000_000)]))
      expect(idsOf(await run((log) => log.page("acme", 10)))).toEqual(["a", "d", "c", "b", "z"])
    }))

    it("continues exactly after the last entry seen, also when newer ones come between pages", session(async (run) => {
      await run((log) => log.put(["a", "b", "c", "d", "e"].map((id, i) => entry(id, Math.floor(i / 2)))))
      const first = idsOf(await run((log) => log.page("acme", 2)))
      await run((log) => log.put([entry("f", 9)]))
      const second = idsOf(await run((log) => log.page("acme", 2, first.at(-1))))
      const third = idsOf(await run((log) => log.page("acme", 2, second.at(-1))))
      expect([first, second, third]).toEqual([["e", "d"], ["c", "b"], ["a"]])
      expect(await run((log) => log.page("acme", 2, "a"))).toEqual([])
    }))

    it("replaces nothing when an entry id comes again, in a later batch or in the same one", session(async (run) => {
      await run((log) => log.put([entry("a", 1), entry("b", 5, { detail: "first" }), entry("b", 7, { detail: "second" })]))
      await run((log) => log.put([entry("a", 3, { detail: "changed" }), entry("c", 2)]))
      expect(await run((log) => log.page("acme", 10))).toEqual([entry("b", 5, { detail: "first" }), entry("c", 2), entry("a", 1)])
    }))

    it("shows a tenant its own entries only", session(async (run) => {
      const own = entry("a", 5)
      const others = [entry("a", 4, { tenantId: "acm" }), entry("b", 6, { tenantId: "acme2" })]
      await run((log) => log.put([...others, own]))
      expect(await run((log) => log.page("acme", 10))).toEqual([own])
      expect(await run((log) => log.page("acm", 10))).toEqual([others[0]])
      expect(await run((log) => log.page("acme", 10, "b"))).toEqual([])
      expect(await run((log) => log.page("nobody", 10))).toEqual([])
    }))

    it("finds an entry by its id, of its tenant only", session(async (run) => {
      const own = entry("a", 5, { detail: "own" })
      await run((log) => log.put([entry("a", 4, { tenantId: "acme2" }), entry("b", 6, { tenantId: "acme2" }), own, entry("a", 9, { detail: "again" })]))
      expect(await run((log) => log.find("acme", "a"))).toEqual(own)
      expect(await run((log) => log.find("acme", "b"))).toBeUndefined()
      expect(await run((log) => log.find("acme", ""))).toBeUndefined()
      expect(await run((log) => log.find("nobody", "a"))).toBeUndefined()
    }))

    it("keeps a body of 32 KiB and answers an empty page for a limit of none", session(async (run) => {
      const large = entry("a", 1, { body: "x".repeat(32 * 1024) })
      await run((log) => log.put([large]))
      expect(await run((log) => log.page("acme", 1))).toEqual([large])
      expect(await run((log) => log.page("acme", 0))).toEqual([])
    }))

    it("keeps no more bytes of a tenant than its limit: the oldest entries go, and those of others stay", session(async (run) => {
      const limits = { bytesMax: 20_000, keepMs: 1e12 }
      const others = [entry("0", 1, { tenantId: "acm" }), entry("1", 2, { tenantId: "birch" })]
      const ids = Array.from({ length: 60 }, (_, at) => `e${String(at).padStart(2, "0")}`)
      const made = ids.map((id, at) => entry(id, 1_000 + at, { body: "x".repeat(900) }))
      await run((log) => log.put(others))
      // Opened anew in between: what is stored already counts.
      for (const half of [made.slice(0, 30), made.slice(30)]) {
        await run((log) => Effect.forEach(Array.from({ length: 10 }, (_, at) => half.slice(at * 3, at * 3 + 3)), (some) => log.put(some), { discard: true }), limits)
      }
      const kept = await run((log) => log.page("acme", 100))
      const bytes = kept.reduce((sum, one) => sum + JSON.stringify(one).length, 0)
      expect(idsOf(kept)).toEqual(ids.slice(-kept.length).reverse())
      expect(bytes).toBeLessThanOrEqual(limits.bytesMax * 1.1)
      expect(bytes).toBeGreaterThan(limits.bytesMax * 0.8)
      expect(await run((log) => log.page("acme", 10, "e00"))).toEqual([])
      expect([...(await run((log) => log.page("acm", 10))), ...(await run((log) => log.page("birch", 10)))]).toEqual(others)
    }))

    it("keeps the newest of a put that is larger than the limit", session(async (run) => {
      const made = Array.from({ length: 40 }, (_, at) => entry(String(at).padStart(2, "0"), at, { body: "x".repeat(900) }))
      await run((log) => log.put(made), { bytesMax: 10_000, keepMs: 1e12 })
      const kept = idsOf(await run((log) => log.page("acme", 100)))
      expect(kept).toEqual(idsOf(made.slice(-kept.length)).reverse())
      expect([kept.length > 6, kept.length < 10]).toEqual([true, true])
    }))

    it("drops what is too old of every tenant when it is told the time, once, and takes it anew when it comes again", session(async (run) => {
      const limits = { bytesMax: 1 << 30, keepMs: 1_000 }
      const made = ["acme", "birch", "c"].flatMap((tenantId) => [1_000, 1_999, 2_000, 9_000].map((ms) => entry(`${tenantId}${ms}`, ms, { tenantId })))
      await run((log) => log.put(made), limits)
      const [first, again] = await run((log) => Effect.all([log.prune(3_000), log.prune(3_000)]), limits)
      expect([first, again]).toEqual([6, 0])
      expect(idsOf(await run((log) => log.page("birch", 10)))).toEqual(["birch9000", "birch2000"])
      await run((log) => log.put([entry("acme1000", 1_000)]), limits)
      expect(idsOf(await run((log) => log.page("acme", 10)))).toEqual(["acme9000", "acme2000", "acme1000"])
    }))
  })
}
