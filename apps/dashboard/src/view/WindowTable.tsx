/** The table twin of a time chart. */
import { formatNumber, formatWindow } from "../model/format.ts"
import { stateText } from "./stateText.ts"
import type { ChartPoint } from "../model/segments.ts"

export interface WindowTableProps {
  readonly points: readonly ChartPoint[]
  readonly watermark: string | null
  readonly measure: string
  readonly onWhy: (point: ChartPoint) => void
}

export const WindowTable = ({ points, watermark, measure, onWhy }: WindowTableProps) => (
  <div className="table-box" tabIndex={0} role="region" aria-label={`${measure} by window`}>
    <table>
      <thead><tr><th scope="col">Window</th><th scope="col" className="num">{measure}</th><th scope="col" className="num">Events</th><th scope="col">State</th><th scope="col"><span className="visually-hidden">Proof</span></th></tr></thead>
      <tbody>
        {points.toReversed().map((point) => (
          <tr key={point.startMs}>
            <td>{formatWindow(point.startMs, point.endMs)}</td>
            <td className="num">{formatNumber(point.value)}</td>
            <td className="num">{formatNumber(Number(point.point.events))}</td>
            <td>{stateText(point.state, point.point, watermark)}</td>
            <td><button type="button" className="link" onClick={() => onWhy(point)}>Why?</button></td>
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)
