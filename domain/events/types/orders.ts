import { AMOUNT, CURRENCY, payload, TEXT } from "./eventType.ts"
import type { EventTypeVersion } from "./eventType.ts"

const order = payload({ orderId: TEXT, amount: AMOUNT, currency: CURRENCY }, ["orderId", "amount", "currency"])

/** An order was paid. */
export const orderPaidV1: EventTypeVersion = {
  type: "order.paid",
  version: 1,
  schema: order,
  fixtures: [
    { orderId: "ord_91", amount: "40.00", currency: "EUR" },
    { orderId: "ord_92", amount: 19.99, currency: "USD" },
    { orderId: "ord_93", amount: "0.000001", currency: "EUR", coupon: "SPRING" }
  ]
}

/** Money of an order was given back; `amount` is what was given back, not negative. */
export const orderRefundedV1: EventTypeVersion = {
  type: "order.refunded",
  version: 1,
  schema: order,
  fixtures: [
    { orderId: "ord_91", amount: "42.00", currency: "EUR" },
    { orderId: "ord_92", amount: 0.5, currency: "USD" }
  ]
}
