/** The key figures. Each is a button that answers "why?". */
import { completenessText, countFigure, moneyFigures, windowFigure } from "../model/figures.ts"
import { Failure } from "./Panel.tsx"
import { useProvenance } from "./provenance.ts"
import { Sparkline } from "./Sparkline.tsx"
import type { SeriesQuestion } from "../data/questions.ts"
import type { Series } from "../model/answer.ts"
import type { Figure } from "../model/figures.ts"
import type { RangeSpec, Span } from "../model/range.ts"
import type { ChartPoint } from "../model/segments.ts"
import type { Answering } from "./Panel.tsx"

export interface Asked {
  readonly query: Answering & { readonly data: Series | undefined }
  readonly question: SeriesQuestion
}

interface TileProps {
  readonly label: string
  readonly scope: string
  readonly figure: Figure
  readonly asked: Asked
  readonly measure: string
  readonly spark: readonly ChartPoint[]
  readonly span: Span
  readonly colour: number
  readonly detail?: string
}

const Tile = ({ label, scope, figure, asked, measure, spark, span, colour, detail }: TileProps) => {
  const explain = useProvenance()
  const { query, question } = asked
  if (query.isPending && query.error === null) return <article className="tile skeleton" role="status" aria-label={`Loading ${label}`} />
  const shown = figure.unit === undefined ? figure.text : `${figure.unit} ${figure.text}`
  const ask = (): void => explain({ title: label, shown, question, measure, key: question.where ?? [] })
  return (
    <article className={query.error === null ? "tile" : "tile outdated-tile"}>
      <h2>{label}</h2>
      <p className="scope">{scope}</p>
      <button type="button" className="figure" onClick={ask} data-why aria-label={`${label}: ${shown} ${figure.bound}. Why?`}>
        {figure.unit === undefined ? null : <small>{figure.unit} </small>}
        {figure.text}
        {figure.bound === "" ? null : <small> {figure.bound}</small>}
      </button>
      {detail === undefined ? null : <p className="tile-note tile-detail" title={detail}>{detail}</p>}
      <p className="tile-note">{completenessText(figure.points)}</p>
      <div className={`tile-spark series-${colour}`}><Sparkline points={spark} span={span} /></div>
      {query.error === null ? null : <Failure error={query.error} retry={query.refetch} />}
    </article>
  )
}

export interface TilesProps {
  readonly views: Asked
  readonly visitors: Asked
  readonly revenue: Asked
  readonly events: Asked
  readonly range: RangeSpec
  readonly span: Span
  readonly wideSpan: Span
}

export const Tiles = ({ views, visitors, revenue, events, range, span, wideSpan }: TilesProps) => {
  const { fromMs, toMs } = span
  const scope = range.label.toLowerCase()
  const viewFigure = countFigure(views.query.data, "views", fromMs, toMs)
  const orderFigure = countFigure(revenue.query.data, "orders", fromMs, toMs)
  const eventFigure = countFigure(events.query.data, "events", fromMs, toMs)
  const visitorFigure = windowFigure(visitors.query.data, "visitors", wideSpan.fromMs, wideSpan.toMs)
  const visitorSpark = windowFigure(views.query.data, "visitors", fromMs, toMs).points
  const money = moneyFigures(revenue.query.data, fromMs, toMs)
  const [main] = money
  const mainGroup = revenue.query.data?.groups.find((group) => group.key[0]?.value === main?.currency)
  const moneySpark = revenue.query.data === undefined || mainGroup === undefined ? [] : countFigure({ ...revenue.query.data, groups: [mainGroup] }, "amount", fromMs, toMs).points
  const moneyFigure: Figure = { text: main?.amount ?? "–", ...(main === undefined ? {} : { unit: main.currency }), bound: "", exact: true, points: moneySpark }
  const moneyAsked: Asked = mainGroup === undefined ? revenue : { ...revenue, question: { ...revenue.question, where: mainGroup.key } }
  const others = money.slice(1).map((sum) => sum.text).join(", ")
  return (
    <div className="tiles">
      <Tile label="Page views" scope={scope} figure={viewFigure} asked={views} measure="views" spark={viewFigure.points} span={span} colour={1} />
      <Tile label="Visitors" scope={`${range.wideLabel}, distinct`} figure={visitorFigure} asked={visitors} measure="visitors" spark={visitorSpark} span={span} colour={4} />
      <Tile label="Orders" scope={scope} figure={orderFigure} asked={revenue} measure="orders" spark={orderFigure.points} span={span} colour={2} />
      <Tile label="Events" scope={scope} figure={eventFigure} asked={events} measure="events" spark={eventFigure.points} span={span} colour={3} />
      <Tile label="Revenue" scope={scope} figure={moneyFigure} asked={moneyAsked} measure="amount" spark={moneySpark} span={span} colour={5} {...(others === "" ? {} : { detail: `+ ${others}` })} />
    </div>
  )
}
