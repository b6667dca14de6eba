import { defineProjection } from "@tidemark/domain/definitions/definition"

/** Views, visitors and time on page, by page. */
export const pageViews = defineProjection({
  name: "page-views",
  version: 1,
  handles: [{ type: "page.viewed", upcastTo: 2 }],
  key: { page: "event.data.page" },
  measures: {
    views: { kind: "count" },
    visitors: { kind: "uniques", of: "event.subject" },
    duration: { kind: "quantiles", of: "event.data.durationMs" }
  }
})
