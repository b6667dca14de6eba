/** The main chart: page views by window, live. */
import { useState } from "react"
import { chartPoints } from "../model/segments.ts"
import { formatNumber } from "../model/format.ts"
import { Panel, PanelBody, TableToggle } from "./Panel.tsx"
import { useProvenance } from "./provenance.ts"
import { TimeChart } from "./TimeChart.tsx"
import { WindowTable } from "./WindowTable.tsx"
import type { Series } from "../model/answer.ts"
import type { SeriesQuestion } from "../data/questions.ts"
import type { RangeSpec, Span } from "../model/range.ts"
import type { ChartPoint } from "../model/segments.ts"
import type { Answering } from "./Panel.tsx"

export interface PageViewsProps {
  readonly query: Answering & { readonly data: Series | undefined }
  readonly question: SeriesQuestion
  readonly range: RangeSpec
  readonly span: Span
  readonly nowMs: number
  /** As it was known at the pinned moment; undefined when none is pinned, or it is not answered yet. */
  readonly pinned: Series | undefined
}

const Legend = ({ pinned }: { readonly pinned: boolean }) => (
  <span className="legend">
    {pinned ? <span className="key"><i className="swatch ghost" aria-hidden="true" />A</span> : null}
    <span className="key"><i className="swatch solid" aria-hidden="true" />final</span>
    <span className="key"><i className="swatch dashes" aria-hidden="true" />still filling</span>
    <span className="key"><i className="swatch triangle" aria-hidden="true" />revised</span>
  </span>
)

export const PageViews = ({ query, question, range, span, nowMs, pinned }: PageViewsProps) => {
  const [table, setTable] = useState(false)
  const explain = useProvenance()
  const watermark = query.data?.watermark ?? null
  const points = chartPoints(query.data?.groups[0]?.points ?? [], "views", watermark, span.fromMs, span.toMs)
  const ghost = pinned === undefined ? {} : { ghost: chartPoints(pinned.groups[0]?.points ?? [], "views", pinned.watermark, span.fromMs, span.toMs) }
  const why = (point: ChartPoint): void =>
    explain({ title: "Page views", shown: formatNumber(point.value), question, measure: "views", key: [], startMs: point.startMs })
  return (
    <Panel className="wide" title="Page views" note={<>Per {range.unit} · {range.label.toLowerCase()} · by event time, UTC</>} actions={<><Legend pinned={pinned !== undefined} /><TableToggle shown={table} toggle={() => setTable(!table)} /></>}>
      <PanelBody query={query} hasData={points.length > 0} className="body-chart" empty={<p>No page views in this range. Choose a longer range, or send a <code>page.viewed</code> event: it shows here within a second.</p>}>
        {table
          ? <WindowTable points={points} watermark={watermark} measure="Views" onWhy={why} />
          : <TimeChart title="Page views" range={range} span={span} points={points} {...ghost} watermark={watermark} generation={query.data?.generation ?? 0} nowMs={nowMs} nowLabel={question.asOfMs === undefined ? "now" : "then"} onWhy={why} />}
      </PanelBody>
    </Panel>
  )
}
