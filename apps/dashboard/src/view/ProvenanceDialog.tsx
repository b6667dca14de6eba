/** The four answers behind a number: as of when, final or not, from which generation, from which events. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { seriesOptions } from "../data/questions.ts"
import { formatClockSeconds, formatDecimal, formatNumber, formatWindow } from "../model/format.ts"
import { positionTotal } from "../model/order.ts"
import { RANGES, spanAt, wideSpanAt } from "../model/range.ts"
import { chartPoints, measureOf } from "../model/segments.ts"
import { completenessText } from "../model/figures.ts"
import { Failure } from "./Panel.tsx"
import { SidePanel } from "./SidePanel.tsx"
import { stateText } from "./stateText.ts"
import { MergedWindow, WindowEvents } from "./WindowEvents.tsx"
import type { Api } from "../data/graphql.ts"
import type { Series } from "../model/answer.ts"
import type { ChartPoint } from "../model/segments.ts"
import type { Subject } from "./provenance.ts"

interface DialogProps {
  readonly api: Api
  readonly subject: Subject
  readonly openedAtMs: number
  readonly close: () => void
}

const Facts = ({ series, points }: { readonly series: Series; readonly points: readonly ChartPoint[] }) => {
  const events = points.reduce((sum, point) => sum + BigInt(point.point.events), 0n)
  return (
    <dl className="facts">
      <dt>As of</dt>
      <dd>#{formatDecimal(String(positionTotal(series.position)))}<small>{series.position.map((entry) => `${entry.partition}/${entry.offset}`).join("  ")}</small></dd>
      <dt>Complete to</dt>
      <dd>{series.watermark === null ? "no watermark yet" : `${formatClockSeconds(Date.parse(series.watermark))} UTC`}</dd>
      <dt>State</dt>
      <dd>{completenessText(points)}<small>{points.length} {points.length === 1 ? "window" : "windows"} with data</small></dd>
      <dt>Generation</dt>
      <dd>{series.generation}<small>projection {series.projection}</small></dd>
      <dt>Events</dt>
      <dd>{formatDecimal(String(events))}</dd>
    </dl>
  )
}

interface WindowsProps {
  readonly points: readonly ChartPoint[]
  readonly measure: string
  readonly watermark: string | null
  readonly chosenMs: number | undefined
  readonly choose: (startMs: number) => void
}

const Windows = ({ points, measure, watermark, chosenMs, choose }: WindowsProps) => (
  <>
    <h3>Which window?</h3>
    <div className="window-list" role="group" aria-label="Windows, newest first">
      {points.toReversed().map((point) => (
        <button key={point.startMs} type="button" aria-pressed={point.startMs === chosenMs} onClick={() => choose(point.startMs)}>
          <span>{formatWindow(point.startMs, point.endMs)}</span>
          <strong>{measureOf(point.point, measure)?.text ?? formatNumber(point.value)}</strong>
          <small>{stateText(point.state, point.point, watermark)}</small>
        </button>
      ))}
    </div>
  </>
)

/** Merged windows have no row of their own: their parts have. */
const Proof = (props: Parameters<typeof MergedWindow>[0]) =>
  props.question.key.length === 0 ? <MergedWindow key={props.question.start} {...props} /> : <WindowEvents {...props} />

const Body = ({ api, subject, openedAtMs }: Omit<DialogProps, "close">) => {
  const { question, measure, key } = subject
  const query = useQuery(seriesOptions(api, question))
  const range = RANGES[question.range]
  const span = question.wide ? wideSpanAt(range, openedAtMs) : spanAt(range, openedAtMs)
  const [picked, setPicked] = useState<number>()
  // What was clicked is explained as it stood then: live changes would part the figures from the number above them.
  const [series, hold] = useState(query.data)
  if (series === undefined && query.data !== undefined) hold(query.data)
  if (series === undefined) return query.error === null ? <div className="skeleton proof-skeleton" role="status" aria-label="Loading" /> : <Failure error={query.error} retry={query.refetch} />
  const wanted = question.where?.map((dimension) => dimension.value) ?? []
  const groups = series.groups.filter((group) => group.key.length === 0 || wanted.length === 0 || group.key.some((dimension) => wanted.includes(dimension.value)))
  const points = groups.flatMap((group) => chartPoints(group.points, measure, series.watermark, span.fromMs, span.toMs)).toSorted((a, b) => a.startMs - b.startMs)
  const about = subject.startMs === undefined ? points : points.filter((point) => point.startMs === subject.startMs)
  const newestComplete = points.findLast((point) => point.state !== "PROVISIONAL") ?? points.at(-1)
  const chosenMs = subject.startMs ?? picked ?? newestComplete?.startMs
  const chosen = points.find((point) => point.startMs === chosenMs)
  const resolution = question.wide ? range.wideResolution : range.resolution
  return (
    <>
      <Facts series={series} points={about} />
      {subject.startMs === undefined && points.length > 1 ? <Windows points={points} measure={measure} watermark={series.watermark} chosenMs={chosenMs} choose={setPicked} /> : null}
      {chosen === undefined ? <p className="note">No window has data yet.</p> : <Proof api={api} question={{ projection: question.projection, key, start: chosen.point.start, resolution, ...(question.asOfMs === undefined ? {} : { asOfMs: question.asOfMs }) }} measure={measure} point={chosen} />}
    </>
  )
}

export const ProvenanceDialog = (props: DialogProps) => (
  <SidePanel note="Why this number?" title={<>{props.subject.title} <strong>{props.subject.shown}</strong></>} close={props.close}><Body {...props} /></SidePanel>
)
