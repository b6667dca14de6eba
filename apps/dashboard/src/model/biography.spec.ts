import { describe, expect, it } from "vitest"
import { chaptersOf, momentsOf } from "./biography.ts"
import type { KnownEvent, Sample } from "./biography.ts"

const event = (receivedAtMs: number, more: Partial<KnownEvent> = {}): KnownEvent => ({ receivedAtMs, corrects: false, byHand: false, ...more })
const sample = (atMs: number | undefined, events: number, state: "PROVISIONAL" | "FINAL" | "REVISED", corrections = 0): Sample =>
  ({ atMs, figures: { state, events: String(events), corrections: String(corrections), measures: [] } })

describe("the life of a window", () => {
  it("is asked about at the receipt of its first and last event and of its corrections, each time once, oldest first", () => {
    expect(momentsOf([event(5), event(1), event(5), event(3)], 10)).toEqual([1, 3, 5])
    expect(momentsOf([], 10)).toEqual([])
    const many = [...Array.from({ length: 500 }, (_, at) => event(at)), ...Array.from({ length: 100 }, (_, at) => event(10_000 + at, { corrects: true })), event(20_000, { byHand: true, corrects: true })]
    const moments = momentsOf(many, 10)
    expect([moments.length, moments[0], moments.at(-1), moments.includes(499), moments.includes(10_000), moments.includes(20_000)]).toEqual([10, 0, 10_099, true, true, false])
    expect(moments).toEqual([...moments].sort((a, b) => a - b))
  })

  it("has a step for each change and none for what stays the same", () => {
    const chapters = chaptersOf([{ atMs: 0, figures: null }, sample(1, 1, "PROVISIONAL"), sample(2, 5, "PROVISIONAL"), sample(3, 5, "PROVISIONAL"), sample(4, 5, "FINAL"), sample(5, 6, "REVISED", 1), sample(6, 7, "REVISED", 2), sample(undefined, 7, "REVISED", 2)])
    expect(chapters.map(({ atMs, title }) => [atMs, title])).toEqual([[1, "opened"], [2, "grew"], [4, "final"], [5, "revised"], [6, "revised"]])
    expect(chaptersOf([{ atMs: 1, figures: null }])).toEqual([])
  })
})
