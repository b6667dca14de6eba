import { describe, expect, it } from "vitest"
import { rateHeaders } from "./rateLimits.ts"

describe("rateHeaders", () => {
  it("says what is left in headers", () => {
    const state = { limit: 10, remaining: 6, resetSeconds: 2, retryAfterSeconds: undefined }
    expect(rateHeaders(state)).toEqual({ "ratelimit-limit": "10", "ratelimit-remaining": "6", "ratelimit-reset": "2" })
  })
})
