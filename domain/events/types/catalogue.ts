import type { EventTypeVersion } from "./eventType.ts"
import { httpRequestV1, httpRequestV2 } from "./httpRequest.ts"
import { orderPaidV1, orderRefundedV1 } from "./orders.ts"
import { pageViewedV1, pageViewedV2 } from "./pageViewed.ts"
import { cartAddedV1, checkoutStartedV1, productViewedV1, searchPerformedV1, userSignedUpV1 } from "./shop.ts"

/** Every schema version of the event types that ship. */
export const eventTypes: readonly EventTypeVersion[] = [
  pageViewedV1, pageViewedV2, httpRequestV1, httpRequestV2, orderPaidV1, orderRefundedV1,
  productViewedV1, cartAddedV1, checkoutStartedV1, searchPerformedV1, userSignedUpV1
]
