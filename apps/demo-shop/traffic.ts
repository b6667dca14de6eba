/**
 * When something happens in the shop: one seeded rate for every instant, past or present.
 *
 * Each minute has its own arrivals, drawn from the seed and the minute alone, so that history and live traffic follow
 * the same curve and meet without a seam. Pure; times are Unix ms UTC.
 */
import { makeRandom } from "./random.ts"
import { makeShop } from "./shop.ts"
import type { ShopEvent } from "./shop.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const BUSIEST_PER_MINUTE = 58
/** A minute has this much more or fewer events than the curve says, as a share. */
const SWING = 0.18

/** Share of the busiest minute's traffic: quiet at night, busiest in the afternoon. Continuous over the day. */
export const dayCurve = (atMs: number): number => {
  const hour = (atMs / HOUR_MS) % 24
  return 0.5 + 0.5 * Math.max(0, Math.sin(((hour - 6) / 18) * Math.PI))
}

/** Instants of one minute, counted since 1970, in order. */
const arrivalsOf = (seed: number, minute: number): readonly number[] => {
  const random = makeRandom(Math.imul(seed ^ minute, 0x9e3779b1))
  const swing = 1 - SWING + 2 * SWING * random.next()
  const count = Math.round(BUSIEST_PER_MINUTE * dayCurve(minute * MINUTE_MS) * swing)
  return Array.from({ length: count }, () => minute * MINUTE_MS + random.below(MINUTE_MS)).toSorted((a, b) => a - b)
}

export interface Traffic {
  /** The events since the last call, or since the start, up to but without `toMs`. */
  readonly until: (toMs: number) => readonly ShopEvent[]
}

/** The shop's events from `fromMs` on; the same arguments give the same events. */
export const makeTraffic = (seed: number, fromMs: number): Traffic => {
  const shop = makeShop(makeRandom(seed), `shop-${fromMs}`)
  let reachedMs = fromMs
  const until = (toMs: number): readonly ShopEvent[] => {
    const events: ShopEvent[] = []
    for (let minute = Math.floor(reachedMs / MINUTE_MS); minute * MINUTE_MS < toMs; minute += 1) {
      for (const atMs of arrivalsOf(seed, minute)) if (atMs >= reachedMs && atMs < toMs) events.push(shop.next(atMs))
    }
    reachedMs = Math.max(reachedMs, toMs)
    return events
  }
  return { until }
}
