/** A card with its honest states: skeleton of the same size, empty with the next step, error over the last data. */
import { useId } from "react"
import { RequestError } from "../data/graphql.ts"
import type { ReactNode } from "react"

export interface PanelProps {
  readonly title: string
  readonly note?: ReactNode
  readonly actions?: ReactNode
  readonly className?: string
  readonly children: ReactNode
}

/** A titled region. */
export const Panel = ({ title, note, actions, className = "", children }: PanelProps) => {
  const id = useId()
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <header className="panel-head">
        <div>
          <h2 id={id}>{title}</h2>
          {note === undefined ? null : <p className="note">{note}</p>}
        </div>
        {actions === undefined ? null : <div className="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  )
}

/** What a query result means for its panel. */
export interface Answering {
  readonly isPending: boolean
  readonly error: Error | null
  readonly refetch: () => unknown
}

export interface PanelBodyProps {
  readonly query: Answering
  readonly hasData: boolean
  readonly className: string
  readonly empty: ReactNode
  readonly children: ReactNode
}

/** Why a question failed, with its code and a way to ask again. */
export const Failure = ({ error, retry }: { readonly error: Error; readonly retry: () => unknown }) => (
  <div className="failure" role="alert">
    <span>
      {error.message}
      {error instanceof RequestError ? <code> {error.code}{error.requestId === undefined ? "" : ` · ${error.requestId}`}</code> : null}
    </span>
    <button type="button" className="small" onClick={() => void retry()}>Try again</button>
  </div>
)

/** Body of a panel; `className` fixes its height so that no state moves the page. */
export const PanelBody = ({ query, hasData, className, empty, children }: PanelBodyProps) => {
  if (query.isPending && query.error === null) return <div className={`${className} skeleton`} role="status" aria-label="Loading" />
  if (!hasData) return <div className={`${className} empty`}>{query.error === null ? empty : <Failure error={query.error} retry={query.refetch} />}</div>
  return (
    <>
      {query.error === null ? null : <Failure error={query.error} retry={query.refetch} />}
      <div className={query.error === null ? className : `${className} outdated`}>{children}</div>
    </>
  )
}

/** Switch between a chart and its numbers. */
export const TableToggle = ({ shown, toggle }: { readonly shown: boolean; readonly toggle: () => void }) => (
  <button type="button" className="small" aria-pressed={shown} onClick={toggle}>Table</button>
)
