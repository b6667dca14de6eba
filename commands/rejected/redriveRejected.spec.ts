import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { makeAcceptEvents } from "../accept-events/acceptEvents.ts"
import { emptyIndex, fakeHashSeed, makeFakeLog, makeFakeRejectedLog } from "../accept-events/fakes.ts"
import { makeSchemaRegistry } from "../accept-events/schemas.ts"
import { makeFakeEventStore } from "../settings/fakes.ts"
import { loadRedrive, redriveRejected } from "./redriveRejected.ts"
import type { RedriveRejected } from "./redriveRejected.ts"

const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
const ACT = { actor: "tm_admin", reason: "the schema was too narrow" }
const schemas = makeSchemaRegistry([{ type: "viewed", version: 1, schema: { type: "object", properties: { page: { type: "string" } }, required: ["page"] } }])

const refused = (entryId: string, event: object, more: Partial<RejectedEvent> = {}): RejectedEvent => {
  const { id } = event as { readonly id?: string }
  return { tenantId: "t", entryId, receivedAtMs: NOW_MS - HOUR_MS, eventId: id ?? null, eventType: "viewed", code: "schema", pointer: "/data/page", detail: "", origin: null, body: JSON.stringify(event), ...more }
}
const good = { type: "viewed", userId: "ann", data: { page: "/" } }
const wrong = { type: "viewed", userId: "ann", data: { page: 7 } }

/** Runs with the entries stored, at NOW_MS. */
const withRedrive = (entries: readonly RejectedEvent[], body: (world: World) => Effect.Effect<void, unknown, EventStore>) => {
  const [log, rejected, events] = [makeFakeLog(2), makeFakeRejectedLog(), makeFakeEventStore()]
  rejected.entries.push(...entries)
  const program = Effect.gen(function* () {
    yield* TestClock.setTime(NOW_MS)
    const accept = yield* makeAcceptEvents({ schemas, hashSeed: fakeHashSeed })
    const redrive = (command: Partial<RedriveRejected>, act = ACT) =>
      redriveRejected({ tenantId: "t", strict: false, entryIds: [], dryRun: false, ...command }, act, accept)
    const stored = () => log.stored.flat().map((value) => (decodeRecord(value) as { readonly event: EventEnvelope }).event)
    yield* body({ redrive: (command, act) => Effect.provideService(Effect.provideService(redrive(command, act), RejectedLog, rejected.shape), EventStore, events.shape), stored, log, events, rejected })
  }).pipe(
    Effect.provideService(EventLog, log.shape), Effect.provideService(PartitionIndex, emptyIndex), Effect.provideService(RejectedLog, rejected.shape), Effect.provideService(EventStore, events.shape), Effect.provide(TestClock.layer())
  )
  return Effect.runPromise(program)
}

interface World {
  readonly redrive: (command: Partial<RedriveRejected>, act?: typeof ACT) => Effect.Effect<Effect.Success<ReturnType<typeof redriveRejected>>, unknown>
  readonly stored: () => readonly EventEnvelope[]
  readonly log: ReturnType<typeof makeFakeLog>
  readonly events: ReturnType<typeof makeFakeEventStore>
  readonly rejected: ReturnType<typeof makeFakeRejectedLog>
}

