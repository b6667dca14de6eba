/** A chart the size of a word; decoration beside a number that is written out. */
import { runsOf } from "../model/segments.ts"
import type { ChartPoint } from "../model/segments.ts"
import type { Span } from "../model/range.ts"

const WIDTH = 120
const HEIGHT = 32

/** A window alone between gaps becomes a dot. */
const pathOf = (points: readonly ChartPoint[], span: Span, min: number, max: number): string =>
  points.map((point, index) => {
    const x = (((point.startMs + point.endMs) / 2 - span.fromMs) / (span.toMs - span.fromMs)) * WIDTH
    const y = HEIGHT - 2 - ((point.value - min) / (max - min)) * (HEIGHT - 4)
    return `${index === 0 ? "M" : "L"}${x.toFixed(1)},${y.toFixed(1)}`
  }).join("") + (points.length === 1 ? "h0.01" : "")

export const Sparkline = ({ points, span }: { readonly points: readonly ChartPoint[]; readonly span: Span }) => {
  const max = Math.max(1, ...points.map((point) => point.value))
  const min = Math.min(0, ...points.map((point) => point.value))
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {runsOf(points).map((run) => (
        <path key={`${run.points[0]?.startMs}-${String(run.provisional)}`} d={pathOf(run.points, span, min, max)} className={run.points.length === 1 ? "line alone" : run.provisional ? "line dashed" : "line"} />
      ))}
    </svg>
  )
}
