/** Named values from large to small; the whole row asks why. */
import { formatNumber } from "../model/format.ts"

export interface RankedBar {
  readonly name: string
  readonly value: number
  readonly colour: string
  /** Absent for sums that have no windows of their own, such as "other". */
  readonly onWhy?: () => void
}

export const RankedBars = ({ bars, label }: { readonly bars: readonly RankedBar[]; readonly label: string }) => {
  const max = Math.max(1, ...bars.map((bar) => bar.value))
  return (
    <ol className="ranked" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.name}>
          <button type="button" className="bar-row" disabled={bar.onWhy === undefined} onClick={bar.onWhy} aria-label={`${bar.name}: ${formatNumber(bar.value)}. Why?`} data-why>
            <span className="bar-name" title={bar.name}><bdi>{bar.name}</bdi></span>
            <span className="bar-value">{formatNumber(bar.value)}</span>
            <span className="bar-track"><span className="bar-fill" style={{ width: `${(100 * bar.value) / max}%`, background: bar.colour }} /></span>
          </button>
        </li>
      ))}
    </ol>
  )
}
