/** Scalars and enums of the schema. */
import { formatRfc3339, parseRfc3339 } from "@tidemark/domain/time/rfc3339"
import { GraphQLError, GraphQLScalarType, Kind } from "graphql"
import { registerEnumType } from "type-graphql"

const readTime = (value: unknown): number => {
  const ms = typeof value === "string" ? parseRfc3339(value) : undefined
  if (ms === undefined) throw new GraphQLError("DateTime takes RFC 3339 text, such as 2026-01-31T12:00:00.000Z", { extensions: { code: "BAD_ARGUMENT" } })
  return ms
}

/** Inside the program: Unix ms. */
export const DateTime = new GraphQLScalarType<number, string>({
  name: "DateTime",
  description: "RFC 3339, UTC, with milliseconds.",
  serialize: (value) => formatRfc3339(Number(value)),
  parseValue: readTime,
  parseLiteral: (node) => readTime(node.kind === Kind.STRING ? node.value : undefined)
})

export const Json = new GraphQLScalarType<unknown, unknown>({
  name: "JSON",
  description: "Any JSON value.",
  serialize: (value) => value,
  parseValue: (value) => value
})

export enum Resolution {
  MINUTE = "minute",
  HOUR = "hour",
  DAY = "day"
}

export enum WindowState {
  PROVISIONAL = "PROVISIONAL",
  FINAL = "FINAL",
  REVISED = "REVISED"
}

export enum ProjectionState {
  LIVE = "LIVE",
  PAUSED = "PAUSED",
  HALTED = "HALTED"
}

export enum SeriesChangeKind {
  RESYNC = "RESYNC",
  UPSERT = "UPSERT"
}

export enum EventOutcome {
  FOLDED = "FOLDED",
  APPLIED = "APPLIED",
  HELD = "HELD",
  DUPLICATE = "DUPLICATE",
  DEAD_LETTER = "DEAD_LETTER",
  FILTERED = "FILTERED",
  PENDING = "PENDING",
  UNCOVERED = "UNCOVERED"
}

export enum TimeFlag {
  CORRECTED = "corrected",
  CLAMPED = "clamped"
}

export enum LateOutcome {
  APPLIED = "applied",
  HELD = "held"
}

registerEnumType(Resolution, { name: "Resolution", description: "Length of a window. MINUTE names the shortest ones of a projection, which are a minute long unless its definition says otherwise." })
registerEnumType(WindowState, { name: "WindowState", description: "Provisional until the watermark passes the end of the window; revised when late or imported events changed it." })
registerEnumType(ProjectionState, { name: "ProjectionState", description: "Halted projections stop at a record and say why; paused ones go on when somebody resumes them. They skip nothing." })
registerEnumType(SeriesChangeKind, { name: "SeriesChangeKind", description: "RESYNC replaces the whole series; UPSERT holds the changed points." })
registerEnumType(EventOutcome, {
  name: "EventOutcome",
  description: "What a projection made of an event.",
  valuesConfig: {
    FOLDED: { description: "Counted, in time." },
    APPLIED: { description: "Counted as a correction: late, or released by hand." },
    HELD: { description: "Too late to be counted by itself; kept aside." },
    DUPLICATE: { description: "The same event is in the log before it." },
    DEAD_LETTER: { description: "It could not be folded." },
    FILTERED: { description: "Of no concern to this projection." },
    PENDING: { description: "Not reached yet." },
    UNCOVERED: { description: "It lies before the first record that this generation reads." }
  }
})
registerEnumType(TimeFlag, { name: "TimeFlag", description: "Why the time is not the one that was sent: corrected by the client's clock, or clamped because it lay ahead of its receipt." })
export enum LateReason {
  AFTER_CLOSE = "AFTER_CLOSE",
  AFTER_REVISION = "AFTER_REVISION",
  EXPIRED = "EXPIRED"
}

export enum LateVerdict {
  APPLY = "apply",
  APPLIED = "applied",
  EXPIRED = "expired",
  UNKNOWN = "unknown"
}

registerEnumType(LateReason, {
  name: "LateReason",
  description: "Why an event is in the late ledger.",
  valuesConfig: {
    AFTER_CLOSE: { description: "Its minute had closed." },
    AFTER_REVISION: { description: "Its minute had closed so long ago that the projection does not revise it by itself: see reviseWithinMs." },
    EXPIRED: { description: "Its window had been dropped by retention." }
  }
})
registerEnumType(LateVerdict, {
  name: "LateVerdict",
  description: "What a release of an event does.",
  valuesConfig: {
    APPLY: { description: "It is held, and is counted." },
    APPLIED: { description: "It counts already; nothing is appended." },
    EXPIRED: { description: "Retention has dropped its window; nothing is appended." },
    UNKNOWN: { description: "The late ledger has no such event; nothing is appended." }
  }
})
export enum RedriveVerdict {
  APPEND = "append",
  DUPLICATE = "duplicate",
  DONE = "done",
  REJECTED = "rejected",
  FAILED = "failed",
  UNSETTLED = "unsettled",
  UNKNOWN = "unknown"
}

registerEnumType(RedriveVerdict, {
  name: "RedriveVerdict",
  description: "What becomes of a refused event that is sent again.",
  valuesConfig: {
    APPEND: { description: "It is taken." },
    DUPLICATE: { description: "The log has an event of its id already; nothing is counted twice." },
    DONE: { description: "It was sent again before; nothing is appended." },
    REJECTED: { description: "It is refused again; nothing is appended." },
    FAILED: { description: "The log did not take it, or did not say. Do it again: it counts once." },
    UNSETTLED: { description: "An earlier try broke off longer ago than repetitions are told apart. Look whether the log has the event; if not, send it as a new one." },
    UNKNOWN: { description: "The rejected log has no such entry." }
  }
})
registerEnumType(LateOutcome, { name: "LateOutcome", description: "Counted as a correction, or kept aside." })