describe("a refused event that is sent again", () => {
  it("is appended under the id it was sent with, as what happened when it was received, and a second time adds nothing", () =>
    withRedrive([refused("entry-1", { ...good, id: "e-1" })], ({ redrive, stored }) => Effect.gen(function* () {
      expect(yield* redrive({ entryIds: ["entry-1", "entry-1"] })).toMatchObject([{ entryId: "entry-1", verdict: "append", eventId: "e-1", place: { offset: "0" } }])
      expect(stored()).toMatchObject([{ id: "e-1", type: "viewed", timeMs: NOW_MS - HOUR_MS, receivedAtMs: NOW_MS, userId: "ann", tenantId: "t", source: "urn:tidemark:key:tm_admin" }])
      expect(yield* loadRedrive("t", "entry-1")).toMatchObject({ redriven: { outcome: "appended", eventId: "e-1", place: { offset: "0" }, actor: "tm_admin", reason: ACT.reason, atMs: NOW_MS } })
      yield* TestClock.adjust(40 * HOUR_MS)
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "done", eventId: "e-1", place: { offset: "0" } }])
      expect(stored()).toHaveLength(1)
    })))

  it("is checked as events are checked now, and nothing is appended or recorded when it is refused again or only planned", () =>
    withRedrive([refused("entry-1", { ...wrong, id: "e-1" }), refused("entry-2", good), refused("entry-3", good, { eventId: "x".repeat(200) })], ({ redrive, stored, events, rejected }) => Effect.gen(function* () {
      const planned = yield* redrive({ entryIds: ["entry-1", "entry-2", "entry-3", "nobody's"], dryRun: true })
      expect(planned).toMatchObject([
        { verdict: "rejected", refusal: { code: "schema", pointer: "/data/page", detail: "expected string, got number" } },
        { verdict: "append", eventId: "entry-2", place: null }, { verdict: "append", eventId: "entry-3" }, { entryId: "nobody's", verdict: "unknown", eventId: null }
      ])
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "rejected" }])
      expect([stored(), events.stored, rejected.entries.length]).toEqual([[], [], 3])
    })))

  it("may be corrected: one event, of the same id", () =>
    withRedrive([refused("entry-1", { ...wrong, id: "e-1" }), refused("entry-2", wrong, { body: '{"cut off' })], ({ redrive, stored }) => Effect.gen(function* () {
      expect(yield* Effect.flip(redrive({ entryIds: ["entry-1"], body: JSON.stringify({ ...good, id: "another" }) }))).toMatchObject({ _tag: "InvalidSettingError", pointer: "/body" })
      expect(yield* Effect.flip(redrive({ entryIds: ["entry-1", "entry-2"], body: JSON.stringify(good) }))).toMatchObject({ pointer: "/body" })
      expect(yield* redrive({ entryIds: ["entry-2"] })).toMatchObject([{ verdict: "rejected", refusal: { code: "json" } }])
      expect(yield* redrive({ entryIds: ["entry-1"], body: JSON.stringify({ ...good, time: NOW_MS - 5 }) })).toMatchObject([{ verdict: "append", eventId: "e-1" }])
      expect(yield* redrive({ entryIds: ["entry-2"], body: JSON.stringify(good) })).toMatchObject([{ verdict: "append", eventId: "entry-2" }])
      expect(stored().map(({ id, timeMs }) => [id, NOW_MS - timeMs])).toEqual(expect.arrayContaining([["e-1", 5], ["entry-2", HOUR_MS]]))
    })))

  it("goes into the import it came with, and is taken for a CloudEvent where it is one", () =>
    withRedrive([
      refused("entry-1", { ...good, id: "e-1" }, { origin: "march:file.ndjson:17" }), refused("entry-2", { ...good, id: "e-2" }, { origin: "april" }),
      refused("entry-3", { specversion: "1.0", id: "e-3", source: "urn:app", type: "viewed", userid: "bob", data: { page: "/" } })
    ], ({ redrive, stored }) => Effect.gen(function* () {
      yield* redrive({ entryIds: ["entry-1", "entry-2", "entry-3"] })
      const found = Object.fromEntries(stored().map(({ id, backfill, userId, source }) => [id, [backfill, userId, source]]))
      expect(found).toEqual({ "e-1": ["march:file.ndjson", "ann", "urn:tidemark:key:tm_admin"], "e-2": ["april", "ann", "urn:tidemark:key:tm_admin"], "e-3": [undefined, "bob", "urn:app"] })
    })))

  it("is found to be there already when its sender was quicker, and that is recorded", () =>
    withRedrive([refused("entry-1", { ...good, id: "e-1" }), refused("entry-2", { ...good, id: "e-1" })], ({ redrive, stored }) => Effect.gen(function* () {
      yield* redrive({ entryIds: ["entry-2"] })
      expect(yield* redrive({ entryIds: ["entry-1"], dryRun: true })).toMatchObject([{ verdict: "duplicate" }])
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "duplicate", place: null }])
      expect([stored().length, (yield* loadRedrive("t", "entry-1"))?.redriven?.outcome]).toEqual([1, "duplicate"])
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "done" }])
    })))

  it("is sent again under the same id when a redrive broke off, so that whoever reads the log counts it once", () =>
    withRedrive([refused("entry-1", { ...good, id: "e-1" }), refused("entry-2", { ...good, id: "e-2" }, { origin: "march:1" })], ({ redrive, stored, log }) => Effect.gen(function* () {
      log.control.behaviours.push("kept")
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "failed" }])
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "append" }])
      log.control.behaviours.push("kept")
      expect(yield* redrive({ entryIds: ["entry-2"] })).toMatchObject([{ verdict: "failed" }])
      yield* TestClock.adjust(24 * HOUR_MS)
      expect(yield* redrive({ entryIds: ["entry-2"] })).toMatchObject([{ verdict: "append" }])
      expect(stored().map(({ id }) => id).sort()).toEqual(["e-1", "e-1", "e-2", "e-2"])
    })))

  it("is not sent when it is not known whether an earlier redrive, too long ago, was stored", () =>
    withRedrive([refused("entry-1", { ...good, id: "e-1" })], ({ redrive, stored, log }) => Effect.gen(function* () {
      log.control.behaviours.push("kept")
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "failed" }])
      yield* TestClock.adjust(24 * HOUR_MS)
      expect(yield* redrive({ entryIds: ["entry-1"] })).toMatchObject([{ verdict: "unsettled" }])
      expect(stored()).toHaveLength(1)
    })))

  it("needs a reason, and takes 100 at once", () =>
    withRedrive([], ({ redrive }) => Effect.gen(function* () {
      const ids = (count: number) => Array.from({ length: count }, (_, at) => `entry-${at}`)
      expect(yield* Effect.flip(redrive({ entryIds: ids(101) }))).toMatchObject({ pointer: "/ids" })
      expect(yield* Effect.flip(redrive({ entryIds: [] }))).toMatchObject({ pointer: "/ids" })
      expect(yield* Effect.flip(redrive({ entryIds: ids(1) }, { actor: "a", reason: " " }))).toMatchObject({ pointer: "/reason" })
      expect(yield* redrive({ entryIds: ids(100) })).toHaveLength(100)
    })))
})
