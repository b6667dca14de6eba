/** What ingest refused: why, what to do, the event as it came, and sending it again. */
import { useQueryClient } from "@tanstack/react-query"
import { useId, useState } from "react"
import { LEDGERS, redriveRejected } from "../data/ledgers.ts"
import { formatMoment } from "../model/format.ts"
import { editable, nextStep, redriveText } from "../model/ledgers.ts"
import type { FormEvent } from "react"
import type { Api } from "../data/graphql.ts"
import type { Redrive, Rejected } from "../model/ledgers.ts"
import type { ListProps } from "./Ledgers.tsx"

/** First what would become of it, then, for the same text and reason, the sending. */
const SendAgain = ({ writer, event }: { readonly writer: Api; readonly event: Rejected }) => {
  const id = useId()
  const queryClient = useQueryClient()
  const [body, setBody] = useState(() => editable(event.body))
  const [reason, setReason] = useState("")
  const [answer, setAnswer] = useState<{ readonly about: string; readonly redrive: Redrive }>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const about = JSON.stringify([body, reason.trim()])
  const told = answer?.about === about ? answer.redrive : undefined
  const planned = told?.verdict === "APPEND" && told.place === null
  const submit = (submitted: FormEvent<HTMLFormElement>): void => {
    submitted.preventDefault()
    if (reason.trim() === "") return setError("Say why it is right now: the reason is kept with it.")
    setBusy(true)
    setError(undefined)
    redriveRejected(writer, event.id, body, reason.trim(), !planned)
      .then((redrive) => {
        setAnswer({ about, redrive })
        if (planned) void queryClient.invalidateQueries({ queryKey: LEDGERS })
      }, (cause: unknown) => setError(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => setBusy(false))
  }
  return (
    <form className="generation send-again" onSubmit={submit}>
      <label htmlFor={`${id}-body`}>The event, as it should be</label>
      <textarea id={`${id}-body`} rows={Math.min(14, body.split("\n").length + 1)} value={body} spellCheck={false} onChange={(changed) => setBody(changed.target.value)} />
      <label htmlFor={id}>Reason</label>
      <input id={id} value={reason} maxLength={500} autoComplete="off" placeholder="the page was sent as a number" aria-describedby={`${id}-error`} onChange={(changed) => setReason(changed.target.value)} />
      <p id={`${id}-error`} className="form-error" role="alert">{error}</p>
      {told === undefined ? null : <p className={told.verdict === "APPEND" ? "verdict holds" : "verdict fails"} role="status"><span aria-hidden="true">{told.verdict === "APPEND" ? "✓" : "!"}</span>{redriveText(told)}</p>}
      <button type="submit" className="primary" disabled={busy || told?.place != null}>{busy ? "Asking …" : planned ? "Send it again" : "Check it"}</button>
    </form>
  )
}

const Fate = ({ event, follow }: { readonly event: Rejected } & Pick<ListProps, "follow">) => {
  const { redrive } = event
  if (redrive === null) return <>{nextStep(event)}</>
  const { place, eventId, reason } = redrive
  if (place === null) return <>was in the log already</>
  return <><button type="button" className="link" title="What became of it" onClick={() => follow({ id: eventId, ...place })}>sent again</button>, at {place.partition}/{place.offset}: <bdi>{reason}</bdi></>
}

const Row = ({ writer, event, nowMs, follow }: ListProps & { readonly writer: Api | undefined; readonly event: Rejected }) => {
  const [open, setOpen] = useState(false)
  const { eventId, type, code, pointer, detail, origin, receivedAt, body, redrive } = event
  return (
    <>
      <tr>
        <th scope="row"><button type="button" className="link" aria-expanded={open} onClick={() => setOpen(!open)} title="The event as it came"><bdi>{eventId ?? "no id"}</bdi></button><small className="muted"><bdi>{type ?? "no type"}</bdi>{origin === null ? "" : <> · import <bdi>{origin}</bdi></>}</small></th>
        <td><code>{code}</code></td>
        <td data-name="Received, UTC">{formatMoment(Date.parse(receivedAt), nowMs)}</td>
        <td data-name="Where" className="wrap"><code>{pointer === "" ? "–" : pointer}</code></td>
        <td data-name="Why" className="wrap"><bdi>{detail}</bdi></td>
        <td data-name={redrive === null ? "What to do" : "Since"} className="wrap"><Fate event={event} follow={follow} /></td>
      </tr>
      {open ? (
        <tr className="body-row">
          <td colSpan={6}>
            <pre className="event-json" tabIndex={0} aria-label="The event as it came">{body}</pre>
            {redrive !== null ? null : writer === undefined ? <p className="note">Sending it again needs an admin key of this tenant; <code>tidemark rejected redrive {event.id} --data - --reason … --yes</code> does it from a terminal.</p> : <SendAgain writer={writer} event={event} />}
          </td>
        </tr>
      ) : null}
    </>
  )
}

export const RejectedEvents = ({ events, ...props }: ListProps & { readonly writer: Api | undefined; readonly events: readonly Rejected[] }) => (
  <div className="table-box stacked" tabIndex={0} role="region" aria-label="Rejected events">
    <table>
      <thead><tr><th scope="col">Event</th><th scope="col">Code</th><th scope="col">Received, UTC</th><th scope="col">Where</th><th scope="col">Why</th><th scope="col">What to do</th></tr></thead>
      <tbody>{events.map((event) => <Row key={event.id} event={event} {...props} />)}</tbody>
    </table>
  </div>
)
