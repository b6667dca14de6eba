import type { EventAttributes } from "@tidemark/domain/events/event"
import { identityText } from "@tidemark/domain/events/partitionState"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { describe, expect, it } from "vitest"
import type { NamedEvent } from "./confirmedEvents.ts"
import { RecentEvents } from "./recentEvents.ts"

const HOUR_MS = 3_600_000

const event = (id: string, over: Partial<EventAttributes> = {}): NamedEvent => {
  const attributes: EventAttributes = { id, source: "s", type: "t", timeMs: 0, receivedAtMs: 0, tenantId: "a", partitionKey: "a:u", schemaVersion: 0, ...over }
  return { partition: 0, event: attributes, identity: identityText(attributes) }
}

const store = (recent: RecentEvents, ...batch: readonly NamedEvent[]) => {
  recent.finish(recent.begin(batch), batch.map((_, i) => ({ partition: 0, offset: BigInt(i) })))
}

describe("what an ingest process remembers of its own events", () => {
  it("names an event a duplicate once the first is durable, and open before", () => {
    const recent = new RecentEvents()
    expect(recent.standing(event("1"))).toEqual({ kind: "new" })
    const append = recent.begin([event("1")])
    expect(recent.standing(event("1")).kind).toBe("open")
    recent.finish(append, [{ partition: 0, offset: 5n }])
    expect(recent.standing(event("1"))).toEqual({ kind: "duplicate" })
    expect(recent.standing(event("1", { tenantId: "b" }))).toEqual({ kind: "new" })
    expect(recent.standing(event("1", { backfill: "import" }))).toEqual({ kind: "new" })
  })

  it("takes an event again whose append was refused or is unknown, and wakes who waited for it", async () => {
    const recent = new RecentEvents()
    const append = recent.begin([event("1")])
    const standing = recent.standing(event("1"))
    recent.finish(append, undefined)
    expect(recent.standing(event("1"))).toEqual({ kind: "new" })
    if (standing.kind !== "open") throw new Error("expected to wait")
    expect(Exit.isSuccess(await Effect.runPromiseExit(Deferred.await(standing.answered)))).toBe(true)
  })

  it("answers new before readers would forget a live event; never for one of an import", () => {
    const recent = new RecentEvents()
    store(recent, event("1"))
    store(recent, event("2", { backfill: "import" }))
    expect(recent.standing(event("1", { receivedAtMs: 23 * HOUR_MS })).kind).toBe("duplicate")
    expect(recent.standing(event("1", { receivedAtMs: 23 * HOUR_MS + 1 })).kind).toBe("new")
    expect(recent.standing(event("2", { backfill: "import", receivedAtMs: 99 * HOUR_MS })).kind).toBe("duplicate")
  })

  it("forgets the oldest first and never one that is still open", () => {
    const recent = new RecentEvents(2)
    const append = recent.begin([event("open")])
    for (const id of ["1", "2", "3"]) store(recent, event(id))
    expect(recent.standing(event("open")).kind).toBe("open")
    recent.finish(append, [{ partition: 0, offset: 0n }])
    expect(["1", "2", "3"].map((id) => recent.standing(event(id)).kind)).toEqual(["new", "duplicate", "duplicate"])
  })
})
