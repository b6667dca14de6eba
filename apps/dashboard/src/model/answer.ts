/**
 * The shapes of the GraphQL answers the page draws. Counts and offsets are decimal strings; times are RFC 3339 UTC.
 */
export type WindowState = "PROVISIONAL" | "FINAL" | "REVISED"

export type Resolution = "MINUTE" | "HOUR" | "DAY"

export interface Measure {
  readonly name: string
  readonly value: number | null
  /** Exact decimal, where the measure has one. */
  readonly text: string | null
  readonly exact: boolean
  /** Absolute, in the measure's unit; null when exact. */
  readonly errorBound: number | null
}

export interface Dimension {
  readonly name: string
  readonly value: string
}

export interface PartitionOffset {
  readonly partition: number
  readonly offset: string
}

export interface SeriesPoint {
  readonly start: string
  readonly end: string
  readonly state: WindowState
  readonly revision: string
  readonly corrections: string
  readonly events: string
  readonly measures: readonly Measure[]
}

export interface SeriesGroup {
  readonly key: readonly Dimension[]
  readonly points: readonly SeriesPoint[]
}

/** What every answer says about itself. */
export interface AnswerStamp {
  readonly projection: string
  readonly generation: number
  readonly pointerVersion: number
  readonly watermark: string | null
  readonly position: readonly PartitionOffset[]
}

export interface Series extends AnswerStamp {
  readonly groups: readonly SeriesGroup[]
}

export interface SeriesChange extends Series {
  readonly kind: "RESYNC" | "UPSERT"
}

export interface TopRow {
  readonly value: string
  readonly measure: Measure
  readonly events: string
}

export interface Top extends AnswerStamp {
  readonly rows: readonly TopRow[]
}

export interface LoggedEvent {
  readonly id: string
  readonly type: string
  readonly time: string
  readonly receivedAt: string
  readonly partition: number
  readonly offset: string
  readonly userId: string | null
  readonly anonymousId: string | null
  readonly backfill: string | null
  readonly data: unknown
}

export interface EventPage {
  readonly edges: readonly { readonly node: LoggedEvent }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

/** An event behind a number, and how late it was. */
export interface ProofEdge {
  readonly node: LoggedEvent
  /** Null when it came in time. `releasedAt`: offset of the record that released it, when it had been held. */
  readonly late: { readonly byMs: number; readonly releasedAt: string | null } | null
}

export interface WindowProof extends Omit<AnswerStamp, "projection"> {
  readonly state: WindowState
  readonly revision: string
  readonly corrections: string
  readonly events: string
  readonly fingerprint: string
  readonly why: {
    readonly expectedEvents: string
    readonly foundEvents: string
    readonly fingerprintMatches: boolean
    readonly events: { readonly edges: readonly ProofEdge[]; readonly pageInfo: EventPage["pageInfo"] }
  }
}
