/** Prometheus metrics. One count per batch; no tenant, user or key in a label. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client"

export interface Metrics {
  readonly ingestEvents: Counter<"type" | "status">
  readonly ingestRequests: Counter<"status" | "outcome">
  readonly ingestAckSeconds: Histogram
  readonly ingestClockSkew: Gauge
  readonly projectionLagEvents: Gauge<"projection" | "generation" | "partition">
  readonly projectionWatermarkGapSeconds: Gauge<"projection">
  readonly projectionLateEvents: Gauge<"projection">
  readonly projectionDeadLetters: Gauge<"projection">
  readonly projectionFlushSeconds: Histogram
  readonly projectionReprocessed: Counter<"projection">
  readonly conservationError: Gauge
  readonly auditWindows: Gauge
  readonly auditRowsDiffering: Gauge
  readonly auditSkipped: Gauge<"reason">
  readonly querySeconds: Histogram<"operation">
  readonly resultCache: Counter<"operation" | "outcome">
  readonly subscriptionClients: Gauge
  readonly outboxAgeSeconds: Gauge
  readonly searchAgeSeconds: Gauge
  readonly rebuildProgress: Gauge<"projection">
  readonly rebuildEventsPerSecond: Gauge<"projection">
  readonly rebuildAllowed: Gauge<"projection">
  /** Text exposition of everything above and of the process. */
  readonly expose: () => Promise<{ readonly contentType: string; readonly text: string }>
}

const ACK_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** A registry of its own, so that several servers in one process do not share counts. */
export const makeMetrics = (): Metrics => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) => new Gauge<L>({ name, help, labelNames: [...labelNames], registers })
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) => new Counter<L>({ name, help, labelNames: [...labelNames], registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, labelNames: [...labelNames], buckets: ACK_BUCKETS_SECONDS, registers })
  return {
    ingestEvents: counter("tidemark_ingest_events_total", "Events answered at ingest, by outcome", ["type", "status"]),
    ingestRequests: counter("tidemark_ingest_requests_total", "Requests answered at ingest, by HTTP status and by ok or the code of their problem", ["status", "outcome"]),
    ingestClockSkew: gauge("tidemark_ingest_clock_skew_seconds", "Clock of ingest minus the log's, as far as an append proves it; beyond 2 s either way ingest is unready"),
    ingestAckSeconds: histogram("tidemark_ingest_ack_seconds", "Time from request to durable acknowledgement"),
    projectionLagEvents: gauge("tidemark_projection_lag_events", "Records of the log not yet folded", ["projection", "generation", "partition"]),
    projectionWatermarkGapSeconds: gauge("tidemark_projection_watermark_gap_seconds", "Now minus the lowest watermark", ["projection"]),
    projectionLateEvents: gauge("tidemark_projection_late_events_total", "Late events, applied and held", ["projection"]),
    projectionDeadLetters: gauge("tidemark_projection_dead_letters_total", "Accepted events that could not be folded", ["projection"]),
    projectionFlushSeconds: histogram("tidemark_projection_flush_seconds", "Duration of a flush"),
    projectionReprocessed: counter("tidemark_projection_reprocessed_total", "Records read again after a take-over: below the checkpoint for want of the index, or folded before a commit that failed", ["projection"]),
    conservationError: gauge("tidemark_conservation_error", "Records not accounted for; must be 0"),
    auditWindows: gauge("tidemark_audit_windows", "Windows the background audit has recomputed since the start"),
    auditRowsDiffering: gauge("tidemark_audit_rows_differing", "Of these, windows that differ from what is stored; must be 0"),
    auditSkipped: gauge("tidemark_audit_windows_skipped", "Windows the background audit has picked and not recomputed since the start, by reason", ["reason"]),
    querySeconds: histogram("tidemark_query_seconds", "Duration of a GraphQL operation", ["operation"]),
    resultCache: counter("tidemark_query_cache_total", "Questions asked of the result cache, by outcome: hit or miss", ["operation", "outcome"]),
    subscriptionClients: gauge("tidemark_subscription_clients", "Open WebSocket connections"),
    outboxAgeSeconds: gauge("tidemark_outbox_age_seconds", "How long the oldest commit has waited for its hints to be published"),
    searchAgeSeconds: gauge("tidemark_search_age_seconds", "How long the oldest commit has waited for its documents in the search engine; 0 where this process does not publish them"),
    rebuildProgress: gauge("tidemark_rebuild_progress_ratio", "Share of the log that a rebuild has folded, of those this process carries out", ["projection"]),
    rebuildEventsPerSecond: gauge("tidemark_rebuild_events_per_second", "What it folds, over the last 10 s", ["projection"]),
    rebuildAllowed: gauge("tidemark_rebuild_allowed_events_per_second", "What it may fold, by its cap and what it gives way to; +Inf: all it can", ["projection"]),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() })
  }
}
