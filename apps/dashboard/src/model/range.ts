/**
 * The ranges of the page and the part of its state that lives in the URL. Times are Unix ms UTC. Pure.
 */
import { LISTS } from "./ledgers.ts"
import type { Resolution } from "./answer.ts"
import type { ListName } from "./ledgers.ts"

export type RangeName = "1h" | "24h" | "7d"

export interface RangeSpec {
  readonly name: RangeName
  readonly label: string
  readonly resolution: Resolution
  readonly stepMs: number
  readonly windows: number
  /** One window for figures that cannot be added up, such as distinct visitors. */
  readonly wideResolution: Resolution
  readonly wideStepMs: number
  readonly wideLabel: string
  readonly unit: string
  readonly tickMs: number
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

export const RANGES: Readonly<Record<RangeName, RangeSpec>> = {
  "1h": { name: "1h", label: "Last 60 minutes", resolution: "MINUTE", stepMs: MINUTE_MS, windows: 60, wideResolution: "HOUR", wideStepMs: HOUR_MS, wideLabel: "this hour", unit: "minute", tickMs: 10 * MINUTE_MS },
  "24h": { name: "24h", label: "Last 24 hours", resolution: "HOUR", stepMs: HOUR_MS, windows: 24, wideResolution: "DAY", wideStepMs: DAY_MS, wideLabel: "today", unit: "hour", tickMs: 4 * HOUR_MS },
  "7d": { name: "7d", label: "Last 7 days", resolution: "HOUR", stepMs: HOUR_MS, windows: 168, wideResolution: "DAY", wideStepMs: DAY_MS, wideLabel: "today", unit: "hour", tickMs: DAY_MS }
}

export interface Span {
  readonly fromMs: number
  /** First instant after the newest window. */
  readonly toMs: number
}

/** The windows of `range` that are on screen at `nowMs`; the newest one contains now. */
export const spanAt = (range: RangeSpec, nowMs: number): Span => {
  const toMs = (Math.floor(nowMs / range.stepMs) + 1) * range.stepMs
  return { fromMs: toMs - range.windows * range.stepMs, toMs }
}

/** The one wide window that contains `nowMs`. */
export const wideSpanAt = (range: RangeSpec, nowMs: number): Span => {
  const fromMs = Math.floor(nowMs / range.wideStepMs) * range.wideStepMs
  return { fromMs, toMs: fromMs + range.wideStepMs }
}

/** Axis ticks inside `span`, thinned until they are at least `gapPxMin` apart on `widthPx`. */
export const ticksOf = (range: RangeSpec, span: Span, widthPx: number, gapPxMin = 64): readonly number[] => {
  const pxPerMs = widthPx / (span.toMs - span.fromMs)
  let stepMs = range.tickMs
  while (stepMs * pxPerMs < gapPxMin) stepMs *= 2
  const ticks: number[] = []
  for (let at = Math.ceil(span.fromMs / stepMs) * stepMs; at <= span.toMs; at += stepMs) ticks.push(at)
  return ticks
}

/** The pages: numbers now, how they are made, and what is in none of them. */
export const PAGES = ["home", "projections", "late"] as const
export type PageName = (typeof PAGES)[number]

export interface PageState {
  readonly tenant: string | undefined
  readonly range: RangeName
  readonly page: PageName
  /** The projection whose generations or ledgers are shown. */
  readonly projection: string | undefined
  /** The ledger that is shown. */
  readonly list: ListName
  /** The numbers are those known then, Unix ms; undefined: now. */
  readonly asOfMs: number | undefined
  /** The moment that is held against it, Unix ms. */
  readonly pinMs: number | undefined
}

const isRange = (value: string | null): value is RangeName => value !== null && Object.hasOwn(RANGES, value)

/** Reads the page state from a query string; what is unknown falls back to the default. */
export const parsePageState = (search: string): PageState => {
  const params = new URLSearchParams(search)
  const range = params.get("range")
  const page = PAGES.find((name) => name === params.get("page")) ?? "home"
  const momentOf = (name: string): number | undefined => {
    const atMs = Date.parse(params.get(name) ?? "")
    return Number.isFinite(atMs) ? atMs : undefined
  }
  const list = LISTS.find((name) => name === params.get("list")) ?? "held"
  return { asOfMs: momentOf("asof"), pinMs: momentOf("pin"), tenant: params.get("tenant") ?? undefined, range: isRange(range) ? range : "1h", page, projection: params.get("projection") ?? undefined, list }
}

/** The query string for a page state, with the version of its grammar first. */
export const formatPageState = (state: PageState): string => {
  const params = new URLSearchParams({ v: "1" })
  if (state.tenant !== undefined) params.set("tenant", state.tenant)
  params.set("range", state.range)
  if (state.asOfMs !== undefined) params.set("asof", new Date(state.asOfMs).toISOString())
  if (state.pinMs !== undefined) params.set("pin", new Date(state.pinMs).toISOString())
  if (state.page !== "home") params.set("page", state.page)
  if (state.page !== "home" && state.projection !== undefined) params.set("projection", state.projection)
  if (state.page === "late" && state.list !== "held") params.set("list", state.list)
  return `?${params.toString()}`
}
