/** The marks of a time chart: runs, filling area, revised triangles, watermark and now. They draw what they are given. */
import { AreaClosed, LinePath } from "@visx/shape"
import { formatClockSeconds } from "../model/format.ts"
import { runsOf } from "../model/segments.ts"
import type { scaleLinear } from "@visx/scale"
import type { ChartPoint } from "../model/segments.ts"

type Scale = ReturnType<typeof scaleLinear<number>>

export interface PlotScales {
  readonly x: Scale
  readonly y: Scale
  readonly widthPx: number
  readonly heightPx: number
}

/** Middle of a window on the x axis, Unix ms. */
export const middleOf = (point: ChartPoint): number => (point.startMs + point.endMs) / 2

/** Hatching for windows that are still filling. */
export const Hatch = ({ id, className }: { readonly id: string; readonly className: string }) => (
  <defs>
    <pattern id={id} width={6} height={6} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <line x1={0} y1={0} x2={0} y2={6} className={className} />
    </pattern>
  </defs>
)

export interface RunsProps {
  readonly points: readonly ChartPoint[]
  readonly scales: PlotScales
  readonly hatchId: string
}

/** Complete windows solid, filling ones dashed over hatching; a missing window breaks the line. */
export const Runs = ({ points, scales, hatchId }: RunsProps) => (
  <>
    {runsOf(points).map((run) => {
      const data = [...run.points]
      const key = `${data[0]?.startMs}-${String(run.provisional)}`
      const x = (point: ChartPoint): number => scales.x(middleOf(point))
      const y = (point: ChartPoint): number => scales.y(point.value)
      const [only] = data
      if (data.length === 1 && only !== undefined) return <circle key={key} cx={x(only)} cy={y(only)} r={3} className={run.provisional ? "dot hollow" : "dot"} />
      return (
        <g key={key}>
          <AreaClosed data={data} x={x} y={y} yScale={scales.y} fill={run.provisional ? `url(#${hatchId})` : "currentColor"} className={run.provisional ? "area filling" : "area"} />
          <LinePath data={data} x={x} y={y} className={run.provisional ? "line dashed" : "line"} />
        </g>
      )
    })}
  </>
)

/** One small triangle above each revised window. */
export const RevisedMarks = ({ points, scales }: Pick<RunsProps, "points" | "scales">) => (
  <>
    {points.filter((point) => point.state === "REVISED").map((point) => {
      const x = scales.x(middleOf(point))
      const y = scales.y(point.value) - 7
      return <path key={point.startMs} className="revised" d={`M${x},${y - 5}l4.5,7h-9z`} />
    })}
  </>
)

export interface WatermarkProps {
  readonly watermarkMs: number | undefined
  readonly nowMs: number
  /** "now", or what the moment is called when it is an earlier one. */
  readonly nowLabel: string
  readonly scales: PlotScales
}

/** Two vertical lines, and a band between them: what happened there may still change. */
export const WatermarkBand = ({ watermarkMs, nowMs, nowLabel, scales }: WatermarkProps) => {
  const nowX = Math.min(scales.widthPx, scales.x(nowMs))
  const markX = watermarkMs === undefined ? undefined : Math.max(0, Math.min(nowX, scales.x(watermarkMs)))
  return (
    <g aria-hidden="true">
      {markX === undefined || watermarkMs === undefined ? null : (
        <>
          <rect className="band" x={markX} y={0} width={nowX - markX} height={scales.heightPx} />
          <line className="watermark" x1={markX} x2={markX} y1={-4} y2={scales.heightPx} />
          <text className="mark-label" x={markX - 5} y={-9} textAnchor="end">complete to {formatClockSeconds(watermarkMs)} UTC</text>
        </>
      )}
      <line className="now" x1={nowX} x2={nowX} y1={-4} y2={scales.heightPx} />
      <text className="mark-label" x={nowX + 4} y={-9}>{nowLabel}</text>
    </g>
  )
}

/** The word "filling" beside the windows that are not complete. */
export const FillingLabel = ({ points, scales }: Pick<RunsProps, "points" | "scales">) => {
  const first = points.find((point) => point.state === "PROVISIONAL")
  if (first === undefined) return null
  return <text className="filling-label" x={scales.x(first.startMs) - 12} y={scales.heightPx - 8} textAnchor="end" aria-hidden="true">filling</text>
}
