import { defineProjection } from "@tidemark/domain/definitions/definition"

/** Orders, amount and refunds, by currency. */
export const revenue = defineProjection({
  name: "revenue",
  version: 1,
  handles: [{ type: "order.paid" }, { type: "order.refunded" }],
  key: { currency: "event.data.currency" },
  measures: {
    orders: { kind: "count", where: "event.type == 'order.paid'" },
    amount: { kind: "sum", of: "event.data.amount", negateWhere: "event.type == 'order.refunded'", required: true },
    refunds: { kind: "sum", of: "event.data.amount", where: "event.type == 'order.refunded'" }
  }
})
