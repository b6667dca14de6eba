/** The buttons of a rebuild, with the reason why one is locked beside it. What cannot be taken back is confirmed by name. */
import { useState } from "react"
import { capRebuild, changeRebuild, cutOver, rollBack } from "../data/rebuilds.ts"
import { actionsOf, cutOverLines, rollBackLines, standbyText } from "../model/rebuild.ts"
import { RebuildThrottle } from "./RebuildThrottle.tsx"
import { TypedConfirm } from "./TypedConfirm.tsx"
import type { Api } from "../data/graphql.ts"
import type { Step } from "../data/rebuilds.ts"
import type { Actions, Rebuild } from "../model/rebuild.ts"

export interface ActionsProps {
  readonly admin: Api | undefined
  readonly rebuild: Rebuild
  readonly nowMs: number
  readonly changed: (rebuild: Rebuild) => void
}

type Asked = "cutOver" | "rollBack" | "abort"

interface ConfirmProps {
  readonly asked: Asked
  readonly actions: Actions
  readonly admin: Api
  readonly rebuild: Rebuild
  readonly nowMs: number
  readonly act: (change: Promise<Rebuild>) => void
  readonly close: () => void
}

const Confirm = ({ asked, actions, admin, rebuild, nowMs, act, close }: ConfirmProps) => {
  const { id, projection, generation, fromGeneration } = rebuild
  const common = { projection, close }
  switch (asked) {
    case "cutOver": {
      const noteLabel = rebuild.parity?.servedHalt == null ? "Why these differences are right" : "Why it may serve though nothing could be compared"
      return <TypedConfirm {...common} {...(actions.needsNote ? { noteLabel, noteNeeded: true } : {})} title={`Cut ${projection} over to generation ${generation ?? "–"}`} lines={cutOverLines(rebuild)} action="Cut over" confirmed={(note) => act(cutOver(admin, id, actions.needsNote ? note : null))} />
    }
    case "rollBack":
      return <TypedConfirm {...common} title={`Roll ${projection} back to generation ${fromGeneration ?? "–"}`} lines={rollBackLines(rebuild, nowMs)} noteLabel="Why" noteNeeded action="Roll back" confirmed={(reason) => act(rollBack(admin, projection, reason))} />
    case "abort":
      return <TypedConfirm {...common} title={`Abort the rebuild of ${projection}`} lines={[`Generation ${generation ?? "–"} is dropped with everything it has folded; what serves is not touched.`, "Another rebuild may be started at once."]} action="Abort" confirmed={() => act(changeRebuild(admin, "abortRebuild", id))} />
  }
}

const STEPS: readonly (readonly [keyof Pick<Actions, "pause" | "resume" | "compare">, Step, string])[] = [["pause", "pauseRebuild", "Pause"], ["resume", "resumeRebuild", "Resume"], ["compare", "compareRebuild", "Compare again"]]

export const RebuildActions = ({ admin, rebuild, nowMs, changed }: ActionsProps) => {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const [asked, setAsked] = useState<Asked>()
  if (admin === undefined) return <p className="note">Changing a rebuild needs the operator’s key; <code>tidemark rebuild status {rebuild.projection}</code> shows what may be done.</p>
  const actions = actionsOf(rebuild)
  const act = (change: Promise<Rebuild>): void => {
    setBusy(true)
    setError(undefined)
    change.then(changed, (cause: unknown) => setError(cause instanceof Error ? cause.message : String(cause))).finally(() => setBusy(false))
  }
  const standby = standbyText(rebuild, nowMs)
  return (
    <div className="rebuild-actions">
      {actions.cap ? <RebuildThrottle rebuild={rebuild} busy={busy} cap={(rate) => act(capRebuild(admin, rebuild.id, rate))} refuse={setError} /> : null}
      {error === undefined ? null : <p className="failure" role="alert">{error}</p>}
      <div className="buttons">
        {actions.rollBack
          ? <button type="button" className="primary" disabled={busy || actions.rollBackLocked} onClick={() => setAsked("rollBack")}>Roll back to generation {rebuild.fromGeneration} …</button>
          : <button type="button" className="primary" disabled={busy || !actions.cutOver} onClick={() => setAsked("cutOver")}>Cut over to generation {rebuild.generation ?? "–"} …</button>}
        {STEPS.map(([name, step, label]) => (actions[name] ? <button key={name} type="button" className="small" disabled={busy} onClick={() => act(changeRebuild(admin, step, rebuild.id))}>{label}</button> : null))}
        {actions.abort ? <button type="button" className="small" disabled={busy} onClick={() => setAsked("abort")}>Abort …</button> : null}
      </div>
      {standby === undefined ? null : <p className="note">{standby}</p>}
      {actions.rollBackLocked ? <p className="note">The way back is locked: what stands by has halted.</p> : null}
      {actions.rollBack || actions.locked === undefined ? null : <p className="note">The cut-over is locked: {actions.locked}.</p>}
      {actions.cutOver && actions.needsNote ? <p className="note">The cut-over asks for a note: {rebuild.parity?.servedHalt == null ? "the differences have" : "that nothing was compared has"} to be accepted with it.</p> : null}
      {asked === undefined ? null : <Confirm asked={asked} actions={actions} admin={admin} rebuild={rebuild} nowMs={nowMs} act={act} close={() => setAsked(undefined)} />}
    </div>
  )
}
