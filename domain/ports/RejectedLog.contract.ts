/** What every rejected log must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { RejectedLog } from "./RejectedLog.ts"
import type { RejectedEvent, RejectedLogShape } from "./RejectedLog.ts"

export interface RejectedLogHarness {
  /** The same stored log each time it is opened. */
  readonly open: () => Layer.Layer<RejectedLog, unknown>
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
  const session = (body: (run: <A>(use: (log: RejectedLogShape) => Effect.Effect<A, unknown>) => Promise<A>) => Promise<void>) => async () => {
    const harness = makeHarness()
    try {
      await body((use) => Effect.runPromise(Effect.gen(function* () { return yield* use(yield* RejectedLog) }).pipe(Effect.provide(harness.open()))))
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
  })
}
