/** What the server is given by its entry: settings, telemetry, surroundings. */

/** What one process does. */
export type Role = "ingest" | "projector" | "api" | "replay" | "alerts" | "dashboard"

/** Settings with their defaults filled in. */
export interface ServerSettings {
  readonly roles: ReadonlySet<Role>
  /** Other processes share the engines: nobody knows of all events that are appended. */
  readonly shared: boolean
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  readonly dataDir: string
  readonly demo: boolean
  /** Threads that fold a rebuild, at most one a lane. */
  readonly rebuildThreads: number
  /** Rebuilds that run at once, those of other processes included. */
  readonly rebuildsMax: number
  /** A replaced generation is kept, and folded, for so long. */
  readonly standbyMs: number
  /** Memory to know the live events of 24 hours by, bytes. */
  readonly dedupeBytesMax: number
  /** Keys of tenant `default` given by hand. */
  readonly keys: { readonly write: string | undefined; readonly read: string | undefined; readonly admin: string | undefined }
}

type LogLine = (fields: Readonly<Record<string, unknown>>, message: string) => void

/** Figures read from the stores for a scrape. */
export interface Figures {
  readonly lag: readonly { readonly projection: string; readonly generation: number; readonly partition: number; readonly events: number }[]
  readonly projections: readonly {
    readonly projection: string
    readonly watermarkGapSeconds: number | undefined
    readonly lateEvents: number
    readonly deadLetters: number
  }[]
  readonly conservationFaults: number
}

export interface Telemetry {
  readonly log: { readonly info: LogLine; readonly warn: LogLine; readonly error: LogLine }
  /** Events of one answered request; `ackSeconds` undefined when they failed. */
  readonly ingested: (counts: readonly { readonly type: string; readonly status: string; readonly count: number }[], ackSeconds: number | undefined) => void
  /** One answered request of ingest: HTTP status, and "ok" or the code of its problem. */
  readonly ingestAnswered: (status: number, outcome: string) => void
  readonly queried: (operation: string, seconds: number) => void
  /** A question to the result cache. */
  readonly cacheAsked: (operation: string, hit: boolean) => void
  readonly sockets: (delta: 1 | -1) => void
  /** Clock of ingest minus the log's, as far as an append proves it. */
  readonly clockSkew: (seconds: number) => void
  readonly flushed: (durationMs: number) => void
  /** Records of the log that a projection reads again after a take-over. */
  readonly reread: (projection: string, records: number) => void
  /** Windows the background audit has recomputed, how many of them differ from what is stored, and those it skipped, by reason. */
  readonly audited: (figures: { readonly windows: number; readonly differing: number; readonly skipped: Readonly<Record<string, number>> }) => void
  readonly observe: (figures: Figures) => void
  /** How a rebuild fares that this process carries out; undefined once it no longer does. `ratio`: 0 to 1. */
  readonly rebuilding: (projection: string, figures: { readonly ratio: number; readonly eventsPerSecond: number | undefined; readonly allowedPerSecond: number | undefined } | undefined) => void
  /** How the outbox's age is read for each scrape, ms. */
  readonly watchOutbox: (ageMs: (nowMs: number) => number) => void
  /** The same of what the search engine waits for. */
  readonly watchSearch: (ageMs: (nowMs: number) => number) => void
  readonly expose: () => Promise<{ readonly contentType: string; readonly text: string }>
}

const LOOPBACK = new Set(["127.0.0.1", "localhost", "::1"])

export const isLoopback = (host: string): boolean => LOOPBACK.has(host)
