/** The windows in which the two generations differ, with the cause and the first event that tells them apart. */
import { useQuery } from "@tanstack/react-query"
import { differencesOptions } from "../data/rebuilds.ts"
import { formatDecimal, formatMoment } from "../model/format.ts"
import { Failure } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { Difference, Rebuild } from "../model/rebuild.ts"

const value = (text: string | null): string => (text === null ? "–" : /^-?\d+(\.\d+)?$/.test(text) ? formatDecimal(text) : text)

const Row = ({ difference }: { readonly difference: Difference }) => {
  const { key, start, resolution, old, new: built, cause, firstDivergingEvent, noEvent } = difference
  return (
    <tr>
      <th scope="row" className="wrap"><bdi>{key.map((dimension) => dimension.value).join(" · ")}</bdi></th>
      <td><time dateTime={start}>{formatMoment(Date.parse(start), 0)}</time> <small className="muted">{resolution.toLowerCase()}</small></td>
      <td className="num">{value(old)}</td>
      <td className="num">{value(built)}</td>
      <td>{cause === "LOGIC" ? "same events, other value" : "other events"}</td>
      <td className="wrap">{firstDivergingEvent === null ? <small>{noEvent?.detail ?? "–"}</small> : (
        <><code>{firstDivergingEvent.partition}/{firstDivergingEvent.offset}</code> <bdi>{firstDivergingEvent.id}</bdi><br /><small className="muted">{firstDivergingEvent.old} → {firstDivergingEvent.new}</small></>
      )}</td>
    </tr>
  )
}

export const Differences = ({ api, rebuild }: { readonly api: Api; readonly rebuild: Rebuild }) => {
  const query = useQuery(differencesOptions(api, rebuild.id))
  if (query.error !== null) return <Failure error={query.error} retry={query.refetch} />
  if (query.data === undefined) return <div className="skeleton proof-skeleton" role="status" aria-label="Comparing" />
  const { edges, pageInfo } = query.data
  return (
    <>
      <div className="table-box differences" tabIndex={0} role="region" aria-label="Differing windows">
        <table>
          <thead><tr><th scope="col">Key</th><th scope="col">Window, UTC</th><th scope="col" className="num">Gen {rebuild.fromGeneration}</th><th scope="col" className="num">Gen {rebuild.generation}</th><th scope="col">Cause</th><th scope="col">First diverging event</th></tr></thead>
          <tbody>{edges.map(({ node }) => <Row key={`${node.resolution} ${node.start} ${node.key.map(({ value: text }) => text).join("\u0000")}`} difference={node} />)}</tbody>
        </table>
      </div>
      {pageInfo.hasNextPage ? <p className="note">The first {edges.length} are listed; <code>tidemark rebuild diff {rebuild.projection}</code> lists all.</p> : null}
    </>
  )
}
