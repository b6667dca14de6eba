/** Every event by type: stacked over time, and ranked with its total. */
import { AxisBottom, AxisLeft } from "@visx/axis"
import { Group } from "@visx/group"
import { Bar } from "@visx/shape"
import { scaleLinear } from "@visx/scale"
import { useId } from "react"
import { formatCompact, formatNumber, formatTick } from "../model/format.ts"
import { seriesColour } from "../model/palette.ts"
import { ticksOf } from "../model/range.ts"
import { OTHER, stacksOf } from "../model/stacks.ts"
import { Panel, PanelBody } from "./Panel.tsx"
import { useProvenance } from "./provenance.ts"
import { RankedBars } from "./RankedBars.tsx"
import { Sized } from "./Sized.tsx"
import { Hatch } from "./timeChartMarks.tsx"
import type { SeriesQuestion } from "../data/questions.ts"
import type { Series } from "../model/answer.ts"
import type { RangeSpec, Span } from "../model/range.ts"
import type { Stacks } from "../model/stacks.ts"
import type { Answering } from "./Panel.tsx"

export interface EventTypesProps {
  readonly query: Answering & { readonly data: Series | undefined }
  readonly question: SeriesQuestion
  readonly range: RangeSpec
  readonly span: Span
}

/** CSS pixels; the box in the style sheet has the sum of all heights. */
const HEIGHT = 96
/** Events the scale reaches at least, so that its ticks are whole numbers. */
const COUNT_MIN = 4
const MARGIN = { top: 6, right: 14, bottom: 22, left: 40 } as const

const colourOf = (type: string, index: number): string => (type === OTHER && index === 6 ? seriesColour(6) : seriesColour(index))

const Columns = ({ stacks, totals, range, span, width }: Stacks & Pick<EventTypesProps, "range" | "span"> & { readonly width: number }) => {
  const hatchId = useId()
  const widthPx = Math.max(10, width - MARGIN.left - MARGIN.right)
  const x = scaleLinear<number>({ domain: [span.fromMs, span.toMs], range: [0, widthPx] })
  const y = scaleLinear<number>({ domain: [0, Math.max(COUNT_MIN, ...stacks.map((stack) => stack.total))], range: [HEIGHT, 0], nice: 4 })
  const colours = new Map(totals.map(({ type }, index) => [type, colourOf(type, index)]))
  return (
    <svg width={width} height={MARGIN.top + HEIGHT + MARGIN.bottom} aria-hidden="true">
      <Hatch id={hatchId} className="hatch-over" />
      <Group left={MARGIN.left} top={MARGIN.top}>
        {stacks.map((stack) => {
          const left = x(stack.startMs)
          const barWidth = Math.max(1, x(stack.endMs) - left - 1.5)
          return (
            <g key={stack.startMs}>
              {stack.layers.map((layer) => <Bar key={layer.type} x={left} width={barWidth} y={y(layer.to)} height={Math.max(0.5, y(layer.from) - y(layer.to))} fill={colours.get(layer.type) ?? ""} />)}
              {stack.provisional ? <rect x={left} width={barWidth} y={y(stack.total)} height={HEIGHT - y(stack.total)} fill={`url(#${hatchId})`} /> : null}
            </g>
          )
        })}
        <AxisLeft scale={y} numTicks={2} hideAxisLine hideTicks tickFormat={(value) => formatCompact(Number(value))} tickLabelProps={{ className: "tick", textAnchor: "end", dx: -4, dy: 4 }} />
        <AxisBottom scale={x} top={HEIGHT} tickValues={[...ticksOf(range, span, widthPx)]} axisLineClassName="axis" hideTicks tickFormat={(value) => formatTick(Number(value), range.tickMs)} tickLabelProps={{ className: "tick", textAnchor: "middle", dy: 2 }} />
      </Group>
    </svg>
  )
}

export const EventTypes = ({ query, question, range, span }: EventTypesProps) => {
  const explain = useProvenance()
  const { totals, stacks } = query.data === undefined ? { totals: [], stacks: [] } : stacksOf(query.data, "events", span.fromMs, span.toMs)
  const sum = totals.reduce((total, entry) => total + entry.total, 0)
  const filling = stacks.filter((stack) => stack.provisional).length
  const bars = totals.map(({ type, total }, index) => ({
    name: type,
    value: total,
    colour: colourOf(type, index),
    ...(type === OTHER && index === 6 ? {} : {
      onWhy: () => {
        const key = [{ name: "type", value: type }]
        explain({ title: `Events ${type}`, shown: formatNumber(total), measure: "events", key, question: { projection: "event-counts", measures: ["events"], range: range.name, wide: false, where: key, ...(question.asOfMs === undefined ? {} : { asOfMs: question.asOfMs }) } })
      }
    })
  }))
  return (
    <Panel title="Events by type" note={`Per ${range.unit} · ${range.label.toLowerCase()} · UTC`}>
      <PanelBody query={query} hasData={totals.length > 0} className="body-list" empty={<p>No events in this range. Every accepted event is counted here, whatever its type.</p>}>
        <p className="visually-hidden">{`${formatNumber(sum)} events of ${totals.length} types${filling > 0 ? `, ${filling} windows still filling` : ""}.`}</p>
        <div className="columns"><Sized>{({ width }) => <Columns stacks={stacks} totals={totals} range={range} span={span} width={width} />}</Sized></div>
        <RankedBars bars={bars} label={`Events by type, ${question.range}`} />
      </PanelBody>
    </Panel>
  )
}
