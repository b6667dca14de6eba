import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { shareLanes } from "./laneSharing.ts"

const claims = fc.uniqueArray(fc.record({ member: fc.string({ minLength: 1, maxLength: 4 }), lanes: fc.array(fc.integer({ min: -1, max: 12 }), { maxLength: 12 }) }), { minLength: 1, maxLength: 6, selector: ({ member }) => member })
const lanes = fc.integer({ min: 1, max: 10 })

describe("sharing lanes", () => {
  it("property: gives each lane to exactly one member, evenly, whatever is claimed and in whatever order", () => {
    fc.assert(fc.property(claims, lanes, (given, count) => {
      const shares = [...shareLanes(given, count).values()]
      expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, lane) => lane))
      const sizes = shares.map(({ length }) => length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      expect(shareLanes([...given].reverse(), count)).toEqual(shareLanes(given, count))
    }))
  })

  it("property: a member that joins takes only what it needs, one that leaves moves only its own lanes", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), lanes, (members, count) => {
      const names = Array.from({ length: members }, (_, i) => `m${i}`)
      const before = shareLanes(names.map((member) => ({ member, lanes: [] })), count)
      const claimed = names.map((member) => ({ member, lanes: before.get(member) ?? [] }))
      const joined = shareLanes([...claimed, { member: "new", lanes: [] }], count)
      for (const name of names) expect(before.get(name)).toEqual(expect.arrayContaining([...(joined.get(name) ?? [])]))
      expect(shareLanes(claimed, count)).toEqual(before)
      if (members === 1) return
      const left = shareLanes(claimed.slice(1), count)
      for (const { member, lanes: had } of claimed.slice(1)) expect(left.get(member)).toEqual(expect.arrayContaining([...had]))
    }))
  })

  it("lets one of two members that claim the same lane keep it", () => {
    expect(shareLanes([{ member: "b", lanes: [0, 1] }, { member: "a", lanes: [1] }], 2)).toEqual(new Map([["a", [1]], ["b", [0]]]))
  })
})
