import { describe, expect, it } from "vitest"
import { makeRandom } from "./random.ts"
import { dayCurve, makeShop } from "./shop.ts"

const events = (seed: number, count: number) => {
  const shop = makeShop(makeRandom(seed), "demo")
  return Array.from({ length: count }, (_, index) => shop.next(1_700_000_000_000 + index * 50))
}

describe("the demo shop", () => {
  it("is the same for the same seed and another for another", () => {
    expect(events(7, 500)).toEqual(events(7, 500))
    expect(events(8, 500)).not.toEqual(events(7, 500))
  })

  it("sells, refunds only what was paid, and never the same order twice", () => {
    const stream = events(7, 20_000)
    const paid = new Map(stream.filter(({ type }) => type === "order.paid").map(({ data }) => [data["orderId"], data]))
    const refunds = stream.filter(({ type }) => type === "order.refunded")
    expect(refunds.length).toBeGreaterThan(50)
    expect(new Set(refunds.map(({ data }) => data["orderId"])).size).toBe(refunds.length)
    for (const { data } of refunds) expect(paid.get(data["orderId"])).toMatchObject({ amount: data["amount"], currency: data["currency"] })
  })

  it("has about 2 % late and 0.5 % invalid events, and unique ids", () => {
    const stream = events(7, 20_000)
    const late = stream.filter(({ time }, index) => Date.parse(time) < 1_700_000_000_000 + index * 50 - 60_000)
    expect(late.length / stream.length).toBeGreaterThan(0.015)
    expect(late.length / stream.length).toBeLessThan(0.025)
    const invalid = stream.filter(({ data }) => data["page"] === 404)
    expect(invalid.length / stream.length).toBeGreaterThan(0.003)
    expect(invalid.length / stream.length).toBeLessThan(0.008)
    expect(new Set(stream.map(({ id }) => id)).size).toBe(stream.length)
  })

  it("follows the day, and never stands still", () => {
    const curve = Array.from({ length: 24 }, (_, hour) => dayCurve(hour))
    expect(Math.min(...curve)).toBeGreaterThanOrEqual(0.25)
    expect(Math.max(...curve)).toBeLessThanOrEqual(1)
    expect(curve[15]).toBeGreaterThan(curve[3] ?? 1)
  })
})
