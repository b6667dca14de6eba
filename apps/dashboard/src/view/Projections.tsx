/** All projections at a glance, and the rebuild console of the chosen one. */
import { useQuery } from "@tanstack/react-query"
import { projectionsOptions } from "../data/rebuilds.ts"
import { formatDecimal, formatDuration } from "../model/format.ts"
import { Panel, PanelBody } from "./Panel.tsx"
import { RebuildConsole } from "./RebuildConsole.tsx"
import type { Api } from "../data/graphql.ts"
import type { Projection } from "../data/rebuilds.ts"

export interface ProjectionsProps {
  readonly api: Api
  /** Undefined when this browser may only read. */
  readonly admin: Api | undefined
  readonly chosen: string | undefined
  readonly choose: (projection: string) => void
  readonly nowMs: number
}

interface RowProps {
  readonly projection: Projection
  readonly chosen: boolean
  readonly choose: (projection: string) => void
  readonly nowMs: number
}

const stateText = ({ status, halts }: Projection): string => (status === "HALTED" ? `halted ${halts[0]?.code ?? ""}` : status.toLowerCase())

const Row = ({ projection, chosen, choose, nowMs }: RowProps) => {
  const { name, generation, status, lagEvents, lateEvents, deadLetters, watermark, rebuildOffered, staleView } = projection
  return (
    <tr className={chosen ? "chosen" : undefined}>
      <th scope="row"><button type="button" className="link" aria-pressed={chosen} onClick={() => choose(name)}>{name}</button></th>
      <td className="num" data-name="Generation">{generation}</td>
      <td><span className={status === "LIVE" ? "state good" : "state bad"} title={projection.halts[0]?.detail}>{stateText(projection)}</span>{rebuildOffered ? <small className="muted"> · rebuild offered</small> : null}
        {staleView === null ? null : <small className="muted"> · {staleView.view} shows generation {staleView.generation} for now: {staleView.reason}</small>}</td>
      <td className="num" data-name="Behind, events">{formatDecimal(lagEvents)}</td>
      <td className="num" data-name="Watermark gap">{watermark === null ? "–" : formatDuration(nowMs - Date.parse(watermark))}</td>
      <td className="num" data-name="Late">{formatDecimal(lateEvents)}</td>
      <td className="num" data-name="Dead letters">{formatDecimal(deadLetters)}</td>
    </tr>
  )
}

export const Projections = ({ api, admin, chosen, choose, nowMs }: ProjectionsProps) => {
  const query = useQuery(projectionsOptions(api))
  const projections = query.data ?? []
  const current = projections.find(({ name }) => name === chosen) ?? projections[0]
  return (
    <>
      <Panel title="Projections" note="Each folds the log into a read model of its own. Choose one to rebuild it beside the live one.">
        <PanelBody query={query} hasData={projections.length > 0} className="body-projections" empty={<p>No projection has a generation yet. A projector makes them at its start.</p>}>
          <div className="table-box cards" tabIndex={0} role="region" aria-label="Projections">
            <table>
              <thead><tr><th scope="col">Name</th><th scope="col" className="num">Generation</th><th scope="col">Status</th><th scope="col" className="num">Behind, events</th><th scope="col" className="num">Watermark gap</th><th scope="col" className="num">Late</th><th scope="col" className="num">Dead letters</th></tr></thead>
              <tbody>{projections.map((projection) => <Row key={projection.name} projection={projection} chosen={projection === current} choose={choose} nowMs={nowMs} />)}</tbody>
            </table>
          </div>
        </PanelBody>
      </Panel>
      {current === undefined ? null : <RebuildConsole key={current.name} api={api} admin={admin} projection={current} nowMs={nowMs} />}
    </>
  )
}
