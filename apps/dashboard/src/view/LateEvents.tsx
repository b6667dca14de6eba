/** Late events that count, as corrections of their windows. */
import { formatDuration, formatMoment } from "../model/format.ts"
import { lateReason, partsText, placeText } from "../model/ledgers.ts"
import type { ReactNode } from "react"
import type { LateEvent } from "../model/ledgers.ts"
import type { ListProps } from "./Ledgers.tsx"

/** What is told of a late event in any list, cell by cell. */
export const LateCells = ({ event, nowMs, follow, adds, children }: Omit<ListProps, "events"> & { readonly event: LateEvent; readonly adds: string; readonly children?: ReactNode }) => (
  <>
    <th scope="row"><button type="button" className="link" onClick={() => follow({ id: event.eventId, partition: event.partition, offset: event.offset })} title="What became of it"><bdi>{event.eventId}</bdi></button><small className="muted"><bdi>{event.type}</bdi> · {placeText(event)}</small></th>
    {children}
    <td data-name="Minute, UTC">{formatMoment(Date.parse(event.windowStart), nowMs)}</td>
    <td data-name="Key" className="wrap"><bdi>{event.key.map(({ value }) => value).join(" · ")}</bdi></td>
    <td data-name="Late by" className="num">{formatDuration(event.lateByMs)}</td>
    <td data-name={adds} className="wrap">{partsText(event.contribution) || "–"}</td>
    <td data-name="Why" className="wrap">{lateReason(event)}</td>
  </>
)

export const LateHead = ({ adds, children }: { readonly adds: string; readonly children?: ReactNode }) => (
  <thead><tr><th scope="col">Event</th>{children}<th scope="col">Minute, UTC</th><th scope="col">Key</th><th scope="col" className="num">Late by</th><th scope="col">{adds}</th><th scope="col">Why</th></tr></thead>
)

export const LateEvents = ({ events, ...props }: ListProps & { readonly events: readonly LateEvent[] }) => (
  <div className="table-box stacked" tabIndex={0} role="region" aria-label="Late events that count">
    <table>
      <LateHead adds="Adds" />
      <tbody>{events.map((event) => <tr key={placeText(event)}><LateCells event={event} adds="Adds" {...props} /></tr>)}</tbody>
    </table>
  </div>
)
