import { describe, expect, it } from "vitest"
import { makeRandom } from "./random.ts"
import { makeShop } from "./shop.ts"
import { dayCurve, makeTraffic } from "./traffic.ts"

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DAY_START_MS = 1_700_006_400_000

const events = (seed: number, count: number) => {
  const shop = makeShop(makeRandom(seed), "demo")
  return Array.from({ length: count }, (_, index) => shop.next(1_700_000_000_000 + index * 50))
}

describe("the demo shop", () => {
  it("is the same for the same seed and another for another", () => {
    expect(events(7, 500)).toEqual(events(7, 500))
    expect(events(8, 500)).not.toEqual(events(7, 500))
  })

  it("sells, refunds a few of what was paid, and never the same order twice", () => {
    const stream = makeTraffic(7, DAY_START_MS).until(DAY_START_MS + DAY_MS)
    const paid = new Map(stream.filter(({ type }) => type === "order.paid").map(({ data }) => [data["orderId"], data]))
    const refunds = stream.filter(({ type }) => type === "order.refunded")
    expect(paid.size).toBeGreaterThan(1_000)
    expect(refunds.length / paid.size).toBeGreaterThan(0.03)
    expect(refunds.length / paid.size).toBeLessThan(0.09)
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

  it("follows the day without a jump, and never stands still", () => {
    const curve = Array.from({ length: 24 * 60 }, (_, minute) => dayCurve(minute * 60_000))
    expect(Math.min(...curve)).toBeGreaterThanOrEqual(0.5)
    expect(Math.max(...curve)).toBeLessThanOrEqual(1)
    expect(dayCurve(15 * HOUR_MS)).toBeGreaterThan(dayCurve(3 * HOUR_MS))
    for (const [minute, share] of curve.entries()) expect(Math.abs(share - (curve[(minute + 1) % curve.length] ?? 0))).toBeLessThan(0.01)
  })

  it("brings 40 to 60 events a minute on average, and no minute far from its neighbours", () => {
    const stream = makeTraffic(7, DAY_START_MS).until(DAY_START_MS + DAY_MS)
    expect(stream.length / (24 * 60)).toBeGreaterThan(40)
    expect(stream.length / (24 * 60)).toBeLessThan(60)
    const traffic = makeTraffic(7, DAY_START_MS)
    for (let minute = 1; minute <= 24 * 60; minute += 1) {
      const count = traffic.until(DAY_START_MS + minute * 60_000).length
      const expected = 58 * dayCurve(DAY_START_MS + minute * 60_000)
      expect(Math.abs(count - expected) / expected).toBeLessThan(0.22)
    }
  })

  it("brings the same events asked for at once or bit by bit, so that live follows history without a seam", () => {
    const endMs = DAY_START_MS + HOUR_MS
    const whole = makeTraffic(7, DAY_START_MS).until(endMs)
    const traffic = makeTraffic(7, DAY_START_MS)
    const parts = [traffic.until(DAY_START_MS + 1_234_567)]
    for (let atMs = DAY_START_MS + 1_234_567; atMs < endMs; atMs += 977) parts.push(traffic.until(Math.min(endMs, atMs + 977)))
    expect(parts.flat()).toEqual(whole)
    expect(traffic.until(endMs)).toEqual([])
  })
})
