import { defineProjection } from "@tidemark/domain/definitions/definition"

/** Views and visitors, by referrer host and device class. */
export const trafficSources = defineProjection({
  name: "traffic-sources",
  version: 1,
  handles: [{ type: "page.viewed", upcastTo: 2 }],
  key: { referrerHost: "referrerHost(event.data.referrer)", deviceClass: "deviceClass(event.data.userAgent)" },
  measures: {
    views: { kind: "count" },
    visitors: { kind: "uniques", of: "event.subject" }
  }
})
