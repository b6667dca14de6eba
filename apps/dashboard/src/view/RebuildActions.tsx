/** The buttons of a rebuild, with the reason why one is locked beside it. */
import { useId, useState } from "react"
import { capRebuild, changeRebuild, cutOver, rollBack } from "../data/rebuilds.ts"
import { actionsOf, readCap } from "../model/rebuild.ts"
import type { Api } from "../data/graphql.ts"
import type { Rebuild } from "../model/rebuild.ts"

export interface ActionsProps {
  readonly admin: Api | undefined
  readonly rebuild: Rebuild
  readonly changed: (rebuild: Rebuild) => void
}

/** A cap on the events a second; an empty field takes it away. */
const Cap = ({ admin, rebuild, busy, act, refuse }: { readonly admin: Api; readonly rebuild: Rebuild; readonly busy: boolean; readonly act: (change: Promise<Rebuild>) => void; readonly refuse: (why: string) => void }) => {
  const id = useId()
  const [text, setText] = useState(rebuild.eventsPerSecondMax === null ? "" : String(rebuild.eventsPerSecondMax))
  const apply = (): void => {
    const rate = readCap(text)
    if (rate === undefined) refuse("The cap is a whole number of events a second; leave it empty for none.")
    else act(capRebuild(admin, rebuild.id, rate))
  }
  return (
    <>
      <label htmlFor={id}>At most so many events a second; empty: as many as live traffic leaves room for</label>
      <div className="buttons">
        <input id={id} value={text} inputMode="numeric" maxLength={12} autoComplete="off" onChange={(event) => setText(event.target.value)} />
        <button type="button" className="small" disabled={busy} onClick={apply}>Set the cap</button>
      </div>
    </>
  )
}

export const RebuildActions = ({ admin, rebuild, changed }: ActionsProps) => {
  const id = useId()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const [note, setNote] = useState("")
  if (admin === undefined) return <p className="note">Changing a rebuild needs the operator’s key; <code>tidemark rebuild status {rebuild.projection}</code> shows what may be done.</p>
  const actions = actionsOf(rebuild)
  const act = (change: Promise<Rebuild>): void => {
    setBusy(true)
    setError(undefined)
    change.then(changed, (cause: unknown) => setError(cause instanceof Error ? cause.message : String(cause))).finally(() => setBusy(false))
  }
  const missingNote = actions.needsNote && note.trim() === ""
  return (
    <div className="rebuild-actions">
      {!actions.cutOver || !actions.needsNote ? null : (
        <>
          <label htmlFor={id}>{rebuild.parity?.servedHalt == null ? "Why these differences are right" : "Why it may serve though nothing could be compared"}</label>
          <input id={id} value={note} maxLength={500} autoComplete="off" onChange={(event) => setNote(event.target.value)} />
        </>
      )}
      {actions.cap ? <Cap admin={admin} rebuild={rebuild} busy={busy} act={act} refuse={setError} /> : null}
      <p className="form-error" role="alert">{error}</p>
      <div className="buttons">
        {actions.rollBack
          ? <button type="button" className="primary" disabled={busy} onClick={() => act(rollBack(admin, rebuild.projection))}>Roll back to generation {rebuild.fromGeneration}</button>
          : <button type="button" className="primary" disabled={busy || !actions.cutOver || missingNote} onClick={() => act(cutOver(admin, rebuild.id, actions.needsNote ? note.trim() : null))}>Cut over to generation {rebuild.generation ?? "–"}</button>}
        {actions.pause ? <button type="button" className="small" disabled={busy} onClick={() => act(changeRebuild(admin, "pauseRebuild", rebuild.id))}>Pause</button> : null}
        {actions.resume ? <button type="button" className="small" disabled={busy} onClick={() => act(changeRebuild(admin, "resumeRebuild", rebuild.id))}>Resume</button> : null}
        {actions.compare ? <button type="button" className="small" disabled={busy} onClick={() => act(changeRebuild(admin, "compareRebuild", rebuild.id))}>Compare again</button> : null}
        {actions.abort ? <button type="button" className="small" disabled={busy} onClick={() => act(changeRebuild(admin, "abortRebuild", rebuild.id))}>Abort</button> : null}
      </div>
      {actions.rollBack || actions.locked === undefined ? (missingNote && actions.cutOver ? <p className="note">Locked: {rebuild.parity?.servedHalt == null ? "the differences have" : "that nothing was compared has"} to be accepted with a note.</p> : null) : <p className="note">The cut-over is locked: {actions.locked}.</p>}
    </div>
  )
}
