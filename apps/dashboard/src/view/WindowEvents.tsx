/** The events behind one window, counted and fingerprinted again by the server. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { whyOptions, windowKeysOptions } from "../data/questions.ts"
import { formatDecimal, formatDuration, formatMoment, formatNumber, formatPayload, formatWindow } from "../model/format.ts"
import { Failure } from "./Panel.tsx"
import { WindowLife } from "./WindowLife.tsx"
import type { Api } from "../data/graphql.ts"
import type { WindowQuestion } from "../data/questions.ts"
import type { ProofEdge, WindowProof } from "../model/answer.ts"
import type { ChartPoint } from "../model/segments.ts"

const Verdict = ({ proof }: { readonly proof: WindowProof }) => {
  const { expectedEvents, foundEvents, fingerprintMatches } = proof.why
  const holds = fingerprintMatches && expectedEvents === foundEvents
  return (
    <p className={holds ? "verdict holds" : "verdict fails"}>
      <span aria-hidden="true">{holds ? "✓" : "!"}</span>
      {formatDecimal(foundEvents)} of {formatDecimal(expectedEvents)} events found, {fingerprintMatches ? "fingerprint matches" : "fingerprint differs: events may be past retention"}
      <code>{proof.fingerprint}</code>
    </p>
  )
}

/** How late an event was, and whether it was counted by hand. */
const LateChip = ({ late, partition }: { readonly late: ProofEdge["late"]; readonly partition: number }) => {
  if (late === null) return null
  const { byMs, releasedAt } = late
  const text = `late ${formatDuration(byMs)}${releasedAt === null ? "" : ", by hand"}`
  return <em className="chip" title={`Its minute had closed ${formatDuration(byMs)} before it came${releasedAt === null ? "" : `; it was held, and counted by the record at ${partition}/${releasedAt}`}`}>{text}</em>
}

const Events = ({ proof }: { readonly proof: WindowProof }) => (
  <ol className="proof-events" tabIndex={0} aria-label="Events behind the number">
    {proof.why.events.edges.map(({ node, late }) => (
      <li key={`${node.partition}/${node.offset}`}>
        <span className="event-position">{node.partition}/{node.offset}</span>
        <time dateTime={node.time}>{formatMoment(Date.parse(node.time), Date.now())}</time>
        <span className="event-type"><bdi>{node.type}</bdi>{node.backfill === null ? null : <em className="chip">import</em>}<LateChip late={late} partition={node.partition} /></span>
        <span className="event-data"><bdi>{formatPayload(node.data)}</bdi></span>
      </li>
    ))}
  </ol>
)

const DIMENSION: Readonly<Record<string, string>> = { "page-views": "page", "event-counts": "type", revenue: "currency" }

interface MergedProps {
  readonly api: Api
  readonly question: WindowQuestion
  readonly measure: string
  readonly point: ChartPoint
}

/** A window over all keys: its parts first, then the events of the chosen part. */
export const MergedWindow = ({ api, question, measure, point }: MergedProps) => {
  const by = DIMENSION[question.projection] ?? "key"
  const query = useQuery(windowKeysOptions(api, question.projection, measure, by, point.startMs, point.endMs, question.asOfMs))
  const [picked, setPicked] = useState<string>()
  const rows = query.data?.rows ?? []
  const value = rows.find((row) => row.value === picked)?.value ?? rows[0]?.value
  return (
    <>
      <h3>Made of these parts, by {by}</h3>
      {query.isPending ? <div className="skeleton proof-skeleton" role="status" aria-label="Loading" /> : null}
      {query.error === null ? null : <Failure error={query.error} retry={query.refetch} />}
      {rows.length === 0 ? null : (
        <div className="window-list parts" role="group" aria-label={`Parts by ${by}`}>
          {rows.map((row) => (
            <button key={row.value} type="button" aria-pressed={row.value === value} onClick={() => setPicked(row.value)}>
              <span className="bar-name"><bdi>{row.value}</bdi></span>
              <strong>{row.measure.exact ? "" : "≈ "}{row.measure.text === null ? formatNumber(row.measure.value ?? 0) : formatDecimal(row.measure.text)}</strong>
            </button>
          ))}
        </div>
      )}
      {value === undefined ? null : <WindowEvents api={api} question={{ ...question, key: [{ name: by, value }] }} measure={measure} point={point} />}
    </>
  )
}

interface EventsProps {
  readonly api: Api
  readonly question: WindowQuestion
  readonly measure: string
  readonly point: Pick<ChartPoint, "startMs" | "endMs">
}

export const WindowEvents = ({ api, question, measure, point }: EventsProps) => {
  const query = useQuery(whyOptions(api, question))
  const proof = query.data
  return (
    <>
      <h3>Events of {question.key.map((dimension) => dimension.value).join(", ")}, {formatWindow(point.startMs, point.endMs)}</h3>
      {query.isPending ? <div className="skeleton proof-skeleton" role="status" aria-label="Reading the log" /> : null}
      {query.error === null ? null : <Failure error={query.error} retry={query.refetch} />}
      {proof === null ? <p className="note">This window has no row of its own.</p> : null}
      {proof === undefined || proof === null ? null : (
        <>
          <Verdict proof={proof} />
          <WindowLife key={question.start} api={api} question={question} measure={measure} />
          <Events proof={proof} />
          {proof.why.events.pageInfo.hasNextPage ? <p className="note">The first {proof.why.events.edges.length} are listed; <code>tidemark why {question.projection}</code> lists all.</p> : null}
        </>
      )}
    </>
  )
}
