/** The generation being built: its phase, its errors above its progress, its parity, and what may be done to it. */
import { differencesOf, isRunning, labelOf, paceText, PHASES, ratioOf, throttleText } from "../model/rebuild.ts"
import { formatDecimal, formatNumber } from "../model/format.ts"
import { Differences } from "./Differences.tsx"
import { RebuildActions } from "./RebuildActions.tsx"
import type { Api } from "../data/graphql.ts"
import type { Parity, Rebuild } from "../model/rebuild.ts"

export interface CurrentProps {
  readonly api: Api
  readonly admin: Api | undefined
  readonly rebuild: Rebuild
  readonly changed: (rebuild: Rebuild) => void
}

const Track = ({ rebuild }: { readonly rebuild: Rebuild }) => {
  const at = PHASES.findIndex((phase) => phase === rebuild.status)
  return (
    <ol className="track" aria-label={`Phase: ${labelOf(rebuild.status)}`}>
      {PHASES.map((phase, index) => (
        <li key={phase} className={index === at ? "now" : index < at ? "done" : undefined} aria-current={index === at ? "step" : undefined}>{labelOf(phase)}</li>
      ))}
    </ol>
  )
}

const Progress = ({ rebuild }: { readonly rebuild: Rebuild }) => {
  const { progress } = rebuild
  const throttle = throttleText(rebuild)
  if (!isRunning(rebuild)) return null
  if (progress === null) return throttle === undefined ? null : <p className="note">{throttle}</p>
  const ratio = ratioOf(rebuild)
  return (
    <div className="rebuild-progress">
      <div className="progress" role="progressbar" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(ratio * 100)} aria-label="Records read"><span style={{ inlineSize: `${ratio * 100}%` }} /></div>
      <p className="note">{formatDecimal(progress.processed)} of {formatDecimal(progress.total)} records ({(ratio * 100).toFixed(1)} %){paceText(progress)}</p>
      {throttle === undefined ? null : <p className="note">{throttle}</p>}
    </div>
  )
}

/** Where a generation stands, in all its partitions. */
const placeOf = (position: Parity["position"]): string => formatDecimal(String(position.reduce((sum, { offset }) => sum + BigInt(offset), 0n)))

/** Nothing was compared with a generation that stands still. */
const HaltedLine = ({ parity: { servedHalt, accepted, position } }: { readonly parity: Parity }) =>
  servedHalt === null ? null : (
    <>
      <p className="verdict fails">
        <span aria-hidden="true">!</span>
        Not compared: the served generation has halted at #{placeOf(servedHalt.position)} with {servedHalt.code}, this one stands at #{placeOf(position)}
        {accepted === null ? null : <code>accepted: {accepted}</code>}
      </p>
      <p className="note">{servedHalt.detail}</p>
    </>
  )

const ParityLine = ({ parity }: { readonly parity: Parity }) => {
  const differing = differencesOf(parity) + BigInt(parity.faults.length)
  return (
    <>
      <HaltedLine parity={parity} />
      {parity.servedHalt !== null ? null : <p className={differing === 0n ? "verdict holds" : "verdict fails"}>
        <span aria-hidden="true">{differing === 0n ? "✓" : "!"}</span>
        Parity at #{placeOf(parity.position)}: compared {formatDecimal(parity.compared)} · equal {formatDecimal(parity.equal)} · differ {formatDecimal(parity.differ)} · only old {formatDecimal(parity.onlyOld)} · only new {formatDecimal(parity.onlyNew)}
        {parity.accepted === null ? null : <code>accepted: {parity.accepted}</code>}
      </p>}
      {parity.sample?.wholeRows == null ? null : <p className="note">Every window chosen at random was too large, so all {formatDecimal(parity.sample.wholeRows)} rows of the new generation were recomputed from the log{parity.sample.differing.length === 0 ? ": none differs" : ": not all are equal"}.</p>}
      {parity.sample === null || parity.sample.wholeRows !== null ? null : <p className="note">{formatNumber(parity.sample.windows)} windows chosen at random were recomputed from the log: {formatNumber(parity.sample.differing.length)} differ{parity.sample.skipped === 0 ? "" : `, ${parity.sample.skipped} were too large`}.</p>}
      {[...new Set(parity.faults)].map((fault) => <p className="failure" key={fault}>{fault}</p>)}
    </>
  )
}

export const CurrentRebuild = ({ api, admin, rebuild, changed }: CurrentProps) => (
  <div className="generation green">
    <h3>Generation {rebuild.generation ?? "–"} · {labelOf(rebuild.status).toLowerCase()}</h3>
    <p className="note">{rebuild.reason}</p>
    {rebuild.error === null ? null : <p className="failure" role="alert">{rebuild.error}</p>}
    {rebuild.standbyHalt === null ? null : <p className="failure">The generation on standby has halted ({rebuild.standbyHalt}): it is no way back.</p>}
    <Track rebuild={rebuild} />
    <Progress rebuild={rebuild} />
    {rebuild.parity === null ? null : <ParityLine parity={rebuild.parity} />}
    {rebuild.parity === null || differencesOf(rebuild.parity) === 0n ? null : <Differences api={api} rebuild={rebuild} />}
    <RebuildActions admin={admin} rebuild={rebuild} changed={changed} />
  </div>
)
