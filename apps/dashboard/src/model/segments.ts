/**
 * What a time chart draws: runs of neighbouring windows, broken where a window has no data. Pure.
 */
import { formatStart } from "./format.ts"
import { stateAt } from "./order.ts"
import type { Measure, SeriesPoint, WindowState } from "./answer.ts"

export interface ChartPoint {
  readonly startMs: number
  readonly endMs: number
  readonly value: number
  readonly state: WindowState
  readonly point: SeriesPoint
}

export interface Run {
  readonly provisional: boolean
  readonly points: readonly ChartPoint[]
}

/** The measure of that name, if the window has it. */
export const measureOf = (point: Pick<SeriesPoint, "measures">, name: string): Measure | undefined => point.measures.find((measure) => measure.name === name)

/** The windows of a span that have a value for `measure`, oldest first, with their state at `watermark`. */
export const chartPoints = (points: readonly SeriesPoint[], measure: string, watermark: string | null, fromMs: number, toMs: number): readonly ChartPoint[] => {
  const drawn: ChartPoint[] = []
  for (const point of points) {
    const startMs = Date.parse(point.start)
    const value = measureOf(point, measure)?.value
    if (startMs < fromMs || startMs >= toMs || value === null || value === undefined) continue
    drawn.push({ startMs, endMs: Date.parse(point.end), value, state: stateAt(point, watermark), point })
  }
  return drawn
}

/**
 * Neighbouring windows in one run; a missing window starts a new one, and so does the step from complete to still
 * filling. A provisional run begins with the complete point before it, so that its dashes join the line.
 */
export const runsOf = (points: readonly ChartPoint[]): readonly Run[] => {
  const runs: { provisional: boolean; points: ChartPoint[] }[] = []
  let previous: ChartPoint | undefined
  for (const point of points) {
    const provisional = point.state === "PROVISIONAL"
    const run = runs.at(-1)
    const joined = previous !== undefined && previous.endMs === point.startMs
    if (run !== undefined && joined && run.provisional === provisional) run.points.push(point)
    else runs.push({ provisional, points: joined && previous !== undefined ? [previous, point] : [point] })
    previous = point
  }
  return runs
}

/** One sentence that says what the chart shows, for people who do not see it. */
export const summaryOf = (title: string, points: readonly ChartPoint[], format: (value: number) => string): string => {
  const peak = points.reduce<ChartPoint | undefined>((best, point) => (best === undefined || point.value > best.value ? point : best), undefined)
  if (peak === undefined) return `${title}: no data in this range.`
  const total = points.reduce((sum, point) => sum + point.value, 0)
  const filling = points.filter((point) => point.state === "PROVISIONAL").length
  const revised = points.filter((point) => point.state === "REVISED").length
  const parts = [`${title}: ${format(total)} in ${points.length} ${points.length === 1 ? "window" : "windows"}, highest ${format(peak.value)} at ${formatStart(peak.startMs, peak.endMs - peak.startMs)} UTC`]
  if (filling > 0) parts.push(`${filling} still filling`)
  if (revised > 0) parts.push(`${revised} revised`)
  return `${parts.join(", ")}.`
}
