/** Plan first, then start: what a rebuild would read and how long it would take, before anything is written. */
import { useId, useState } from "react"
import { startRebuild } from "../data/rebuilds.ts"
import { planFacts, readCap } from "../model/rebuild.ts"
import { Fact } from "./GenerationFacts.tsx"
import type { FormEvent } from "react"
import type { Api } from "../data/graphql.ts"
import type { Rebuild } from "../model/rebuild.ts"

export interface StartProps {
  readonly admin: Api | undefined
  readonly projection: string
  readonly started: (rebuild: Rebuild) => void
}

const Plan = ({ rebuild }: { readonly rebuild: Rebuild }) => (
  <dl className="facts plan fact-tiles" role="status" aria-label="Plan; nothing is written yet">
    {planFacts(rebuild).map(({ name, figure, note }) => <Fact key={name} name={name} figure={figure} note={note} />)}
  </dl>
)

const NO_CAP = "The cap is a whole number of events a second; leave it empty for none."

export const StartRebuild = ({ admin, projection, started }: StartProps) => {
  const id = useId()
  const [plan, setPlan] = useState<Rebuild>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  if (admin === undefined) return <div className="generation"><h3>Nothing is being built</h3><p className="note">Rebuilding needs the operator’s key. On the machine that runs the server the page has one; elsewhere use <code>tidemark rebuild start {projection}</code>.</p></div>
  const submit = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const [reason, eventsPerSecondMax] = [String(form.get("reason") ?? "").trim(), readCap(String(form.get("cap") ?? ""))]
    if (reason === "") return setError("Say why: the reason is kept with the rebuild.")
    if (eventsPerSecondMax === undefined) return setError(NO_CAP)
    setBusy(true)
    setError(undefined)
    // Another answer to what was planned is planned first.
    const isPlanned = plan !== undefined
    startRebuild(admin, { projection, reason, eventsPerSecondMax }, !isPlanned)
      .then(isPlanned ? started : setPlan, (cause: unknown) => setError(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => setBusy(false))
  }
  const changed = (): void => setPlan(undefined)
  return (
    <form className="generation" onSubmit={submit}>
      <h3>Build a new generation beside it</h3>
      <label htmlFor={id}>Reason</label>
      <input id={id} name="reason" autoComplete="off" placeholder="count refunds" maxLength={500} aria-describedby={`${id}-error`} onChange={changed} />
      <div className="throttle">
        <label htmlFor={`${id}-cap`}>Cap</label>
        <input id={`${id}-cap`} name="cap" inputMode="numeric" maxLength={12} autoComplete="off" placeholder="none" aria-describedby={`${id}-unit`} onChange={changed} />
        <span id={`${id}-unit`} className="note">events/s at most; it gives way to live traffic anyway</span>
      </div>
      {error === undefined ? null : <p id={`${id}-error`} className="form-error" role="alert">{error}</p>}
      {plan === undefined ? null : <Plan rebuild={plan} />}
      <button type="submit" className="primary" disabled={busy}>{busy ? "Asking …" : plan === undefined ? "Plan the rebuild" : "Start the rebuild"}</button>
    </form>
  )
}
