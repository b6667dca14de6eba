/** How far a build is: records read, rate, the time that is left with its band, what its time goes into, what holds it back. */
import { formatDecimal } from "../model/format.ts"
import { isRunning, ratioOf, throttleText } from "../model/rebuild.ts"
import { etaText, rateText, slowedByText, timeParts } from "../model/rebuildPace.ts"
import type { Rebuild, RebuildProgress } from "../model/rebuild.ts"

const TimeBar = ({ progress }: { readonly progress: RebuildProgress }) => (
  <div className="time-bar" aria-hidden="true">{timeParts(progress).map(({ name, share }) => <span key={name} className={`time-${name}`} style={{ inlineSize: `${share * 100}%` }} />)}</div>
)

const Figures = ({ progress, ratio }: { readonly progress: RebuildProgress; readonly ratio: number }) => {
  const [rate, eta, slowed] = [rateText(progress), etaText(progress), slowedByText(progress)]
  return (
    <>
      <p className="progress-figures">
        <strong>{(ratio * 100).toFixed(1)} %</strong>
        <span>{formatDecimal(progress.processed)} of {formatDecimal(progress.total)} records</span>
        {rate === "" ? null : <span>{rate}, mean of 10 s</span>}
        {eta === "" ? null : <span>{eta}</span>}
      </p>
      {slowed === undefined ? null : <><TimeBar progress={progress} /><p className="note">Slowed most by {slowed}.</p></>}
    </>
  )
}

export const BuildProgress = ({ rebuild }: { readonly rebuild: Rebuild }) => {
  const { progress } = rebuild
  const throttle = throttleText(rebuild)
  if (!isRunning(rebuild)) return null
  const ratio = ratioOf(rebuild)
  return (
    <div className="rebuild-progress">
      {progress === null ? null : (
        <>
          <div className="progress" role="progressbar" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(ratio * 100)} aria-label="Records read"><span style={{ inlineSize: `${ratio * 100}%` }} /></div>
          <Figures progress={progress} ratio={ratio} />
        </>
      )}
      {throttle === undefined ? null : <p className="note held">Held back: {throttle}.</p>}
    </div>
  )
}
