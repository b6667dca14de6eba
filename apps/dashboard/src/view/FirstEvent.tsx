/** The next step for somebody whose log is still empty. */
import { useState } from "react"

export interface FirstEventProps {
  readonly writeKey: string | undefined
  readonly tenant: string
  /** True when the key writes into this tenant. */
  readonly ownTenant: boolean
}

/** A command line that stores one page view, ready to paste. */
export const firstEventCommand = (origin: string, writeKey: string): string =>
  `curl ${origin}/v1/events \\\n  -H 'authorization: Bearer ${writeKey}' \\\n  -H 'content-type: application/json' \\\n  -d '{"type":"page.viewed","data":{"page":"/hello"}}'`

export const FirstEvent = ({ writeKey, tenant, ownTenant }: FirstEventProps) => {
  const [copied, setCopied] = useState(false)
  const command = firstEventCommand(location.origin, writeKey ?? "<write key>")
  const copy = (): void => {
    void navigator.clipboard.writeText(command).then(() => setCopied(true), () => setCopied(false))
  }
  return (
    <section className="panel first-event" aria-labelledby="first-event-title">
      <div>
        <h2 id="first-event-title">Send your first event</h2>
        <p>Tenant <strong>{tenant}</strong> has no events yet. Paste this into a terminal; this card makes room for your numbers as soon as the event is stored.</p>
        {writeKey === undefined ? <p className="note">Put a write key of this tenant in place of <code>&lt;write key&gt;</code>.</p> : null}
        {writeKey !== undefined && !ownTenant ? <p className="note">This key writes into tenant <strong>default</strong>; switch there to see the event.</p> : null}
      </div>
      <div className="command">
        <pre tabIndex={0} aria-label="Command"><code>{command}</code></pre>
        <button type="button" className="small" onClick={copy}><span aria-live="polite">{copied ? "Copied" : "Copy"}</span></button>
      </div>
    </section>
  )
}
