/** The windows in which the two generations differ: as a map, by cause, and one by one with the event that tells them apart. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { differencesOptions } from "../data/rebuilds.ts"
import { byCause, chosenOf, differenceMap, keyTextOf } from "../model/differenceMap.ts"
import { formatClock, formatDay, formatDecimal, formatMoment } from "../model/format.ts"
import { changesOf, valueText } from "../model/rebuild.ts"
import { DifferenceDialog } from "./DifferenceDialog.tsx"
import { DifferenceMap } from "./DifferenceMap.tsx"
import { Failure } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { DifferencePage } from "../data/rebuilds.ts"
import type { Cause, Chosen } from "../model/differenceMap.ts"
import type { Difference, FigureChange, Rebuild } from "../model/rebuild.ts"

/** Figures of a row; the others are in its title. */
const FIGURES_SHOWN = 4
/** Rows drawn; a cell or a cause narrows the list down. */
const ROWS_SHOWN = 100

const changeText = ({ name, old, new: built }: FigureChange): string => `${name} ${valueText(old)} → ${valueText(built)}`

const CAUSES: Readonly<Record<Cause, string>> = { LOGIC: "same events, other value", INPUT: "other events" }

const Row = ({ difference, nowMs, open }: { readonly difference: Difference; readonly nowMs: number; readonly open: () => void }) => {
  const { start, resolution, cause, firstDivergingEvent, noEvent } = difference
  const changes = changesOf(difference)
  const more = changes.length - FIGURES_SHOWN
  return (
    <tr>
      <th scope="row" className="wrap"><button type="button" className="link" onClick={open} title="Both values and the events behind them"><bdi>{keyTextOf(difference)}</bdi></button></th>
      <td><time dateTime={start}>{formatMoment(Date.parse(start), nowMs)}</time><br /><small className="muted">{resolution.toLowerCase()}</small></td>
      <td title={changes.map(changeText).join("\n")}>
        <ul className="changes">{changes.slice(0, FIGURES_SHOWN).map((change) => <li key={change.name}><span className="muted">{change.name}</span> {valueText(change.old)} → {valueText(change.new)}</li>)}</ul>
        {more <= 0 ? null : <small className="muted">and {more} more</small>}
      </td>
      <td className="cause">{CAUSES[cause]}</td>
      <td className="wrap">{firstDivergingEvent === null ? <small>{noEvent?.detail ?? "–"}</small> : (
        <span title={`${firstDivergingEvent.old} → ${firstDivergingEvent.new}`}><code>{firstDivergingEvent.partition}/{firstDivergingEvent.offset}</code> <bdi>{firstDivergingEvent.id}</bdi></span>
      )}</td>
    </tr>
  )
}

const countsText = ({ differ, onlyOld, onlyNew, measures }: NonNullable<DifferencePage["counts"]>): string =>
  [`Of this tenant ${formatDecimal(differ)} windows differ, ${formatDecimal(onlyOld)} are missing, ${formatDecimal(onlyNew)} are new`, ...measures.map(({ measure, windows }) => `${measure} in ${formatDecimal(windows)}`)].join(" · ")

interface CausesProps {
  readonly counts: Readonly<Record<Cause, number>>
  readonly chosen: Chosen
  readonly choose: (chosen: Chosen) => void
}

/** The split by cause, each a filter, and what the list is narrowed down to. */
const Causes = ({ counts, chosen, choose }: CausesProps) => (
  <div className="buttons causes" role="group" aria-label="Cause">
    {(["LOGIC", "INPUT"] as const).map((cause) => (
      <button key={cause} type="button" className="small" aria-pressed={chosen.cause === cause} disabled={counts[cause] === 0} onClick={() => choose({ ...chosen, cause: chosen.cause === cause ? undefined : cause })}>
        {cause === "LOGIC" ? "Logic differs" : "Input differs"} · {formatDecimal(String(counts[cause]))}
      </button>
    ))}
    {chosen.cell === undefined ? null : <button type="button" className="small" onClick={() => choose({ ...chosen, cell: undefined })}>{chosen.cell.keyText}, {formatDay(chosen.cell.hourMs)} {formatClock(chosen.cell.hourMs)} UTC ×</button>}
  </div>
)

const List = ({ differences, rebuild, nowMs, open }: { readonly differences: readonly Difference[]; readonly rebuild: Rebuild; readonly nowMs: number; readonly open: (difference: Difference) => void }) => (
  <>
    <div className="table-box differences" tabIndex={0} role="region" aria-label="Differing windows">
      <table>
        <thead><tr><th scope="col">Key</th><th scope="col">Window, UTC</th><th scope="col">Gen {rebuild.fromGeneration} → gen {rebuild.generation}</th><th scope="col">Cause</th><th scope="col">First diverging event</th></tr></thead>
        <tbody>{differences.slice(0, ROWS_SHOWN).map((node) => <Row key={`${node.resolution} ${node.start} ${node.key.map(({ value }) => value).join("\u0000")}`} difference={node} nowMs={nowMs} open={() => open(node)} />)}</tbody>
      </table>
    </div>
    {differences.length > ROWS_SHOWN ? <p className="note">The first {ROWS_SHOWN} of {formatDecimal(String(differences.length))} are shown: choose a cell or a cause, or ask <code>tidemark rebuild diff {rebuild.projection}</code>.</p> : null}
  </>
)

export const Differences = ({ api, rebuild, nowMs }: { readonly api: Api; readonly rebuild: Rebuild; readonly nowMs: number }) => {
  const query = useQuery(differencesOptions(api, rebuild.id))
  const [chosen, choose] = useState<Chosen>({ cell: undefined, cause: undefined })
  const [opened, setOpened] = useState<Difference>()
  if (query.error !== null) return <Failure error={query.error} retry={query.refetch} />
  if (query.data === undefined) return <div className="skeleton proof-skeleton" role="status" aria-label="Comparing" />
  const { counts, pageInfo } = query.data
  const all = query.data.edges.map(({ node }) => node)
  if (all.length === 0) return <p className="note">No window of this tenant differs.</p>
  const map = differenceMap(chosenOf(all, { cell: undefined, cause: chosen.cause }))
  return (
    <>
      {counts === null ? null : <p className="note">{countsText(counts)}</p>}
      <Causes counts={byCause(all)} chosen={chosen} choose={choose} />
      {map.rows.length === 0 ? null : <DifferenceMap map={map} chosen={chosen.cell} choose={(cell) => choose({ ...chosen, cell })} />}
      <List differences={chosenOf(all, chosen)} rebuild={rebuild} nowMs={nowMs} open={setOpened} />
      {pageInfo.hasNextPage ? <p className="note">The first {formatDecimal(String(all.length))} are mapped; <code>tidemark rebuild diff {rebuild.projection}</code> lists all.</p> : null}
      {opened === undefined ? null : <DifferenceDialog api={api} rebuild={rebuild} difference={opened} close={() => setOpened(undefined)} />}
    </>
  )
}
