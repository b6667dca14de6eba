import { describe, expect, it } from "vitest"
import { makeTelemetry } from "./telemetry.ts"

describe("telemetry", () => {
  it("counts what ingest answered and what projections read again, and no time for what was not acknowledged", async () => {
    const telemetry = makeTelemetry("silent")
    telemetry.ingested([{ type: "page.viewed", status: "accepted", count: 3 }], 0.002)
    telemetry.ingested([{ type: "other", status: "failed", count: 2 }], undefined)
    telemetry.ingestAnswered(503, "storage-full")
    telemetry.clockSkew(-2.5)
    telemetry.reread("page-views", 40)
    telemetry.reread("page-views", 2)
    const { text } = await telemetry.expose()
    for (const line of [
      'tidemark_ingest_events_total{type="page.viewed",status="accepted"} 3', 'tidemark_ingest_events_total{type="other",status="failed"} 2',
      'tidemark_ingest_requests_total{status="503",outcome="storage-full"} 1', "tidemark_ingest_ack_seconds_count 1", "tidemark_ingest_clock_skew_seconds -2.5", 'tidemark_projection_reprocessed_total{projection="page-views"} 42'
    ]) expect(text.split("\n")).toContain(line)
  })

  it("tells how a rebuild fares while there is one, and nothing afterwards", async () => {
    const telemetry = makeTelemetry("silent")
    telemetry.rebuilding("revenue", { ratio: 0.25, eventsPerSecond: 900, allowedPerSecond: 1_000 })
    const { text } = await telemetry.expose()
    for (const line of ["progress_ratio{projection=\"revenue\"} 0.25", "events_per_second{projection=\"revenue\"} 900", "allowed_events_per_second{projection=\"revenue\"} 1000"]) expect(text).toContain(`tidemark_rebuild_${line}\n`)
    telemetry.rebuilding("revenue", { ratio: 0.5, eventsPerSecond: undefined, allowedPerSecond: undefined })
    expect((await telemetry.expose()).text).toContain('tidemark_rebuild_allowed_events_per_second{projection="revenue"} +Inf\n')
    telemetry.rebuilding("revenue", undefined)
    expect((await telemetry.expose()).text).not.toMatch(/^tidemark_rebuild_.*revenue/m)
  })
})
