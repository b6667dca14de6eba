import { describe, expect, it } from "vitest"
import { FAILPOINTS } from "@tidemark/infra-wiring/failpoints"
import { CAMPAIGN_POINTS, failpointsOf } from "./campaignPoints.ts"
import { SeededRandom } from "./random.ts"

describe("the failpoints of a campaign", () => {
  it("are places that the server has", () => {
    expect(CAMPAIGN_POINTS.map(({ place }) => place).filter((place) => !FAILPOINTS.includes(place))).toEqual([])
  })

  it.each([1, 2, 3, 11])("of 100 starts arm a third and come to every place as often as to any other, seed %i", (seed) => {
    const drawn = failpointsOf(new SeededRandom(seed), 100)
    const armed = drawn.filter((failpoint) => failpoint !== undefined)
    expect(drawn).toHaveLength(100)
    expect([33, 34]).toContain(armed.length)
    const counts = CAMPAIGN_POINTS.map(({ place }) => armed.filter((failpoint) => failpoint.startsWith(`${place}:`)).length)
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(5)
    expect(Math.max(...counts)).toBeLessThanOrEqual(6)
    expect(failpointsOf(new SeededRandom(seed), 100)).toEqual(drawn)
  })
})
