import { NATURAL, payload, TEXT, TEXT_OR_NULL } from "./eventType.ts"
import type { EventTypeVersion } from "./eventType.ts"

/** A page was seen. Time on it in seconds, fractions allowed. */
export const pageViewedV1: EventTypeVersion = {
  type: "page.viewed",
  version: 1,
  schema: payload({ page: TEXT, durationSeconds: { type: ["number", "null"], minimum: 0 } }, ["page"]),
  fixtures: [
    { page: "/" },
    { page: "/pricing", durationSeconds: 12 },
    { page: "/docs/start", durationSeconds: 0.0625 },
    { page: "/blog", durationSeconds: null, theme: "dark" }
  ]
}

/** A page was seen. Time on it in milliseconds; where the visitor came from and with what. */
export const pageViewedV2: EventTypeVersion = {
  type: "page.viewed",
  version: 2,
  schema: payload({ page: TEXT, durationMs: NATURAL, referrer: TEXT_OR_NULL, userAgent: TEXT_OR_NULL }, ["page"]),
  fixtures: [
    { page: "/" },
    { page: "/pricing", durationMs: 12_000, referrer: "https://www.example.org/search?q=tide" },
    { page: "/docs/start", durationMs: 0, referrer: null, userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148" }
  ]
}
