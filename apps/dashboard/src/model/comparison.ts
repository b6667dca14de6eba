/**
 * Two moments of the page held against each other: A is pinned, B is what is shown. Pure; times are Unix ms UTC.
 */
import { formatDecimal, formatMoment, formatNumber } from "./format.ts"
import { measureOf } from "./segments.ts"
import { positionTotal } from "./order.ts"
import type { Dimension, Measure, PartitionOffset, WindowState } from "./answer.ts"

/** A generation of a projection and when it was begun. */
export interface Built {
  readonly generation: number
  readonly atMs: number
}

/** Those that were begun within a span, in words. */
export const builtWithin = (built: readonly Built[], fromMs: number, toMs: number, nowMs: number): readonly (Built & { readonly text: string })[] =>
  built.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs).map((one) => ({ ...one, text: `generation ${one.generation} begun ${momentText(one.atMs, nowMs)}` }))

/** What is compared: projections, each with the figures that are shown of it. */
export const COMPARED = {
  "page-views": { label: "Page views", measures: ["views", "visitors"] },
  revenue: { label: "Revenue", measures: ["orders", "amount"] },
  "event-counts": { label: "Events by type", measures: ["events", "users"] },
  "traffic-sources": { label: "Traffic sources", measures: ["views", "visitors"] }
} as const
export type ComparedName = keyof typeof COMPARED

export const isCompared = (name: string): name is ComparedName => Object.hasOwn(COMPARED, name)

/** A window at one of the moments. */
export interface Figures {
  readonly state: WindowState
  readonly events: string
  readonly corrections: string
  readonly measures: readonly Measure[]
}

export interface WindowChange {
  readonly key: readonly Dimension[]
  readonly start: string
  readonly end: string
  /** Null: it was not there. */
  readonly before: Figures | null
  readonly after: Figures | null
}

export interface Moment {
  readonly watermark: string | null
  readonly position: readonly PartitionOffset[]
}

export interface WindowChanges {
  readonly compared: number
  readonly changed: number
  readonly before: Moment
  readonly after: Moment
  readonly changes: readonly WindowChange[]
}

/** The moments in their order: what is pinned may be the later one. `undefined`: now. */
export const inOrder = (pinMs: number, shownMs: number | undefined): { readonly beforeMs: number; readonly afterMs: number | undefined; readonly pinIsLater: boolean } =>
  shownMs !== undefined && shownMs < pinMs ? { beforeMs: shownMs, afterMs: pinMs, pinIsLater: true } : { beforeMs: pinMs, afterMs: shownMs, pinIsLater: false }

/** `12:03:20 UTC`, with its day where that is another one; `now`. */
export const momentText = (atMs: number | undefined, nowMs: number): string => (atMs === undefined ? "now" : `${formatMoment(atMs, nowMs)} UTC`)

/** How many windows changed, and how many records of the log lie between. */
export const changesText = ({ compared, changed, before, after }: WindowChanges): string => {
  const records = positionTotal(after.position) - positionTotal(before.position)
  const between = `${formatDecimal(String(records))} ${records === 1n ? "record" : "records"} of the log between them`
  return compared === 0 ? `Neither moment has a window in this range; ${between}.` : `${formatNumber(changed)} of ${formatNumber(compared)} windows changed; ${between}.`
}

/** One figure at a moment, a dash where the window was not there. */
export const figureText = (figures: Figures | null, measure: string): string => {
  const found = figures === null ? undefined : measureOf(figures, measure)
  if (found === undefined) return "–"
  return `${found.exact ? "" : "≈ "}${found.text === null ? formatNumber(found.value ?? 0) : formatDecimal(found.text)}`
}

/** What happened to the window between the two. */
export const causeText = ({ before, after }: WindowChange): string => {
  if (before === null) return after?.state === "REVISED" ? "new, with late or imported events" : "new"
  if (after === null) return "gone"
  const late = BigInt(after.corrections) - BigInt(before.corrections)
  if (after.state === "REVISED" && (before.state !== "REVISED" || late > 0n)) return before.state === "PROVISIONAL" ? "grew, with late or imported events" : "revised by late or imported events"
  return BigInt(after.events) > BigInt(before.events) ? "grew" : "changed"
}
