import { encodeEvent } from "@tidemark/domain/events/envelope"
import { encodeHeartbeat, encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import type { ResolutionCode } from "@tidemark/domain/ports/ReadModelStore"
import { pageViews } from "@tidemark/projections/page-views/projection"
import * as Effect from "effect/Effect"
import { beforeAll, describe, expect, it } from "vitest"
import { makeFoldedLog } from "./foldedLog.ts"
import { why } from "./lineage.ts"
import type { LineageInput } from "./lineage.ts"

const START_MS = 1_700_000_040_000
const DAY_MS = 86_400_000
const seed = hashSeedOf("log-1")

const view = (id: string, partition: number, timeMs: number, receivedAtMs = timeMs): LogRecord => ({
  partition, key: "k",
  value: encodeEvent({ id, source: "s", type: "page.viewed", timeMs, receivedAtMs, tenantId: "t", partitionKey: `t:${partition}`, userId: "u", schemaVersion: 2 }, '{"page":"/","durationMs":1}')
})
const heartbeat = (partition: number, timeMs: number): LogRecord => ({ partition, key: "h", value: encodeHeartbeat(timeMs) })
const question = (limit: number, more: Partial<LineageInput> = {}): LineageInput =>
  ({ projection: "page-views", generation: 1, tenantId: "t", key: ["/"], resolution: 0, startMs: START_MS, seed, limit, ...more })

describe("the proof of a window", () => {
  describe("with many events", () => {
    const EVENTS = 150_000
    const world = makeFoldedLog([pageViews], START_MS)
    // One event in five is of the next minute: not every record in the range is of the window. Most lie in one partition.
    beforeAll(() => world.fold(Array.from({ length: EVENTS * 1.25 }, (_, i) => view(`e${i}`, i % 25 === 0 ? 1 : 0, START_MS + (i % 5 === 4 ? 60_000 : 1_000)))), 120_000)

    it("holds for every event, whatever the size of the page", async () => {
      const first = await world.run(why(question(3)))
      expect(first).toMatchObject({ expectedEvents: 150_000n, foundEvents: 150_000n, fingerprintMatches: true, hasNextPage: true })
      // The first record of a partition is its genesis.
      expect(first.events.map(({ partition, offset, event }) => [partition, offset, event.id])).toEqual([[0, 1n, "e1"], [0, 2n, "e2"], [0, 3n, "e3"]])
    }, 60_000)

    it("lists the page after a place, and says when there is none", async () => {
      const last = { partition: 1, offset: 7_500n }
      const page = await world.run(why(question(2, { after: { ...last, offset: last.offset - 2n } })))
      expect(page).toMatchObject({ foundEvents: 150_000n, fingerprintMatches: true, hasNextPage: false })
      expect(page.events.map(({ partition, offset }) => [partition, offset])).toEqual([[1, 7_499n], [1, 7_500n]])
      expect((await world.run(why(question(2, { after: last })))).events).toEqual([])
    }, 60_000)

    it("is refused with the bound that was reached, before or while it reads, and never half made", async () => {
      const failed = (more: Partial<LineageInput>) => world.run(Effect.flip(why(question(1, more))))
      expect(await failed({ bounds: { recordsMax: 187_000n, workMsMax: 60_000 } })).toMatchObject({ _tag: "LineageTooLargeError", bound: "records", max: 187_000n, records: 187_499n, walked: 0n, resolution: "minute" })
      expect(await failed({ bounds: { recordsMax: 1_000_000n, workMsMax: 0 } })).toMatchObject({ _tag: "LineageTooLargeError", bound: "time", max: 0n, records: 187_499n, walked: 0n, resolution: "minute" })
    }, 60_000)
  })

  it("counts a released event once, by its first release, and lists it where it stood", async () => {
    const world = makeFoldedLog([pageViews], START_MS)
    const oldMs = START_MS - 8 * DAY_MS
    const held = view("held", 0, oldMs, START_MS)
    await world.fold([heartbeat(0, START_MS), held, view("never released", 0, oldMs, START_MS), view("in time", 1, oldMs)])
    const window = question(10, { startMs: oldMs })
    expect(await world.run(why(window))).toMatchObject({ expectedEvents: 1n, foundEvents: 1n, fingerprintMatches: true, events: [{ event: { id: "in time" } }] })
    const release = (timeMs: number): LogRecord => ({ partition: 0, key: "r", value: encodeLateApplied(timeMs, 0, 2n, held.value) })
    await world.fold([release(START_MS + 1), view("other", 0, START_MS + 2), release(START_MS + 3)])
    for (const resolution of [0, 1, 2] as const satisfies readonly ResolutionCode[]) {
      const startMs = [oldMs, Math.floor(oldMs / 3_600_000) * 3_600_000, Math.floor(oldMs / DAY_MS) * DAY_MS][resolution] ?? 0
      const found = await world.run(why({ ...window, resolution, startMs }))
      expect(found).toMatchObject({ expectedEvents: 2n, foundEvents: 2n, fingerprintMatches: true, hasNextPage: false })
      expect(found.events).toMatchObject([
        { partition: 0, offset: 2n, event: { id: "held" }, appliedAt: 4n, late: { outcome: "applied", lateByMs: 8 * DAY_MS - 70_000 } },
        { partition: 1, offset: 1n, event: { id: "in time" }, appliedAt: null, late: null }
      ])
    }
  })

  it("of __other__ holds for the events whose key was not admitted in their minute and partition", async () => {
    const world = makeFoldedLog([{ ...pageViews, keyMax: 2 }], START_MS)
    const on = (page: string, partition: number, timeMs: number): LogRecord => ({
      partition, key: "k",
      value: encodeEvent({ id: `${page} ${partition} ${timeMs}`, source: "s", type: "page.viewed", timeMs, receivedAtMs: timeMs, tenantId: "t", partitionKey: "p", userId: "u", schemaVersion: 2 }, JSON.stringify({ page }))
    })
    // Partition 0 admits /a and /b in the first minute, partition 1 admits /c; the second minute admits /c and /d.
    await world.fold([...["/a", "/b", "/c", "/d", "/c"].map((page, at) => on(page, 0, START_MS + at)), on("/c", 1, START_MS), ...["/c", "/d", "/e"].map((page, at) => on(page, 0, START_MS + 60_000 + at))])
    const other = ["__other__"]
    const idsOf = ({ events }: { readonly events: readonly { readonly event: { readonly id: string } }[] }) => events.map(({ event }) => event.id.slice(0, 4))
    const minute = await world.run(why(question(10, { key: other })))
    expect([minute, idsOf(minute)]).toMatchObject([{ expectedEvents: 3n, foundEvents: 3n, fingerprintMatches: true }, ["/c 0", "/d 0", "/c 0"]])
    const hour = await world.run(why(question(10, { key: other, resolution: 1, startMs: Math.floor(START_MS / 3_600_000) * 3_600_000 })))
    expect([hour, idsOf(hour)]).toMatchObject([{ expectedEvents: 4n, foundEvents: 4n, fingerprintMatches: true }, ["/c 0", "/d 0", "/c 0", "/e 0"]])
    const named = await world.run(why(question(10, { key: ["/c"] })))
    expect([named, idsOf(named)]).toMatchObject([{ expectedEvents: 1n, foundEvents: 1n, fingerprintMatches: true }, ["/c 1"]])
  })

  it("is no proof when a record of its range is not shown: that is a gap", async () => {
    const world = makeFoldedLog([pageViews], START_MS)
    await world.fold([view("a", 0, START_MS), view("b", 0, START_MS + 1)])
    world.logDisk.partitions[0]?.records.pop()
    expect(await world.run(Effect.flip(why(question(1))))).toMatchObject({ _tag: "OffsetOutOfRangeError", wanted: 2n })
  })
})
