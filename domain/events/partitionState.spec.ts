import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { DecodedRecord } from "./envelope.ts"
import type { EventEnvelope } from "./event.ts"
import { HORIZON_MS, PartitionState } from "./partitionState.ts"

const event = (over: Partial<EventEnvelope> = {}): DecodedRecord => ({
  kind: "event",
  event: {
    id: "e", source: "s", type: "x", timeMs: 0, receivedAtMs: 0, tenantId: "t", partitionKey: "t:k", schemaVersion: 0, data: undefined, ...over
  }
})
const heartbeat = (timeMs: number): DecodedRecord => ({ kind: "system", record: { system: "heartbeat", timeMs } })

describe("M", () => {
  it("is taken over earlier records, of the same tenant or heartbeats, whatever became of them", () => {
    const state = new PartitionState(0, 1)
    expect(state.observe(event({ timeMs: 100, receivedAtMs: 100 })).maxEventTimeMs).toBe(-Infinity)
    expect(state.observe(event({ timeMs: 50, receivedAtMs: 100 }))).toEqual({ duplicate: true, maxEventTimeMs: 100 })
    expect(state.observe(event({ id: "f", tenantId: "other", timeMs: 900, receivedAtMs: 900 })).maxEventTimeMs).toBe(-Infinity)
    expect(state.observe(event({ id: "g", timeMs: 60, receivedAtMs: 900 })).maxEventTimeMs).toBe(100)
    state.observe(heartbeat(5_000))
    expect(state.observe(event({ id: "h", timeMs: 60, receivedAtMs: 900 })).maxEventTimeMs).toBe(5_000)
  })

  it("is never moved by a backfill", () => {
    const state = new PartitionState(0, 1)
    state.observe(event({ timeMs: 700, receivedAtMs: 900, backfill: "import" }))
    expect(state.maxEventTimeMs("t")).toBe(-Infinity)
  })
})

describe("a duplicate", () => {
  const live = (id: string, receivedAtMs: number, over: Partial<EventEnvelope> = {}) => event({ id, timeMs: 0, receivedAtMs, ...over })

  it("has the same tenant, partition key, import name and id", () => {
    const state = new PartitionState(0, 1)
    state.observe(live("a", 1))
    for (const other of [{ tenantId: "u" }, { partitionKey: "t:l" }, { backfill: "b" }, { id: "b" }]) expect(state.observe(live("a", 1, other)).duplicate).toBe(false)
    expect(state.observe(live("a", 1)).duplicate).toBe(true)
  })

  it("counts again once R has moved more than 24 h, and a duplicate does not renew the horizon", () => {
    const state = new PartitionState(0, 1)
    state.observe(live("a", 0))
    expect(state.observe(live("a", HORIZON_MS - 1)).duplicate).toBe(true)
    expect(state.observe(live("a", HORIZON_MS)).duplicate).toBe(true)
    expect(state.observe(live("a", HORIZON_MS + 1)).duplicate).toBe(false)
    expect(state.observe(live("a", HORIZON_MS + 2)).duplicate).toBe(true)
  })

  it("of an import is one for ever", () => {
    const state = new PartitionState(0, 1)
    state.observe(live("a", 0, { backfill: "b" }))
    expect(state.observe(live("a", 100 * HORIZON_MS, { backfill: "b" })).duplicate).toBe(true)
    expect(state.observe(live("a", 100 * HORIZON_MS, { backfill: "c" })).duplicate).toBe(false)
  })

  it("is told to ingest without being recorded", () => {
    const state = new PartitionState(0, 1)
    const identity = { tenantId: "t", partitionKey: "t:k", id: "a" }
    expect(state.isDuplicate(identity, 5)).toBe(false)
    expect(state.isDuplicate(identity, 5)).toBe(false)
    state.observe(live("a", 5))
    expect(state.isDuplicate(identity, 6)).toBe(true)
    expect(state.isDuplicate(identity, 6 + HORIZON_MS)).toBe(false)
  })
})

const scenario = fc.array(
  fc.record({ id: fc.integer({ min: 0, max: 40 }), stepMs: fc.integer({ min: -HORIZON_MS / 8, max: HORIZON_MS / 4 }), tenant: fc.constantFrom("t", "u"), backfill: fc.constantFrom(undefined, undefined, "b") }),
  { maxLength: 200 }
)

