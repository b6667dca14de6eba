/** How a window became what it is: its value against when it was known. */
import { AxisBottom, AxisLeft } from "@visx/axis"
import { scaleLinear } from "@visx/scale"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { lifeOptions } from "../data/past.ts"
import { chaptersOf } from "../model/biography.ts"
import { figureText, momentText } from "../model/comparison.ts"
import { formatClockSeconds, formatCompact, formatNumber } from "../model/format.ts"
import { stateText } from "./stateText.ts"
import { Failure } from "./Panel.tsx"
import { Sized } from "./Sized.tsx"
import type { Api } from "../data/graphql.ts"
import type { WindowQuestion } from "../data/questions.ts"
import type { Chapter } from "../model/biography.ts"

const MARGIN = { top: 8, right: 12, bottom: 24, left: 44 }

const valueOf = ({ figures }: Chapter, measure: string): number => figures.measures.find(({ name }) => name === measure)?.value ?? Number(figures.events)

interface StepsProps {
  readonly chapters: readonly Chapter[]
  readonly measure: string
  readonly nowMs: number
  readonly width: number
  readonly height: number
}

/** Known at, from left to right; each step lasts until the next. */
const Steps = ({ chapters, measure, nowMs, width, height }: StepsProps) => {
  const [widthPx, heightPx] = [Math.max(10, width - MARGIN.left - MARGIN.right), Math.max(10, height - MARGIN.top - MARGIN.bottom)]
  const first = chapters[0]?.atMs ?? nowMs
  const x = scaleLinear<number>({ domain: [first, Math.max(nowMs, first + 1)], range: [0, widthPx] })
  const y = scaleLinear<number>({ domain: [0, Math.max(1, ...chapters.map((chapter) => valueOf(chapter, measure))) * 1.15], range: [heightPx, 0] })
  const places = chapters.map((chapter) => ({ title: chapter.title, left: x(chapter.atMs ?? nowMs), top: y(valueOf(chapter, measure)) }))
  const path = places.map(({ left, top }, at) => (at === 0 ? `M${left},${top}` : `H${left}V${top}`)).join("") + `H${widthPx}`
  return (
    <svg width={width} height={height} aria-hidden="true" className="time-chart">
      <g transform={`translate(${MARGIN.left},${MARGIN.top})`} className="series-1">
        <path className="line" d={path} />
        {places.map(({ title, left, top }, at) => (title === "revised" ? <path key={at} className="revised" d={`M${left},${top - 8}l5,8h-10z`} /> : <circle key={at} className={title === "opened" || title === "grew" ? "dot hollow" : "dot"} cx={left} cy={top} r={3.5} />))}
        <AxisLeft scale={y} numTicks={3} hideAxisLine hideTicks tickFormat={(value) => formatCompact(Number(value))} tickLabelProps={{ className: "tick", textAnchor: "end", dx: -4, dy: 4 }} />
        <AxisBottom scale={x} top={heightPx} numTicks={Math.max(2, Math.floor(widthPx / 120))} axisLineClassName="axis" hideTicks tickFormat={(value) => formatClockSeconds(Number(value))} tickLabelProps={{ className: "tick", textAnchor: "middle", dy: 2 }} />
      </g>
    </svg>
  )
}

const TITLES: Readonly<Record<Chapter["title"], string>> = { opened: "opened", grew: "grew", final: "became final", revised: "was revised", changed: "changed" }

const Chapters = ({ chapters, measure, shownMs, nowMs }: { readonly chapters: readonly Chapter[]; readonly measure: string; readonly shownMs: number | undefined; readonly nowMs: number }) => (
  <ol className="chapters" aria-label="How it became what it is">
    {chapters.map((chapter) => (
      <li key={chapter.atMs ?? "shown"}>
        <time>{chapter.atMs === undefined || chapter.atMs === shownMs ? `by ${momentText(chapter.atMs, nowMs)}` : momentText(chapter.atMs, nowMs)}</time>
        <strong>{figureText(chapter.figures, measure)}</strong>
        <span>{TITLES[chapter.title]} · {formatNumber(Number(chapter.figures.events))} {chapter.figures.events === "1" ? "event" : "events"} · {stateText(chapter.figures.state, chapter.figures, null)}</span>
      </li>
    ))}
  </ol>
)

const Life = ({ api, question, measure }: LifeProps) => {
  const query = useQuery(lifeOptions(api, question))
  const life = query.data
  if (life === undefined) return query.error === null ? <div className="skeleton proof-skeleton" role="status" aria-label="Asking what was known when" /> : <Failure error={query.error} retry={query.refetch} />
  const chapters = chaptersOf(life?.samples ?? [])
  const nowMs = question.asOfMs ?? Date.now()
  if (chapters.length === 0) return <p className="note">Nothing was known of this window before.</p>
  return (
    <>
      <p className="axis-name">{measure}, by <strong>known at</strong>, UTC</p>
      <div className="life-chart"><Sized>{(size) => <Steps chapters={chapters} measure={measure} nowMs={nowMs} {...size} />}</Sized></div>
      <Chapters chapters={chapters} measure={measure} shownMs={question.asOfMs} nowMs={nowMs} />
      {life?.partial === true ? <p className="note">It has more events than were looked at; steps between them may be missing.</p> : null}
    </>
  )
}

interface LifeProps {
  readonly api: Api
  readonly question: WindowQuestion
  readonly measure: string
}

/** Asked for when somebody wants to see it: it reads the window's events, and the window at several moments. */
export const WindowLife = (props: LifeProps) => {
  const [shown, setShown] = useState(false)
  return (
    <>
      <h3 className="life-head"><button type="button" className="small" aria-expanded={shown} onClick={() => setShown(!shown)}>How it became what it is</button></h3>
      {shown ? <Life {...props} /> : null}
    </>
  )
}
