/** Looking at the past: the banner that says so, and the way there and back. */
import { useQuery } from "@tanstack/react-query"
import { useId, useState } from "react"
import { builtOptions } from "../data/past.ts"
import { formatDecimal, formatMoment } from "../model/format.ts"
import { momentText } from "../model/comparison.ts"
import { parseMoment } from "../model/moment.ts"
import { positionTotal } from "../model/order.ts"
import { KnownAt } from "./KnownAt.tsx"
import type { Api } from "../data/graphql.ts"
import type { PartitionOffset } from "../model/answer.ts"
import type { RangeName } from "../model/range.ts"

export interface AsOfProps {
  readonly api: Api
  /** Unix ms; undefined: the page shows the present. */
  readonly asOfMs: number | undefined
  /** Where the main numbers of the page are. */
  readonly position: readonly PartitionOffset[] | undefined
  readonly range: RangeName
  /** The moment that is held against it, Unix ms. */
  readonly pinMs: number | undefined
  readonly nowMs: number
  readonly go: (asOfMs: number | undefined) => void
  readonly pin: (pinMs: number | undefined) => void
  readonly close: () => void
}

/** Of the main chart. */
const MAIN_PROJECTION = "page-views"

/** `24 Nov 12:03:20 UTC · #1,204`. */
const pastText = (asOfMs: number, position: readonly PartitionOffset[] | undefined): string =>
  `${formatMoment(asOfMs, Date.now())} UTC${position === undefined ? "" : ` · #${formatDecimal(String(positionTotal(position)))}`}`

/** Holds the moment that is shown against others, or ends that. */
const Pin = ({ asOfMs, pinMs, nowMs, pin }: Pick<AsOfProps, "asOfMs" | "pinMs" | "nowMs" | "pin">) => {
  if (pinMs !== undefined) return <p className="pinned">A is pinned at <span className="moment-a">{momentText(pinMs, nowMs)}</span>; B is <span className="moment-b">{momentText(asOfMs, nowMs)}</span>. The slider moves B. <button type="button" className="small" onClick={() => pin(undefined)}>Unpin A</button></p>
  return <p className="pinned"><button type="button" className="small" onClick={() => pin(asOfMs ?? Date.now())}>Pin this moment as A</button> <span className="note">to see what changed since, or before.</span></p>
}

export const AsOf = ({ api, asOfMs, position, range, pinMs, nowMs, go, pin, close }: AsOfProps) => {
  const id = useId()
  const built = useQuery(builtOptions(api, MAIN_PROJECTION)).data ?? []
  const [text, setText] = useState("")
  const [isWrong, setIsWrong] = useState(false)
  const submit = (): void => {
    const atMs = parseMoment(text, Date.now())
    setIsWrong(atMs === undefined)
    if (atMs === undefined) return
    setText("")
    go(atMs)
  }
  return (
    <section className={asOfMs === undefined ? "as-of" : "as-of past"} aria-label="Time machine">
      {asOfMs === undefined ? null : (
        <p className="as-of-told" role="status"><strong>You are looking at the past.</strong> The numbers are those known at {pastText(asOfMs, position)}; later events, late ones too, are not in them.</p>
      )}
      <KnownAt range={range} asOfMs={asOfMs} pinMs={pinMs} nowMs={nowMs} built={built} go={go} />
      <Pin asOfMs={asOfMs} pinMs={pinMs} nowMs={nowMs} pin={pin} />
      <form onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}>
        <label htmlFor={id}>{asOfMs === undefined ? "Show what was known at" : "Another moment"}</label>
        <input id={id} value={text} onChange={(event) => setText(event.target.value)} placeholder="12:03 or 5 min ago" autoComplete="off" aria-invalid={isWrong} aria-describedby={`${id}-help`} />
        <button type="submit" className="small">Show</button>
        {asOfMs === undefined ? (pinMs === undefined ? <button type="button" className="small" onClick={close}>Close</button> : null) : <button type="button" className="small" onClick={() => go(undefined)}>Back to now <kbd>Esc</kbd></button>}
      </form>
      <p id={`${id}-help`} className={isWrong ? "as-of-wrong" : "note"} role={isWrong ? "alert" : undefined}>{isWrong ? "That is no moment in the past. " : ""}A time in UTC (12:03, 2026-11-24 12:03), or how long ago (5 min, 2 h). <kbd>[</kbd> and <kbd>]</kbd> go one window back and forth.</p>
    </section>
  )
}
