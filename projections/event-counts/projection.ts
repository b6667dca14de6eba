import { defineProjection } from "@tidemark/domain/definitions/definition"

/** Events and users, by event type. */
export const eventCounts = defineProjection({
  name: "event-counts",
  version: 1,
  handles: [{ type: "*" }],
  key: { type: "event.type" },
  measures: {
    events: { kind: "count" },
    users: { kind: "uniques", of: "event.subject" }
  }
})
