/** The log as it grows: newest first, still while somebody reads. */
import { useEffect, useRef, useState } from "react"
import { formatMoment, formatNumber, formatPayload } from "../model/format.ts"
import { waitingCount } from "../model/tail.ts"
import { EventJourney } from "./EventJourney.tsx"
import { Failure, Panel } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { LoggedEvent } from "../model/answer.ts"
import type { Live } from "./live.ts"

const SCROLLED_PX = 24

const EventRow = ({ api, event }: { readonly api: Api; readonly event: LoggedEvent }) => {
  const [open, setOpen] = useState(false)
  return (
    <li className={open ? "event open" : "event"}>
      <button type="button" className="event-line" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time dateTime={event.time}>{formatMoment(Date.parse(event.time), Date.parse(event.receivedAt))}</time>
        <span className="event-type"><bdi>{event.type}</bdi>{event.backfill === null ? null : <em className="chip">import</em>}</span>
        <span className="event-data"><bdi>{formatPayload(event.data)}</bdi></span>
        <span className="event-position">{event.partition}/{event.offset}</span>
      </button>
      {open ? <EventJourney api={api} event={event} /> : null}
      {open ? <pre className="event-json" tabIndex={0}>{JSON.stringify({ id: event.id, time: event.time, receivedAt: event.receivedAt, userId: event.userId, anonymousId: event.anonymousId, data: event.data }, null, 2)}</pre> : null}
    </li>
  )
}

const PauseButton = ({ live }: { readonly live: Live }) => (
  <button type="button" className="small" aria-pressed={live.paused} onClick={live.togglePause}>
    {live.paused ? "Resume" : "Pause"} <kbd>Space</kbd>
  </button>
)

const ImportsButton = ({ live }: { readonly live: Live }) => <button type="button" className="small" aria-pressed={live.importsShown} onClick={live.toggleImports}>Show imports</button>

const Empty = ({ live }: { readonly live: Live }) => (
  <div className="empty fill">
    {live.anySeen ? <p>The latest events were all imported; “Show imports” lists them. The next live event appears here the moment it is stored.</p> : <p>The log is empty. The first event appears here the moment it is stored.</p>}
  </div>
)

export const EventTail = ({ api, live }: { readonly api: Api; readonly live: Live }) => {
  const list = useRef<HTMLDivElement>(null)
  const { tail, holdTail } = live
  const waiting = waitingCount(tail)
  const show = (): void => {
    if (list.current !== null) list.current.scrollTop = 0
    if (live.paused) live.togglePause()
    else holdTail(false)
  }
  useEffect(() => {
    const box = list.current
    if (box === null) return undefined
    const scroll = (): void => holdTail(box.scrollTop > SCROLLED_PX)
    box.addEventListener("scroll", scroll, { passive: true })
    return () => box.removeEventListener("scroll", scroll)
  }, [holdTail])
  return (
    <Panel className="wide" title="Live events" note="Straight from the log · time in UTC · partition/offset" actions={<><ImportsButton live={live} /><PauseButton live={live} /></>}>
      <div className="tail-wrap">
        {waiting > 0 ? <button type="button" className="waiting" onClick={show}>{formatNumber(waiting)} new – show</button> : null}
        <div className="tail" ref={list} tabIndex={0} role="region" aria-label="Live events">
          {!live.tailKnown && live.tailError === null && tail.rows.length === 0 ? <div className="skeleton fill" role="status" aria-label="Loading" /> : null}
          {live.tailError === null || tail.rows.length > 0 ? null : <Failure error={live.tailError} retry={() => location.reload()} />}
          {live.tailKnown && tail.rows.length === 0 ? <Empty live={live} /> : null}
          <ol>{tail.rows.map((event) => <EventRow key={`${event.partition}/${event.offset}`} api={api} event={event} />)}</ol>
        </div>
      </div>
    </Panel>
  )
}
