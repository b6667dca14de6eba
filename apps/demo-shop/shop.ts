/**
 * A small shop as a stream of events: visitors browse, search, fill carts, pay, and some send an order back.
 *
 * Pure and seeded. Faults are part of it: 2 % late, 0.5 % invalid, retried duplicates.
 */
import type { Random } from "./random.ts"

export interface ShopEvent {
  readonly id: string
  readonly type: string
  /** RFC 3339. */
  readonly time: string
  readonly anonymousId: string
  readonly sessionId: string
  readonly userId?: string
  readonly schemaVersion?: number
  readonly data: Readonly<Record<string, unknown>>
}

export const LATE_SHARE = 0.02
export const INVALID_SHARE = 0.005
export const DUPLICATE_SHARE = 0.01
/** Orders that are sent back, as a share. */
export const REFUND_SHARE = 0.06
/** From the payment to the refund, ms. */
const REFUND_AFTER_MS = { min: 20 * 60_000, span: 180 * 60_000 }
/** A late event is this much older than its neighbours, ms. */
const LATE_BY_MS = { min: 90_000, span: 240_000 }

const PAGES = ["/", "/", "/", "/shoes", "/shoes", "/bags", "/coats", "/sale", "/sale", "/journal", "/about"] as const
const PRODUCTS = [["boot-01", "129.00"], ["boot-02", "149.50"], ["sneaker-07", "89.90"], ["bag-03", "59.00"], ["coat-11", "219.00"], ["scarf-05", "24.95"]] as const
const REFERRERS = [null, null, "https://www.example-search.test/?q=shoes", "https://news.example.test/style", "https://social.example.test/p/1"] as const
const AGENTS = ["Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0", "Mozilla/5.0 (iPad; CPU OS 18_0) Tablet"] as const
const CURRENCIES = ["EUR", "EUR", "EUR", "USD", "GBP"] as const

interface Visit {
  readonly anonymousId: string
  readonly sessionId: string
  readonly userId: string | undefined
  readonly referrer: string | null
  readonly userAgent: string
  readonly currency: string
  stepsLeft: number
  cart: readonly [string, string] | undefined
}

const newVisit = (random: Random, serial: number): Visit => ({
  anonymousId: `visitor-${random.below(900)}`,
  sessionId: `session-${serial}`,
  userId: random.chance(0.35) ? `customer-${random.below(300)}` : undefined,
  referrer: random.pick(REFERRERS),
  userAgent: random.pick(AGENTS),
  currency: random.pick(CURRENCIES),
  stepsLeft: 2 + random.below(9),
  cart: undefined
})

interface Made {
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  readonly schemaVersion?: number
}

interface Refund {
  readonly dueMs: number
  readonly visit: Visit
  readonly data: Readonly<Record<string, unknown>>
}

const INVALID: Made = { type: "page.viewed", data: { page: 404, durationMs: "slow" }, schemaVersion: 2 }
const VISITS_AT_ONCE = 25

/** The shop's next event, one a call; calls come in the order of time. */
export const makeShop = (random: Random, idPrefix: string) => {
  const visits: Visit[] = []
  const refunds: Refund[] = []
  let serial = 0

  const step = (visit: Visit, atMs: number): Made => {
    const chance = random.next()
    if (visit.cart !== undefined && chance < 0.35) {
      const [productId, amount] = visit.cart
      const order = { orderId: `order-${idPrefix}-${serial}`, amount, currency: visit.currency }
      if (random.chance(REFUND_SHARE)) refunds.push({ dueMs: atMs + REFUND_AFTER_MS.min + random.below(REFUND_AFTER_MS.span), visit: { ...visit, cart: undefined }, data: order })
      visit.cart = undefined
      return { type: "order.paid", data: { ...order, productId } }
    }
    if (chance < 0.45) {
      const product = random.pick(PRODUCTS)
      if (random.chance(0.2)) {
        visit.cart = product
        return { type: "cart.added", data: { productId: product[0], price: product[1], quantity: 1 } }
      }
      return { type: "product.viewed", data: { productId: product[0], price: product[1] } }
    }
    if (chance < 0.49) return { type: "search.performed", data: { query: random.pick(["boots", "red bag", "winter coat", "gift"]), results: random.below(40) } }
    const data = { page: random.pick(PAGES), durationMs: 400 + Math.floor(random.next() ** 3 * 90_000), referrer: visit.referrer, userAgent: visit.userAgent }
    return { type: "page.viewed", data, schemaVersion: 2 }
  }

  const browse = (atMs: number): readonly [Visit, Made] => {
    if (visits.length < VISITS_AT_ONCE) visits.push(newVisit(random, serial))
    const index = random.below(visits.length)
    const visit = visits[index] ?? newVisit(random, serial)
    visit.stepsLeft -= 1
    if (visit.stepsLeft <= 0) visits.splice(index, 1)
    return [visit, random.chance(INVALID_SHARE) ? INVALID : step(visit, atMs)]
  }

  const sendBack = (atMs: number): readonly [Visit, Made] | undefined => {
    const index = refunds.findIndex(({ dueMs }) => dueMs <= atMs)
    const [due] = index < 0 ? [] : refunds.splice(index, 1)
    return due === undefined ? undefined : [due.visit, { type: "order.refunded", data: due.data }]
  }

  const next = (atMs: number): ShopEvent => {
    serial += 1
    const [visit, made] = sendBack(atMs) ?? browse(atMs)
    const lateMs = random.chance(LATE_SHARE) ? LATE_BY_MS.min + random.below(LATE_BY_MS.span) : 0
    return {
      id: `${idPrefix}-${serial}`,
      type: made.type,
      time: new Date(atMs - lateMs).toISOString(),
      anonymousId: visit.anonymousId,
      sessionId: visit.sessionId,
      ...(visit.userId === undefined ? {} : { userId: visit.userId }),
      ...(made.schemaVersion === undefined ? {} : { schemaVersion: made.schemaVersion }),
      data: made.data
    }
  }
  return { next }
}
