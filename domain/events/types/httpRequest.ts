import { NATURAL, payload, TEXT, TEXT_OR_NULL } from "./eventType.ts"
import type { EventTypeVersion } from "./eventType.ts"

const FIELDS = {
  ip: TEXT,
  method: TEXT_OR_NULL,
  path: TEXT_OR_NULL,
  query: TEXT_OR_NULL,
  status: { type: "integer", minimum: 100, maximum: 999 },
  bytes: { ...NATURAL, type: ["integer", "null"] },
  referrer: TEXT_OR_NULL,
  userAgent: TEXT_OR_NULL
}
const REQUIRED = ["ip", "status"]

/** One line of an access log. A `-` of the log is null; `path` is without the query string. */
export const httpRequestV1: EventTypeVersion = {
  type: "http.request",
  version: 1,
  schema: payload(FIELDS, REQUIRED),
  fixtures: [
    {
      ip: "203.0.113.9", method: "GET", path: "/images/logo.gif", query: "v=2", status: 200, bytes: 5_120,
      referrer: "https://example.org/", userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1)"
    },
    { ip: "2001:db8::7", method: "GET", path: "/", query: null, status: 304, bytes: null, referrer: null, userAgent: null },
    { ip: "host.example.org", method: null, path: null, query: null, status: 400, bytes: 0, referrer: null, userAgent: null }
  ]
}

/** The same with the virtual host that answered, `name:port`; absent where the log does not say. */
export const httpRequestV2: EventTypeVersion = {
  type: "http.request",
  version: 2,
  schema: payload({ ...FIELDS, vhost: TEXT_OR_NULL }, REQUIRED),
  fixtures: [
    {
      vhost: "www.example.org:443", ip: "203.0.113.9", method: "GET", path: "/images/logo.gif", query: "v=2", status: 200, bytes: 5_120,
      referrer: "https://example.org/", userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1)"
    },
    { ip: "2001:db8::7", method: "GET", path: "/", query: null, status: 304, bytes: null, referrer: null, userAgent: null },
    { vhost: null, ip: "host.example.org", method: null, path: null, query: null, status: 400, bytes: 0, referrer: null, userAgent: null }
  ]
}
