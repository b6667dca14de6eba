/** Metrics and log of one server, as plain calls: apps know neither Prometheus nor the logger. */
import { makeLogger } from "@tidemark/infra-telemetry/log"
import { makeMetrics } from "@tidemark/infra-telemetry/metrics"

/** What is read from the stores when somebody scrapes. */
export interface Figures {
  readonly lag: readonly { readonly projection: string; readonly generation: number; readonly partition: number; readonly events: number }[]
  readonly projections: readonly {
    readonly projection: string
    /** Now minus the lowest watermark; undefined while there is none. */
    readonly watermarkGapSeconds: number | undefined
    readonly lateEvents: number
    readonly deadLetters: number
  }[]
  /** Partitions of generations whose counters do not add up. */
  readonly conservationFaults: number
}

/** Event types that get a label of their own; clients name types, so their number has to be bounded. */
const LABELLED_TYPES_MAX = 100

/** `level`: least severity that is logged. */
export const makeTelemetry = (level: "info" | "warn" | "silent") => {
  const metrics = makeMetrics()
  let readOutboxAgeMs = (_nowMs: number): number => 0
  let readSearchAgeMs = (_nowMs: number): number => 0
  const labelled = new Set<string>()
  const labelOf = (type: string): string => {
    if (labelled.size < LABELLED_TYPES_MAX) labelled.add(type)
    return labelled.has(type) ? type : "other"
  }
  return {
    log: makeLogger(level),
    ingested: (counts: readonly { readonly type: string; readonly status: string; readonly count: number }[], ackSeconds: number | undefined): void => {
      for (const { type, status, count } of counts) metrics.ingestEvents.inc({ type: labelOf(type), status }, count)
      if (ackSeconds !== undefined) metrics.ingestAckSeconds.observe(ackSeconds)
    },
    ingestAnswered: (status: number, outcome: string): void => metrics.ingestRequests.inc({ status: String(status), outcome }),
    queried: (operation: string, seconds: number): void => metrics.querySeconds.observe({ operation }, seconds),
    cacheAsked: (operation: string, hit: boolean): void => metrics.resultCache.inc({ operation, outcome: hit ? "hit" : "miss" }),
    sockets: (delta: 1 | -1): void => metrics.subscriptionClients.inc(delta),
    clockSkew: (seconds: number): void => metrics.ingestClockSkew.set(seconds),
    reread: (projection: string, records: number): void => metrics.projectionReprocessed.inc({ projection }, records),
    flushed: (durationMs: number): void => metrics.projectionFlushSeconds.observe(durationMs / 1_000),
    audited: ({ windows, differing, skipped }: { readonly windows: number; readonly differing: number; readonly skipped: Readonly<Record<string, number>> }): void => {
      metrics.auditWindows.set(windows)
      for (const [reason, count] of Object.entries(skipped)) metrics.auditSkipped.set({ reason }, count)
      metrics.auditRowsDiffering.set(differing)
    },
    observe: ({ lag, projections, conservationFaults }: Figures): void => {
      for (const gauge of [metrics.projectionLagEvents, metrics.projectionWatermarkGapSeconds]) gauge.reset()
      for (const { projection, generation, partition, events } of lag) metrics.projectionLagEvents.set({ projection, generation: String(generation), partition: String(partition) }, events)
      for (const { projection, watermarkGapSeconds, lateEvents, deadLetters } of projections) {
        if (watermarkGapSeconds !== undefined) metrics.projectionWatermarkGapSeconds.set({ projection }, watermarkGapSeconds)
        metrics.projectionLateEvents.set({ projection }, lateEvents)
        metrics.projectionDeadLetters.set({ projection }, deadLetters)
      }
      metrics.conservationError.set(conservationFaults)
    },
    rebuilding: (projection: string, figures: { readonly ratio: number; readonly eventsPerSecond: number | undefined; readonly allowedPerSecond: number | undefined } | undefined): void => {
      if (figures === undefined) {
        for (const gauge of [metrics.rebuildProgress, metrics.rebuildEventsPerSecond, metrics.rebuildAllowed]) gauge.remove({ projection })
        return
      }
      metrics.rebuildProgress.set({ projection }, figures.ratio)
      metrics.rebuildEventsPerSecond.set({ projection }, figures.eventsPerSecond ?? 0)
      metrics.rebuildAllowed.set({ projection }, figures.allowedPerSecond ?? Infinity)
    },
    /** How the outbox's age is read for each scrape, ms. */
    watchOutbox: (ageMs: (nowMs: number) => number): void => {
      readOutboxAgeMs = ageMs
    },
    /** The same of what the search engine waits for. */
    watchSearch: (ageMs: (nowMs: number) => number): void => {
      readSearchAgeMs = ageMs
    },
    expose: () => {
      metrics.outboxAgeSeconds.set(readOutboxAgeMs(Date.now()) / 1_000)
      metrics.searchAgeSeconds.set(readSearchAgeMs(Date.now()) / 1_000)
      return metrics.expose()
    }
  }
}
