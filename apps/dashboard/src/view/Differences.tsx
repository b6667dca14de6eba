/** The windows in which the two generations differ, with the cause and the first event that tells them apart. */
import { useQuery } from "@tanstack/react-query"
import { differencesOptions } from "../data/rebuilds.ts"
import type { DifferencePage } from "../data/rebuilds.ts"
import { formatDecimal, formatMoment } from "../model/format.ts"
import { changesOf } from "../model/rebuild.ts"
import { Failure } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { Difference, FigureChange, Rebuild } from "../model/rebuild.ts"

/** Figures of a row; the others are in its title. */
const FIGURES_SHOWN = 4

/** Estimates are doubles: two digits of them say enough. */
const value = (text: string): string => (/^-?\d+(\.\d+)?$/.test(text) ? formatDecimal(/\.\d{7,}$/.test(text) ? Number(text).toFixed(2) : text) : text)
const changeText = ({ name, old, new: built }: FigureChange): string => `${name} ${value(old)} → ${value(built)}`

const Row = ({ difference }: { readonly difference: Difference }) => {
  const { key, start, resolution, cause, firstDivergingEvent, noEvent } = difference
  const changes = changesOf(difference)
  const more = changes.length - FIGURES_SHOWN
  return (
    <tr>
      <th scope="row" className="wrap"><bdi>{key.map((dimension) => dimension.value).join(" · ")}</bdi></th>
      <td><time dateTime={start}>{formatMoment(Date.parse(start), 0)}</time> <small className="muted">{resolution.toLowerCase()}</small></td>
      <td title={changes.map(changeText).join("\n")}>
        <ul className="changes">{changes.slice(0, FIGURES_SHOWN).map((change) => <li key={change.name}><span className="muted">{change.name}</span> {value(change.old)} → {value(change.new)}</li>)}</ul>
        {more <= 0 ? null : <small className="muted">and {more} more</small>}
      </td>
      <td>{cause === "LOGIC" ? "same events, other value" : "other events"}</td>
      <td className="wrap">{firstDivergingEvent === null ? <small>{noEvent?.detail ?? "–"}</small> : (
        <span title={`${firstDivergingEvent.old} → ${firstDivergingEvent.new}`}><code>{firstDivergingEvent.partition}/{firstDivergingEvent.offset}</code> <bdi>{firstDivergingEvent.id}</bdi></span>
      )}</td>
    </tr>
  )
}

const countsText = ({ differ, onlyOld, onlyNew, measures }: NonNullable<DifferencePage["counts"]>): string =>
  [`Of this tenant ${formatDecimal(differ)} windows differ, ${formatDecimal(onlyOld)} are missing, ${formatDecimal(onlyNew)} are new`, ...measures.map(({ measure, windows }) => `${measure} in ${formatDecimal(windows)}`)].join(" · ")

export const Differences = ({ api, rebuild }: { readonly api: Api; readonly rebuild: Rebuild }) => {
  const query = useQuery(differencesOptions(api, rebuild.id))
  if (query.error !== null) return <Failure error={query.error} retry={query.refetch} />
  if (query.data === undefined) return <div className="skeleton proof-skeleton" role="status" aria-label="Comparing" />
  const { edges, counts, pageInfo } = query.data
  return (
    <>
      {counts === null ? null : <p className="note">{countsText(counts)}</p>}
      <div className="table-box differences" tabIndex={0} role="region" aria-label="Differing windows">
        <table>
          <thead><tr><th scope="col">Key</th><th scope="col">Window, UTC</th><th scope="col">Gen {rebuild.fromGeneration} → gen {rebuild.generation}</th><th scope="col">Cause</th><th scope="col">First diverging event</th></tr></thead>
          <tbody>{edges.map(({ node }) => <Row key={`${node.resolution} ${node.start} ${node.key.map(({ value: text }) => text).join("\u0000")}`} difference={node} />)}</tbody>
        </table>
      </div>
      {pageInfo.hasNextPage ? <p className="note">The first {edges.length} are listed; <code>tidemark rebuild diff {rebuild.projection}</code> lists all.</p> : null}
    </>
  )
}
