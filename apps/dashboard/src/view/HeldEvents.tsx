/** Held events: chosen, then shown what counting them would change, then counted by hand. */
import { useQueryClient } from "@tanstack/react-query"
import { useId, useState } from "react"
import { applyLate, LEDGERS } from "../data/ledgers.ts"
import { formatMoment } from "../model/format.ts"
import { partsText, placeText, releaseSummary } from "../model/ledgers.ts"
import { LateCells, LateHead } from "./LateEvents.tsx"
import type { FormEvent } from "react"
import type { Api } from "../data/graphql.ts"
import type { LateEvent, Release } from "../model/ledgers.ts"
import type { ListProps } from "./Ledgers.tsx"

/** Window by window, what changes. */
const Changes = ({ releases, nowMs }: { readonly releases: readonly Release[]; readonly nowMs: number }) => (
  <div className="table-box stacked changes-box" tabIndex={0} role="region" aria-label="What changes">
    <table>
      <thead><tr><th scope="col">Event</th><th scope="col">Projection</th><th scope="col">Minute, UTC</th><th scope="col">Key</th><th scope="col">Adds</th></tr></thead>
      <tbody>
        {releases.flatMap((release) => release.changes.map((change) => (
          <tr key={`${placeText(release)} ${change.projection}`}>
            <th scope="row"><bdi>{release.eventId ?? placeText(release)}</bdi></th><td>{change.projection}</td><td data-name="Minute, UTC">{formatMoment(Date.parse(change.windowStart), nowMs)}</td>
            <td data-name="Key" className="wrap"><bdi>{change.key.map(({ value }) => value).join(" · ")}</bdi></td><td data-name="Adds" className="wrap">{partsText(change.contribution) || "–"}</td>
          </tr>
        )))}
      </tbody>
    </table>
  </div>
)

interface CountProps {
  readonly writer: Api
  readonly projection: string
  readonly chosen: readonly LateEvent[]
  readonly nowMs: number
  readonly counted: (releases: readonly Release[]) => void
}

/** First what would change, then, for the same events and reason, the change. */
const CountByHand = ({ writer, projection, chosen, nowMs, counted }: CountProps) => {
  const id = useId()
  const [reason, setReason] = useState("")
  const [plan, setPlan] = useState<{ readonly about: string; readonly releases: readonly Release[] }>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const about = JSON.stringify([reason.trim(), chosen.map(placeText)])
  const planned = plan?.about === about ? plan.releases : undefined
  const possible = planned?.filter(({ verdict }) => verdict === "APPLY").length
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (reason.trim() === "") return setError("Say why: the reason is kept with each of them.")
    setBusy(true)
    setError(undefined)
    applyLate(writer, projection, chosen, reason.trim(), planned === undefined)
      .then((releases) => (planned === undefined ? setPlan({ about, releases }) : counted(releases)), (cause: unknown) => setError(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => setBusy(false))
  }
  return (
    <form className="generation count-by-hand" onSubmit={submit}>
      <h3>Count {chosen.length === 1 ? "this event" : `these ${chosen.length} events`} by hand</h3>
      <label htmlFor={id}>Reason</label>
      <input id={id} value={reason} maxLength={500} autoComplete="off" placeholder="the phone was off" aria-describedby={`${id}-error`} onChange={(event) => setReason(event.target.value)} />
      <p id={`${id}-error`} className="form-error" role="alert">{error}</p>
      {planned === undefined ? null : <p className="verdict" role="status"><span aria-hidden="true">→</span>{releaseSummary(planned)}</p>}
      {planned === undefined || possible === 0 ? null : <Changes releases={planned} nowMs={nowMs} />}
      <button type="submit" className="primary" disabled={busy || possible === 0}>{busy ? "Asking …" : planned === undefined ? "See what would change" : `Count ${possible === 1 ? "the event" : `${possible} events`}`}</button>
    </form>
  )
}

export const HeldEvents = ({ writer, projection, events, nowMs, follow }: ListProps & { readonly writer: Api | undefined; readonly projection: string; readonly events: readonly LateEvent[] }) => {
  const queryClient = useQueryClient()
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set())
  const [told, setTold] = useState<string>()
  const possible = events.filter(({ canApply }) => canApply)
  const chosen = possible.filter((event) => marked.has(placeText(event)))
  const toggle = (place: string): void => setMarked((now) => new Set(now.has(place) ? [...now].filter((other) => other !== place) : [...now, place]))
  const counted = (releases: readonly Release[]): void => {
    setTold(releaseSummary(releases))
    setMarked(new Set())
    void queryClient.invalidateQueries({ queryKey: LEDGERS })
  }
  return (
    <>
      {told === undefined ? null : <p className="verdict holds" role="status"><span aria-hidden="true">✓</span>{told} Each projection counts them as it reads their release, within moments.</p>}
      {writer === undefined ? <p className="note">Counting them needs an admin key of this tenant; <code>tidemark late apply {projection} --all --reason … --yes</code> does it from a terminal.</p> : (
        <div className="buttons">
          <button type="button" className="small" onClick={() => setMarked(new Set(chosen.length === possible.length ? [] : possible.map(placeText)))} disabled={possible.length === 0}>{chosen.length === possible.length && chosen.length > 0 ? "Choose none" : `Choose all ${possible.length} listed`}</button>
          <span className="note">{chosen.length === 0 ? "Choose events to count them by hand." : `${chosen.length} chosen`}</span>
        </div>
      )}
      {writer === undefined || chosen.length === 0 ? null : <CountByHand writer={writer} projection={projection} chosen={chosen} nowMs={nowMs} counted={counted} />}
      <div className="table-box stacked" tabIndex={0} role="region" aria-label="Held events">
        <table>
          <LateHead adds="Would add">{writer === undefined ? null : <th scope="col">Choose</th>}</LateHead>
          <tbody>
            {events.map((event) => (
              <tr key={placeText(event)} className={marked.has(placeText(event)) ? "chosen" : undefined}>
                <LateCells event={event} adds="Would add" nowMs={nowMs} follow={follow}>
                  {writer === undefined ? null : <td><input type="checkbox" className="choose" aria-label={`Choose ${event.eventId}`} checked={marked.has(placeText(event))} disabled={!event.canApply} onChange={() => toggle(placeText(event))} /></td>}
                </LateCells>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
