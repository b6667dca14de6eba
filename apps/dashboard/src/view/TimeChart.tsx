/**
 * One measure over time, with what is known about its completeness. Draws points it is given.
 *
 * Hover or arrow keys move a cursor from window to window; click or Enter asks why.
 */
import { AxisBottom, AxisLeft } from "@visx/axis"
import { GridRows } from "@visx/grid"
import { Group } from "@visx/group"
import { scaleLinear } from "@visx/scale"
import { useId, useState } from "react"
import { formatCompact, formatNumber, formatTick, formatWindow } from "../model/format.ts"
import { ticksOf } from "../model/range.ts"
import { summaryOf } from "../model/segments.ts"
import { Sized } from "./Sized.tsx"
import { stateText } from "./stateText.ts"
import { FillingLabel, Hatch, middleOf, RevisedMarks, Runs, WatermarkBand } from "./timeChartMarks.tsx"
import type { KeyboardEvent, PointerEvent } from "react"
import type { RangeSpec, Span } from "../model/range.ts"
import type { ChartPoint } from "../model/segments.ts"
import type { PlotScales } from "./timeChartMarks.tsx"

export interface TimeChartProps {
  readonly title: string
  readonly range: RangeSpec
  readonly span: Span
  readonly points: readonly ChartPoint[]
  /** The same windows as they were known at another moment, drawn grey behind; none when absent. */
  readonly ghost?: readonly ChartPoint[]
  readonly watermark: string | null
  readonly generation: number
  readonly nowMs: number
  readonly nowLabel: string
  readonly onWhy: (point: ChartPoint) => void
}

const MARGIN = { top: 26, right: 34, bottom: 26, left: 44 }

const scalesOf = (span: Span, points: readonly ChartPoint[], widthPx: number, heightPx: number): PlotScales => {
  const max = Math.max(4, ...points.map((point) => point.value))
  return {
    x: scaleLinear<number>({ domain: [span.fromMs, span.toMs], range: [0, widthPx] }),
    y: scaleLinear<number>({ domain: [0, max * 1.12], range: [heightPx, 0], nice: 4 }),
    widthPx,
    heightPx
  }
}

const nearest = (points: readonly ChartPoint[], atMs: number): number | undefined => {
  let best: number | undefined
  let distance = Infinity
  for (const [index, point] of points.entries()) {
    const away = Math.abs(middleOf(point) - atMs)
    if (away < distance) [best, distance] = [index, away]
  }
  return best
}

const step = (key: string, current: number | undefined, count: number): number | undefined => {
  const last = count - 1
  if (key === "ArrowLeft") return Math.max(0, (current ?? count) - 1)
  if (key === "ArrowRight") return Math.min(last, (current ?? last - 1) + 1)
  if (key === "Home") return 0
  return key === "End" ? last : undefined
}

interface PlotProps extends TimeChartProps {
  readonly width: number
  readonly height: number
  readonly active: number | undefined
  readonly setActive: (index: number | undefined) => void
}

