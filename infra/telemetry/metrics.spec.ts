import { describe, expect, it } from "vitest"
import { makeMetrics } from "./metrics.ts"

describe("metrics", () => {
  it("expose every name of the reference, with no tenant, user or key in a label", async () => {
    const metrics = makeMetrics()
    metrics.ingestEvents.inc({ type: "page.viewed", status: "accepted" }, 3)
    metrics.conservationError.set(0)
    const { text, contentType } = await metrics.expose()
    expect(contentType).toMatch(/text\/plain/)
    expect(text).toContain('tidemark_ingest_events_total{type="page.viewed",status="accepted"} 3')
    for (const name of ["ingest_requests_total", "ingest_clock_skew_seconds", "ingest_ack_seconds", "projection_lag_events", "projection_watermark_gap_seconds", "projection_late_events_total", "projection_dead_letters_total",
      "projection_flush_seconds", "projection_reprocessed_total", "conservation_error", "audit_windows", "audit_rows_differing", "audit_windows_skipped", "query_seconds", "subscription_clients", "outbox_age_seconds", "search_age_seconds",
      "rebuild_progress_ratio", "rebuild_events_per_second", "rebuild_allowed_events_per_second"]) expect(text).toContain(`# TYPE tidemark_${name} `)
    expect(text.split("\n").filter((line) => line.startsWith("tidemark_")).join("\n")).not.toMatch(/tenant|user|key/)
  })

  it("of two servers in one process are apart", async () => {
    const [one, other] = [makeMetrics(), makeMetrics()]
    one.ingestEvents.inc({ type: "x", status: "accepted" })
    expect((await other.expose()).text).not.toContain('type="x"')
  })
})
