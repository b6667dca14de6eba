/** How a rate limit is told to clients. Rules: docs/security.md §4. */
import type { RateState } from "@tidemark/domain/ports/RateLimiter"

/** `RateLimit-*` as clients know them. */
export const rateHeaders = ({ limit, remaining, resetSeconds }: RateState): Readonly<Record<string, string>> => ({
  "ratelimit-limit": String(limit),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(resetSeconds)
})