const records = (steps: readonly { id: number; stepMs: number; tenant: string; backfill: string | undefined }[]): DecodedRecord[] => {
  let receivedAtMs = 10 * HORIZON_MS
  return steps.map((step) => {
    receivedAtMs += step.stepMs
    return event({ id: String(step.id), tenantId: step.tenant, timeMs: receivedAtMs - 1_000, receivedAtMs, backfill: step.backfill })
  })
}

describe("the state of a prefix", () => {
  it("property: names exactly the duplicates that a plain loop over the definition finds", () => {
    fc.assert(
      fc.property(scenario, (steps) => {
        const state = new PartitionState(0, 7)
        const firsts: { name: string; live: boolean; r: number }[] = []
        let r = -Infinity
        for (const record of records(steps)) {
          if (record.kind !== "event") continue
          r = Math.max(r, record.event.receivedAtMs)
          const name = [record.event.tenantId, record.event.backfill ?? "-", record.event.id].join("|")
          const live = record.event.backfill === undefined
          const expected = firsts.some((first) => first.name === name && (!live || r - first.r <= HORIZON_MS))
          expect(state.observe(record).duplicate).toBe(expected)
          if (!expected) firsts.push({ name, live, r })
        }
      })
    )
  })

  it("property: continued from segments cut anywhere is the same", () => {
    fc.assert(
      fc.property(scenario, fc.array(fc.boolean(), { maxLength: 200 }), (steps, cuts) => {
        const whole = new PartitionState(3, 7)
        const stored = new PartitionState(3, 7)
        const segments = []
        let cutState = stored
        for (const [index, record] of records(steps).entries()) {
          expect(cutState.observe(record)).toEqual(whole.observe(record))
          const segment = cuts[index] === true ? cutState.takeSegment() : undefined
          if (segment === undefined) continue
          segments.push(segment)
          const seen = new Set(segments.flatMap((part) => [...part.imports.hi].map((hi, i) => `${hi}/${part.imports.lo[i]}`)))
          cutState = PartitionState.fromSegments(3, 7, segments, { has: (hi, lo) => seen.has(`${hi}/${lo}`) })
          expect(cutState.nextOffset).toBe(whole.nextOffset)
        }
        expect([cutState.receivedMaxMs, cutState.maxEventTimeMs("t"), cutState.maxEventTimeMs("u")]).toEqual([whole.receivedMaxMs, whole.maxEventTimeMs("t"), whole.maxEventTimeMs("u")])
      })
    )
  })

  it("asks the index for imports below its own offset only, and holds them itself until their segment is saved", () => {
    const stored = new Map<string, number>()
    const asked: number[] = []
    const state = new PartitionState(0, 7, {
      has: (hi, lo, before) => {
        asked.push(before)
        return (stored.get(`${hi}/${lo}`) ?? Infinity) < before
      }
    })
    const observe = (id: string) => state.observe(event({ id, backfill: "b" })).duplicate
    expect([observe("a"), observe("b"), observe("a")]).toEqual([false, false, true])
    const segment = state.takeSegment()
    expect(observe("a")).toBe(true)
    if (segment === undefined) throw new Error("nothing taken")
    segment.imports.hi.forEach((hi, i) => stored.set(`${hi}/${segment.imports.lo[i]}`, segment.imports.offset[i] ?? NaN))
    expect(asked).toEqual([0, 1])
    state.segmentSaved(segment)
    expect(observe("b")).toBe(true)
    expect(asked).toEqual([0, 1, 4])
    stored.clear()
    expect(observe("b")).toBe(false)
  })

  it("forgets what lies beyond the horizon, so memory follows one horizon's traffic", () => {
    const state = new PartitionState(0, 7)
    for (let i = 0; i < 50_000; i++) state.observe(event({ id: `n${i}`, timeMs: 0, receivedAtMs: i * (HORIZON_MS / 1_000) }))
    const first = { tenantId: "t", partitionKey: "t:k", id: "n49500" }
    expect(state.isDuplicate(first, 0)).toBe(true)
    expect(state.isDuplicate({ ...first, id: "n0" }, 0)).toBe(false)
  })
})