const Plot = (props: PlotProps) => {
  const { points, ghost, span, range, width, height, watermark, nowMs, nowLabel, active, setActive, onWhy } = props
  const hatchId = useId()
  const widthPx = Math.max(10, width - MARGIN.left - MARGIN.right)
  const heightPx = Math.max(10, height - MARGIN.top - MARGIN.bottom)
  const scales = scalesOf(span, ghost === undefined ? points : [...points, ...ghost], widthPx, heightPx)
  const point = active === undefined ? undefined : points[active]
  const move = (event: PointerEvent<SVGRectElement>): void => {
    const left = event.currentTarget.getBoundingClientRect().left
    setActive(nearest(points, scales.x.invert(event.clientX - left)))
  }
  return (
    <>
      <svg width={width} height={height} className="time-chart" aria-hidden="true">
        <Hatch id={hatchId} className="hatch" />
        <Group left={MARGIN.left} top={MARGIN.top}>
          <GridRows scale={scales.y} width={widthPx} numTicks={4} className="grid" stroke="currentColor" />
          <WatermarkBand watermarkMs={watermark === null ? undefined : Date.parse(watermark)} nowMs={nowMs} nowLabel={nowLabel} scales={scales} />
          {ghost === undefined ? null : <g className="ghost"><Runs points={ghost} scales={scales} hatchId={hatchId} /></g>}
          <g className="series-1"><Runs points={points} scales={scales} hatchId={hatchId} /><RevisedMarks points={points} scales={scales} /></g>
          <FillingLabel points={points} scales={scales} />
          <AxisLeft scale={scales.y} numTicks={4} hideAxisLine hideTicks tickFormat={(value) => formatCompact(Number(value))} tickLabelProps={{ className: "tick", textAnchor: "end", dx: -4, dy: 4 }} />
          <AxisBottom scale={scales.x} top={heightPx} tickValues={[...ticksOf(range, span, widthPx)]} axisLineClassName="axis" hideTicks tickFormat={(value) => formatTick(Number(value), range.tickMs)} tickLabelProps={{ className: "tick", textAnchor: "middle", dy: 2 }} />
          {point === undefined ? null : (
            <g>
              <line className="cursor" x1={scales.x(middleOf(point))} x2={scales.x(middleOf(point))} y1={0} y2={heightPx} />
              <circle className="cursor-dot series-1" cx={scales.x(middleOf(point))} cy={scales.y(point.value)} r={4.5} />
            </g>
          )}
          <rect className="catcher" width={widthPx} height={heightPx} onPointerMove={move} onPointerLeave={() => setActive(undefined)} onClick={() => point !== undefined && onWhy(point)} />
        </Group>
      </svg>
      {point === undefined ? null : <Tooltip point={point} left={MARGIN.left + scales.x(middleOf(point))} width={width} watermark={watermark} generation={props.generation} />}
    </>
  )
}

interface TooltipProps {
  readonly point: ChartPoint
  readonly left: number
  readonly width: number
  readonly watermark: string | null
  readonly generation: number
}

const TOOLTIP_PX = 210

const Tooltip = ({ point, left, width, watermark, generation }: TooltipProps) => (
  <div className="tooltip" style={{ left: left + TOOLTIP_PX + 12 > width ? Math.max(0, left - TOOLTIP_PX - 12) : left + 12 }}>
    <strong>{formatNumber(point.value)}</strong>
    <span>{formatWindow(point.startMs, point.endMs)}</span>
    <span>{stateText(point.state, point.point, watermark)}</span>
    <span className="muted">{formatNumber(Number(point.point.events))} events · generation {generation}</span>
    <span className="muted">Click or Enter: why?</span>
  </div>
)

/** The chart with its summary sentence and keyboard cursor. */
export const TimeChart = (props: TimeChartProps) => {
  const [active, setActive] = useState<number>()
  const { points, watermark } = props
  const summaryId = useId()
  const point = active === undefined ? undefined : points[active]
  const press = (event: KeyboardEvent): void => {
    if (event.key === "Escape") setActive(undefined)
    if (event.key === "Enter" && point !== undefined) props.onWhy(point)
    const next = step(event.key, active, points.length)
    if (next === undefined || points.length === 0) return
    event.preventDefault()
    setActive(next)
  }
  return (
    <div className="chart-box">
      <p id={summaryId} className="summary">{summaryOf(props.title, points, formatNumber)}</p>
      <div className="chart" tabIndex={0} role="group" aria-roledescription="chart" aria-label={`${props.title}. Arrow keys move from window to window, Enter asks why.`} aria-describedby={summaryId} onKeyDown={press} onBlur={() => setActive(undefined)}>
        <Sized>{({ width, height }) => <Plot {...props} width={width} height={height} active={active} setActive={setActive} />}</Sized>
      </div>
      <p className="visually-hidden" aria-live="polite">
        {point === undefined ? "" : `${formatWindow(point.startMs, point.endMs)}: ${formatNumber(point.value)}, ${stateText(point.state, point.point, watermark)}`}
      </p>
    </div>
  )
}
