/**
 * The numbers of the tiles, made from the windows on screen. Pure.
 */
import { formatAmount, formatErrorBound, formatNumber, sumDecimals } from "./format.ts"
import { chartPoints, measureOf } from "./segments.ts"
import type { Series } from "./answer.ts"
import type { ChartPoint } from "./segments.ts"

export interface Figure {
  readonly text: string
  /** Stands before the text, smaller; absent for plain counts. */
  readonly unit?: string
  /** `±12` for estimates, else empty. */
  readonly bound: string
  readonly exact: boolean
  readonly points: readonly ChartPoint[]
}

const NONE: Figure = { text: "–", bound: "", exact: true, points: [] }

/** Sum of a count over the windows of the span, all groups together. */
export const countFigure = (series: Series | undefined, measure: string, fromMs: number, toMs: number): Figure => {
  if (series === undefined) return NONE
  const byStart = new Map<number, ChartPoint>()
  for (const group of series.groups) {
    for (const point of chartPoints(group.points, measure, series.watermark, fromMs, toMs)) {
      const known = byStart.get(point.startMs)
      byStart.set(point.startMs, known === undefined ? point : { ...known, value: known.value + point.value, state: worseOf(known, point) })
    }
  }
  const points = [...byStart.values()].toSorted((a, b) => a.startMs - b.startMs)
  if (points.length === 0) return NONE
  return { text: formatNumber(points.reduce((sum, point) => sum + point.value, 0)), bound: "", exact: true, points }
}

const worseOf = (a: ChartPoint, b: ChartPoint): ChartPoint["state"] =>
  a.state === "PROVISIONAL" || b.state === "PROVISIONAL" ? "PROVISIONAL" : a.state === "REVISED" ? a.state : b.state

/** The newest window's own value: for figures that cannot be added up, such as distinct visitors. */
export const windowFigure = (series: Series | undefined, measure: string, fromMs: number, toMs: number): Figure => {
  const points = chartPoints(series?.groups[0]?.points ?? [], measure, series?.watermark ?? null, fromMs, toMs)
  const newest = points.at(-1)
  const found = newest === undefined ? undefined : measureOf(newest.point, measure)
  if (newest === undefined || found === undefined) return NONE
  return { text: `${found.exact ? "" : "≈ "}${formatNumber(Math.round(newest.value))}`, bound: formatErrorBound(found.exact ? null : found.errorBound), exact: found.exact, points }
}

export interface Money {
  readonly currency: string
  /** Amount with its currency. */
  readonly text: string
  /** The amount alone. */
  readonly amount: string
}

/** Exact revenue by currency over the span, largest first. Amounts of different currencies are never added. */
export const moneyFigures = (series: Series | undefined, fromMs: number, toMs: number): readonly Money[] => {
  const sums = (series?.groups ?? []).flatMap((group) => {
    const points = chartPoints(group.points, "amount", series?.watermark ?? null, fromMs, toMs)
    if (points.length === 0) return []
    const sum = sumDecimals(points.map((point) => measureOf(point.point, "amount")?.text ?? String(point.value)))
    return [{ currency: group.key[0]?.value ?? "", sum }]
  })
  return sums.toSorted((a, b) => Number(b.sum) - Number(a.sum)).map(({ currency, sum }) => ({ currency, text: formatAmount(currency, sum), amount: formatAmount("", sum).trim() }))
}

/** `all final`, or how many windows are still filling and how many were revised. */
export const completenessText = (points: readonly ChartPoint[]): string => {
  const filling = points.filter((point) => point.state === "PROVISIONAL").length
  const revised = points.filter((point) => point.state === "REVISED").length
  if (points.length === 0) return "no data yet"
  const parts = [filling > 0 ? `${filling} still filling` : "", revised > 0 ? `${revised} revised` : ""].filter((part) => part !== "")
  return parts.length === 0 ? "all final" : parts.join(", ")
}
