import { describe, expect, it } from "vitest"
import { DuplicateTable } from "./duplicateTable.ts"

const HORIZON_MS = 1_000

/** A seeded sequence of 32-bit numbers. */
const numbers = (seed: number) => (): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed
}

describe("DuplicateTable", () => {
  it("answers as a plain map of the last sight does, over many horizons", () => {
    const seed = Date.now() >>> 0
    const next = numbers(seed)
    const table = new DuplicateTable(HORIZON_MS)
    const seenMs = new Map<number, number>()
    for (let step = 0; step < 60_000; step++) {
      const nowMs = Math.floor(step / 10)
      const lo = next() % 20_000
      const last = seenMs.get(lo)
      const expected = last !== undefined && nowMs - last <= HORIZON_MS
      expect(table.has(7, lo, nowMs), `seed ${seed}, step ${step}`).toBe(expected)
      if (expected) continue
      table.add(7, lo, nowMs)
      seenMs.set(lo, nowMs)
    }
  })

  it("keeps its memory under steady traffic once one horizon has passed, whatever the rate", () => {
    for (const perHorizon of [1_500, 2_500, 9_000, 10_400, 13_000, 40_000]) {
      const table = new DuplicateTable(HORIZON_MS)
      const sizes: number[] = []
      for (let event = 0; event < 6 * perHorizon; event++) {
        table.add(event >>> 8, Math.imul(event, 0x9e3779b1), Math.floor((event * HORIZON_MS) / perHorizon))
        if (event % perHorizon === perHorizon - 1) sizes.push(table.bytesWith(0))
      }
      expect(sizes.slice(2), `${perHorizon} events a horizon`).toEqual(sizes.slice(2).map(() => sizes[1]))
    }
  })
})
