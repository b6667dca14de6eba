/** The way of a rebuild: each phase with when it began and how long it took, where it left the way, and its log. */
import { formatDuration, formatMoment } from "../model/format.ts"
import { logOf, trackOf } from "../model/rebuildTrack.ts"
import type { Rebuild } from "../model/rebuild.ts"
import type { TrackPhase } from "../model/rebuildTrack.ts"

const SPOKEN: Readonly<Record<TrackPhase["state"], string>> = { done: "done", now: "now", skipped: "passed over", open: "to come" }

const tookText = (tookMs: number): string => (tookMs < 1_000 ? "< 1 s" : formatDuration(tookMs))

const Phase = ({ phase, nowMs }: { readonly phase: TrackPhase; readonly nowMs: number }) => (
  <li className={phase.state} aria-current={phase.state === "now" ? "step" : undefined}>
    <span className="phase-name">{phase.label}<span className="visually-hidden"> {SPOKEN[phase.state]}</span></span>
    {phase.beganMs === undefined ? null : <small>{formatMoment(phase.beganMs, nowMs)}</small>}
    {phase.tookMs === undefined ? null : <small>{tookText(phase.tookMs)}</small>}
  </li>
)

export const PhaseTrack = ({ rebuild, nowMs }: { readonly rebuild: Rebuild; readonly nowMs: number }) => {
  const { phases, exit } = trackOf(rebuild.status, rebuild.history, nowMs)
  // Where it left the way, or at the end of it.
  const left = phases.findLastIndex(({ state }) => state === "done" || state === "now") + 1
  const log = logOf(rebuild.history)
  return (
    <>
      <ol className="track" aria-label="Phases of the rebuild, times in UTC">
        {phases.slice(0, left).map((phase) => <Phase key={phase.status} phase={phase} nowMs={nowMs} />)}
        {exit === undefined ? null : (
          <li className="exit" aria-current="step"><span className="phase-name">{exit.label}</span>{exit.sinceMs === undefined ? null : <><small>{formatMoment(exit.sinceMs, nowMs)}</small><small>{tookText(nowMs - exit.sinceMs)}</small></>}</li>
        )}
        {phases.slice(left).map((phase) => <Phase key={phase.status} phase={phase} nowMs={nowMs} />)}
      </ol>
      {log.length === 0 ? null : (
        <details className="log">
          <summary>Log of this rebuild · {log.length} {log.length === 1 ? "step" : "steps"}</summary>
          <ol>{log.map(({ atMs, text }, at) => <li key={log.length - at}><time dateTime={new Date(atMs).toISOString()}>{formatMoment(atMs, nowMs)} UTC</time> <span>{text}</span></li>)}</ol>
        </details>
      )}
    </>
  )
}
