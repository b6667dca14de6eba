/** How quickly a rebuild may go: a share of what it does when nothing slows it, or a cap in events a second. */
import { useId, useState } from "react"
import { formatNumber } from "../model/format.ts"
import { readCap } from "../model/rebuild.ts"
import { throttleSteps } from "../model/rebuildPace.ts"
import type { Rebuild } from "../model/rebuild.ts"

export interface ThrottleProps {
  readonly rebuild: Rebuild
  readonly busy: boolean
  readonly cap: (eventsPerSecondMax: number | null) => void
  readonly refuse: (why: string) => void
}

const stepText = (eventsPerSecondMax: number | null): string => (eventsPerSecondMax === null ? "no cap: as quickly as live traffic leaves room" : `at most ${formatNumber(eventsPerSecondMax)} events/s`)

/** An empty field takes the cap away. */
export const RebuildThrottle = ({ rebuild, busy, cap, refuse }: ThrottleProps) => {
  const id = useId()
  const [text, setText] = useState(rebuild.eventsPerSecondMax === null ? "" : String(rebuild.eventsPerSecondMax))
  const steps = throttleSteps(rebuild)
  const set = (eventsPerSecondMax: number | null): void => {
    setText(eventsPerSecondMax === null ? "" : String(eventsPerSecondMax))
    cap(eventsPerSecondMax)
  }
  const apply = (): void => {
    const rate = readCap(text)
    if (rate === undefined) refuse("The cap is a whole number of events a second; leave it empty for none.")
    else cap(rate)
  }
  return (
    <div className="throttle">
      <span id={`${id}-name`}>Throttle</span>
      {steps.length === 0 ? null : (
        <span className="segmented" role="group" aria-labelledby={`${id}-name`}>
          {steps.map(({ percent, eventsPerSecondMax, isSet }) => <button key={percent} type="button" aria-pressed={isSet} disabled={busy} title={stepText(eventsPerSecondMax)} onClick={() => set(eventsPerSecondMax)}>{percent} %</button>)}
        </span>
      )}
      <label htmlFor={id} className="visually-hidden">Cap in events a second; empty: none</label>
      <input id={id} value={text} inputMode="numeric" maxLength={12} autoComplete="off" placeholder="no cap" aria-describedby={`${id}-unit`} onChange={(event) => setText(event.target.value)} />
      <span id={`${id}-unit`} className="note">events/s at most</span>
      <button type="button" className="small" disabled={busy} onClick={apply}>Set the cap</button>
    </div>
  )
}
