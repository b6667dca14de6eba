import { compileDefinition } from "@tidemark/domain/definitions/compile"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { mergeAccumulators } from "@tidemark/domain/measures/measure"
import { windowStart } from "@tidemark/domain/time/window"
import { describe, expect, it } from "vitest"
import { SeededRandom } from "../simulation/random.ts"
import { DeltaTable } from "./deltas.ts"
import { BaseSums, longerSums } from "./laneSums.ts"
import type { LevelSums } from "./laneSums.ts"
import { cloneSums } from "./rowSums.ts"
import type { RowSums } from "./rowSums.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const TWO_64 = 1n << 64n
const compiled = compileDefinition(defineProjection({
  name: "n", version: 1, handles: [{ type: "a" }], key: { k: "event.data.k" }, measures: { n: { kind: "count" }, d: { kind: "quantiles", of: "event.data.d" }, u: { kind: "uniques", of: "event.data.u" } }
}), 1)

interface Event {
  readonly partition: number
  readonly tenantId: string
  readonly startMs: number
  readonly key: string
  readonly offset: number
  readonly hashHi: number
  readonly hashLo: number
  readonly late: boolean
  readonly value: number
}

const add = (accumulators: RowSums["accumulators"], { hashHi, hashLo, value }: Event): void => {
  for (const accumulator of accumulators) {
    if (accumulator.kind === "count") accumulator.add(1)
    else if (accumulator.kind === "quantiles") accumulator.addScaled(value)
    else if (accumulator.kind === "uniques") accumulator.addHash(hashHi, hashLo)
  }
}

const randomEvents = (random: SeededRandom, count: number): Event[] =>
  Array.from({ length: count }, (_, offset) => ({
    partition: random.between(0, 2), tenantId: random.pick(["t", "u"]), startMs: 23 * HOUR_MS + random.between(0, 120) * MINUTE_MS, key: random.pick(["a", "b", "c"]), offset,
    hashHi: random.between(0, 2 ** 32 - 1), hashLo: random.between(2 ** 32 - 1_000, 2 ** 32 - 1), late: random.chance(0.2), value: random.between(-1_000, 1_000_000)
  }))

const seen = ({ events, lateEvents, hi, lo, offsets, accumulators }: RowSums) => ({
  events, lateEvents, fingerprint: (BigInt(hi) << 32n) + BigInt(lo), offsets, measures: accumulators.map((accumulator) => Buffer.from(accumulator.encode()).toString("hex"))
})

/** The rows that these events make, without deltas. */
const expectedOf = (events: readonly Event[], sizeMs: number): Map<string, unknown> => {
  const groups = new Map<string, Event[]>()
  for (const event of events) {
    const name = `${windowStart(event.startMs, sizeMs)} ${event.tenantId} ${event.key}`
    groups.set(name, [...(groups.get(name) ?? []), event])
  }
  return new Map([...groups].map(([name, group]) => {
    const accumulators = compiled.createAccumulators()
    for (const event of group) add(accumulators, event)
    const partitions = [...new Set(group.map(({ partition }) => partition))].sort()
    const offsets = partitions.map((partition) => {
      const own = group.filter((event) => event.partition === partition).map(({ offset }) => offset)
      return { partition, min: Math.min(...own), max: Math.max(...own) }
    })
    const fingerprint = group.reduce((sum, { hashHi, hashLo }) => sum + (BigInt(hashHi) << 32n) + BigInt(hashLo), 0n) % TWO_64
    return [name, { ...seen({ key: [], accumulators, events: group.length, lateEvents: group.filter(({ late }) => late).length, backfillEvents: 0, hi: 0, lo: 0, offsets }), fingerprint }]
  }))
}

const named = (level: LevelSums): Map<string, unknown> =>
  new Map([...level].flatMap(([startMs, window]) => [...window.values()].map(({ tenantId, sums }) => [`${startMs} ${tenantId} ${sums.key[0]}`, seen(sums)] as const)))

const baseOf = (events: readonly Event[]): BaseSums => {
  const base = new BaseSums()
  for (const partition of [2, 0, 1]) {
    const table = new DeltaTable(compiled.createAccumulators)
    for (const event of events) if (event.partition === partition) add(table.count(event.tenantId, event.startMs, [event.key], event, event.late, false), event)
    for (const { tenantId, windowStartMs, keys } of table.windows()) base.add(tenantId, windowStartMs, partition, [...keys.values()])
  }
  return base
}

describe("the sums of a flush", () => {
  it("property: are what the events of the window add, at every level and whatever the partitions they came by", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed)
      const events = randomEvents(random, random.between(1, 400))
      const minutes = baseOf(events).windows
      const hours = longerSums(minutes, HOUR_MS)
      const days = longerSums(hours, DAY_MS)
      for (const [level, sizeMs] of [[minutes, MINUTE_MS], [hours, HOUR_MS], [days, DAY_MS]] as const) {
        expect({ seed, sizeMs, sums: named(level) }).toEqual({ seed, sizeMs, sums: expectedOf(events, sizeMs) })
      }
    }
  })

  it("of a shorter window are told to be shared, and a change of their clones does not reach them", () => {
    const [event] = randomEvents(new SeededRandom(1), 1) as [Event]
    const minutes = baseOf([event]).windows
    const hours = longerSums(minutes, HOUR_MS)
    const [own] = [...minutes.values()].flatMap((window) => [...window.values()])
    const [shared] = [...hours.values()].flatMap((window) => [...window.values()])
    expect([own?.isShared, shared?.isShared]).toEqual([false, true])
    expect(shared?.sums).toBe(own?.sums)
    if (shared === undefined) throw new Error("there are no sums")
    const before = seen(shared.sums)
    const clone = cloneSums(shared.sums)
    for (const [at, accumulator] of clone.accumulators.entries()) mergeAccumulators(accumulator, shared.sums.accumulators[at] ?? accumulator)
    clone.offsets[0]!.max += 1
    expect(seen(shared.sums)).toEqual(before)
  })
})
