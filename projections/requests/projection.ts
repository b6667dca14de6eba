import { defineProjection } from "@tidemark/domain/definitions/definition"

/** Requests, bytes and clients, by path and status. */
export const requests = defineProjection({
  name: "requests",
  version: 1,
  handles: [{ type: "http.request" }],
  key: { path: "event.data.path", status: "event.data.status" },
  measures: {
    requests: { kind: "count" },
    bytes: { kind: "sum", of: "event.data.bytes", scale: 0 },
    clients: { kind: "uniques", of: "event.data.ip" }
  }
})
