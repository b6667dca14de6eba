/** Where two generations differ: key by hour. Blank is equal; a cell is chosen by click, or by arrow keys and Enter. */
import { useEffect, useRef, useState } from "react"
import { formatClock, formatDay } from "../model/format.ts"
import { nextCell } from "../model/differenceMap.ts"
import type { KeyboardEvent } from "react"
import type { Chosen, DifferenceMap as Map, MapCell } from "../model/differenceMap.ts"

export interface MapProps {
  readonly map: Map
  readonly chosen: Chosen["cell"]
  readonly choose: (cell: Chosen["cell"]) => void
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }

const causeText = ({ logic, input }: MapCell): string => [...(logic > 0 ? [`${logic} by logic`] : []), ...(input > 0 ? [`${input} by other events`] : [])].join(", ")
const cellText = (cell: MapCell): string => `${cell.keyText}, ${formatDay(cell.hourMs)} ${formatClock(cell.hourMs)} UTC: ${cell.windows} ${cell.windows === 1 ? "window" : "windows"}, ${causeText(cell)}`

const leftOutText = ({ keysLeftOut, hoursLeftOut, days }: Map): string =>
  [...(keysLeftOut > 0 ? [`${keysLeftOut} more keys`] : []), ...(hoursLeftOut > 0 ? [`${hoursLeftOut} earlier hours`] : []), ...(days > 0 ? [`${days} ${days === 1 ? "day" : "days"} as a whole`] : [])].join(", ")

/** Days are named where they begin. */
const hourHead = (hourMs: number, at: number) => (
  <th scope="col" key={hourMs}>{at === 0 || hourMs % 86_400_000 === 0 ? <span className="map-day">{formatDay(hourMs)}</span> : null}<span>{formatClock(hourMs).slice(0, 2)}</span></th>
)

export const DifferenceMap = ({ map, chosen, choose }: MapProps) => {
  const grid = useRef<HTMLTableElement>(null)
  const first = map.rows[0]?.cells.findIndex((cell) => cell !== undefined) ?? 0
  // The latest hours are at the end.
  const box = useRef<HTMLDivElement>(null)
  const span = map.hours.length
  useEffect(() => {
    if (box.current !== null) box.current.scrollLeft = box.current.scrollWidth
  }, [span])
  const [at, setAt] = useState<readonly [number, number]>([0, Math.max(0, first)])
  // The list may have become another one since.
  const place = map.rows[at[0]]?.cells[at[1]] === undefined ? ([0, Math.max(0, first)] as const) : at
  const walk = (event: KeyboardEvent): void => {
    const step = ARROWS[event.key]
    const next = step === undefined ? undefined : nextCell(map, place, step)
    if (step === undefined) return
    event.preventDefault()
    event.stopPropagation()
    if (next === undefined) return
    setAt(next)
    grid.current?.querySelector<HTMLElement>(`[data-place="${next.join(" ")}"]`)?.focus()
  }
  const isChosen = ({ keyText, hourMs }: MapCell): boolean => chosen?.keyText === keyText && chosen.hourMs === hourMs
  const leftOut = leftOutText(map)
  return (
    <>
      <div className="table-box map-box" ref={box} tabIndex={-1}>
        <table className="map" ref={grid} onKeyDown={walk} aria-label="Differing windows by key and hour, UTC; arrow keys move from one to the next">
          <thead><tr><th scope="col">Key</th>{map.hours.map(hourHead)}</tr></thead>
          <tbody>
            {map.rows.map(({ keyText, cells }, row) => (
              <tr key={keyText}>
                <th scope="row" title={keyText}><bdi>{keyText}</bdi></th>
                {cells.map((cell, column) => (
                  <td key={map.hours[column]}>{cell === undefined ? null : (
                    <button type="button" className={`cell heat-${cell.heat}${cell.logic === 0 ? " by-input" : ""}`} data-place={`${row} ${column}`} tabIndex={row === place[0] && column === place[1] ? 0 : -1} aria-pressed={isChosen(cell)} aria-label={cellText(cell)} title={cellText(cell)}
                      onFocus={() => setAt([row, column])} onClick={() => choose(isChosen(cell) ? undefined : { keyText: cell.keyText, hourMs: cell.hourMs })}>{cell.windows}</button>
                  )}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="note map-legend"><span className="cell heat-2" aria-hidden="true" /> same events, other value <span className="cell heat-2 by-input" aria-hidden="true" /> other events · blank: equal · windows an hour{leftOut === "" ? "" : ` · not in the map: ${leftOut}`}</p>
    </>
  )
}
