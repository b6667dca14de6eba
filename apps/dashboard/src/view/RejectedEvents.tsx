/** What ingest refused: why, what to do, and the event as it came. */
import { useState } from "react"
import { formatMoment } from "../model/format.ts"
import { nextStep } from "../model/ledgers.ts"
import type { Rejected } from "../model/ledgers.ts"

const Row = ({ event, nowMs }: { readonly event: Rejected; readonly nowMs: number }) => {
  const [open, setOpen] = useState(false)
  const { eventId, type, code, pointer, detail, origin, receivedAt, body } = event
  return (
    <>
      <tr>
        <th scope="row"><button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)} title="The event as it came"><bdi>{eventId ?? "no id"}</bdi></button><small className="muted"><bdi>{type ?? "no type"}</bdi>{origin === null ? "" : <> · import <bdi>{origin}</bdi></>}</small></th>
        <td><code>{code}</code></td>
        <td data-name="Received, UTC">{formatMoment(Date.parse(receivedAt), nowMs)}</td>
        <td data-name="Where" className="wrap"><code>{pointer === "" ? "–" : pointer}</code></td>
        <td data-name="Why" className="wrap"><bdi>{detail}</bdi></td>
        <td data-name="What to do" className="wrap">{nextStep(event)}</td>
      </tr>
      {open ? <tr className="body-row"><td colSpan={6}><pre className="event-json" tabIndex={0} aria-label="The event as it came">{body}</pre></td></tr> : null}
    </>
  )
}

export const RejectedEvents = ({ events, nowMs }: { readonly events: readonly Rejected[]; readonly nowMs: number }) => (
  <div className="table-box stacked" tabIndex={0} role="region" aria-label="Rejected events">
    <table>
      <thead><tr><th scope="col">Event</th><th scope="col">Code</th><th scope="col">Received, UTC</th><th scope="col">Where</th><th scope="col">Why</th><th scope="col">What to do</th></tr></thead>
      <tbody>{events.map((event) => <Row key={event.id} event={event} nowMs={nowMs} />)}</tbody>
    </table>
  </div>
)
