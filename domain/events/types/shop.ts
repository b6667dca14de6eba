import { AMOUNT, CURRENCY, NATURAL, payload, TEXT, TEXT_OR_NULL } from "./eventType.ts"
import type { EventTypeVersion } from "./eventType.ts"

/** The page of a product was seen. */
export const productViewedV1: EventTypeVersion = {
  type: "product.viewed",
  version: 1,
  schema: payload({ productId: TEXT, name: TEXT_OR_NULL, category: TEXT_OR_NULL, price: AMOUNT, currency: CURRENCY }, ["productId"]),
  fixtures: [{ productId: "sku-7", name: "Tide clock", category: "clocks", price: "129.00", currency: "EUR" }, { productId: "sku-8" }]
}

/** A product was put in the cart. */
export const cartAddedV1: EventTypeVersion = {
  type: "cart.added",
  version: 1,
  schema: payload({ productId: TEXT, quantity: { ...NATURAL, minimum: 1 }, price: AMOUNT, currency: CURRENCY }, ["productId"]),
  fixtures: [{ productId: "sku-7", quantity: 2, price: 129, currency: "EUR" }, { productId: "sku-8" }]
}

/** A visitor went to the checkout. */
export const checkoutStartedV1: EventTypeVersion = {
  type: "checkout.started",
  version: 1,
  schema: payload({ cartId: TEXT_OR_NULL, items: NATURAL, amount: AMOUNT, currency: CURRENCY }, []),
  fixtures: [{ cartId: "cart_5", items: 3, amount: "387.00", currency: "EUR" }, {}]
}

/** A visitor searched the shop. `results` is how many were found. */
export const searchPerformedV1: EventTypeVersion = {
  type: "search.performed",
  version: 1,
  schema: payload({ query: { type: "string" }, results: NATURAL }, ["query"]),
  fixtures: [{ query: "tide clock", results: 12 }, { query: "" }]
}

/** A visitor became a user. */
export const userSignedUpV1: EventTypeVersion = {
  type: "user.signed_up",
  version: 1,
  schema: payload({ plan: TEXT_OR_NULL, referrer: TEXT_OR_NULL }, []),
  fixtures: [{ plan: "free", referrer: "https://example.org/" }, {}]
}
