/** Danger is typed: what will happen, then the projection's name, then why. */
import { useEffect, useId, useRef, useState } from "react"
import { isConfirmed } from "../model/rebuild.ts"
import type { FormEvent } from "react"

export interface ConfirmProps {
  readonly title: string
  /** What it will do. */
  readonly lines: readonly string[]
  readonly projection: string
  /** What the note is for; undefined: none is asked for. */
  readonly noteLabel?: string
  readonly noteNeeded?: boolean
  readonly action: string
  readonly confirmed: (note: string) => void
  readonly close: () => void
}

/** The focus goes to the name, and back to the button when it closes. */
export const TypedConfirm = ({ title, lines, projection, noteLabel, noteNeeded = false, action, confirmed, close }: ConfirmProps) => {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)
  const [name, setName] = useState("")
  const [note, setNote] = useState("")
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const isReady = isConfirmed(name, projection) && (!noteNeeded || note.trim() !== "")
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!isReady) return
    confirmed(note.trim())
    dialog.current?.close()
  }
  return (
    <dialog ref={dialog} className="confirm" aria-labelledby={`${id}-title`} aria-describedby={`${id}-lines`} onClose={close}>
      <form onSubmit={submit}>
        <h2 id={`${id}-title`}>{title}</h2>
        <ul id={`${id}-lines`}>{lines.map((line) => <li key={line}>{line}</li>)}</ul>
        {noteLabel === undefined ? null : <><label htmlFor={`${id}-note`}>{noteLabel}{noteNeeded ? "" : " (optional)"}</label><input id={`${id}-note`} value={note} maxLength={500} required={noteNeeded} autoComplete="off" onChange={(event) => setNote(event.target.value)} /></>}
        <label htmlFor={`${id}-name`}>Type <code>{projection}</code> to confirm</label>
        <input id={`${id}-name`} value={name} autoFocus={noteLabel === undefined} autoComplete="off" autoCapitalize="off" spellCheck={false} onChange={(event) => setName(event.target.value)} />
        <div className="buttons">
          <button type="submit" className="primary" disabled={!isReady}>{action}</button>
          <button type="button" className="small" onClick={() => dialog.current?.close()}>Cancel</button>
        </div>
      </form>
    </dialog>
  )
}
