import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { startIngest } from "./harness.ts"
import { rateHeaders } from "./rateLimits.ts"

describe("rateHeaders", () => {
  it("says what is left in headers", () => {
    const state = { limit: 10, remaining: 6, resetSeconds: 2, retryAfterSeconds: undefined }
    expect(rateHeaders(state)).toEqual({ "ratelimit-limit": "10", "ratelimit-remaining": "6", "ratelimit-reset": "2" })
  })
})

describe("limits that are shared with other processes", () => {
  it("count every request and event where there is a service for them, and refuse by its answer", async () => {
    const asked: string[] = []
    let left = 3
    const ingest = await startIngest({ limits: { requestsPerSecond: 7, eventsPerSecond: 9 } }, 1, {
      take: ({ name, capacity }, id, count) => Effect.sync(() => {
        asked.push(`${name} ${capacity} ${id} ${count}`)
        left -= 1
        return { limit: capacity, remaining: 0, resetSeconds: 4, retryAfterSeconds: left < 0 ? 3 : undefined }
      })
    })
    try {
      expect((await ingest.post('[{"type":"a"},{"type":"b"}]')).status).toBe(200)
      const refused = await ingest.post('[{"type":"a"},{"type":"b"},{"type":"c"}]')
      expect(refused).toMatchObject({ status: 429, answer: { code: "rate", limit: 9 } })
      expect(refused.headers.get("retry-after")).toBe("3")
      const id = asked[0]?.split(" ")[2] ?? ""
      expect(asked).toEqual([`ingest-requests 7 ${id} 1`, `ingest-events 9 ${id} 2`, `ingest-requests 7 ${id} 1`, `ingest-events 9 ${id} 3`])
      expect(ingest.events()).toHaveLength(2)
    } finally {
      await ingest.close()
    }
  })
})
