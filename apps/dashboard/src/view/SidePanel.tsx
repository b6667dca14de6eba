/** A modal panel at the side; Esc, the button and a click beside it close it. */
import { useEffect, useId, useRef } from "react"
import type { ReactNode } from "react"

export interface SidePanelProps {
  readonly note: string
  readonly title: ReactNode
  readonly close: () => void
  readonly children: ReactNode
}

/** The focus goes back to where it was when the panel closes. */
export const SidePanel = ({ note, title, close, children }: SidePanelProps) => {
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    <dialog ref={dialog} className="proof" aria-labelledby={id} onClose={close} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div className="proof-inner">
        <header>
          <div>
            <p className="note">{note}</p>
            <h2 id={id}>{title}</h2>
          </div>
          <button type="button" className="small" onClick={() => dialog.current?.close()}>Close <kbd>Esc</kbd></button>
        </header>
        {children}
      </div>
    </dialog>
  )
}
