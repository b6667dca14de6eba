/** Generations of one projection: what serves, what is being built beside it, whether they agree, and the switch. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useCallback, useEffect } from "react"
import { REBUILD_PROGRESS, generationsOptions, rebuildsKey, rebuildsOptions } from "../data/rebuilds.ts"
import { openSocket, persist } from "../data/socket.ts"
import { formatDecimal, formatDuration, formatMoment } from "../model/format.ts"
import { isOver, isRunning, labelOf, placesOf } from "../model/rebuild.ts"
import { CurrentRebuild } from "./CurrentRebuild.tsx"
import { Fact, GenerationFacts, placeText } from "./GenerationFacts.tsx"
import { Panel, PanelBody } from "./Panel.tsx"
import { RebuildActions } from "./RebuildActions.tsx"
import { StartRebuild } from "./StartRebuild.tsx"
import type { QueryClient } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { Api } from "../data/graphql.ts"
import type { Projection } from "../data/rebuilds.ts"
import type { Generation, Rebuild } from "../model/rebuild.ts"
import type { ActionsProps } from "./RebuildActions.tsx"

export interface ConsoleProps {
  readonly api: Api
  readonly admin: Api | undefined
  readonly projection: Projection
  readonly nowMs: number
}

/** Puts a rebuild in the place of its older self, or first when it is new. */
const put = (queryClient: QueryClient, next: Rebuild): void => {
  queryClient.setQueryData<readonly Rebuild[]>(rebuildsKey(next.projection), (known = []) =>
    known.some(({ id }) => id === next.id) ? known.map((one) => (one.id === next.id ? next : one)) : [next, ...known])
}

/** Follows a rebuild until it is over; its differences are asked for again when its parity was. */
const useProgress = (api: Api, rebuild: Rebuild | undefined): void => {
  const queryClient = useQueryClient()
  const id = rebuild === undefined || isOver(rebuild) ? undefined : rebuild.id
  const projection = rebuild?.projection
  useEffect(() => {
    if (id === undefined || projection === undefined) return undefined
    const client = openSocket(api, () => undefined)
    const stop = persist<{ rebuildProgress: Rebuild }>(client, { query: REBUILD_PROGRESS, variables: { id } }, ({ rebuildProgress }) => {
      put(queryClient, rebuildProgress)
      if (rebuildProgress.status === "READY") void queryClient.invalidateQueries({ queryKey: ["differences", id] })
    }, () => void queryClient.invalidateQueries({ queryKey: rebuildsKey(projection) }))
    return () => {
      stop()
      void client.dispose()
    }
  }, [api, id, projection, queryClient])
}

/** What is known of the served generation before its size is measured, and where no generations are told. */
const ServedFacts = ({ projection }: Pick<ConsoleProps, "projection">) => (
  <>
    <Fact name="Definition" figure={<code>{projection.definitionHash.slice(0, 12)}</code>} note={`version ${projection.version}`} />
    <Fact name="Position" figure={placeText(projection.position)} note={`${formatDecimal(projection.lagEvents)} records behind the log`} />
  </>
)

const Blue = ({ projection, generation, nowMs, children }: Pick<ConsoleProps, "projection" | "nowMs"> & { readonly generation: Generation | undefined; readonly children: ReactNode }) => (
  <section className="generation blue" aria-label={`Generation ${projection.generation}, serving`}>
    <h3>Generation {projection.generation} · serving</h3>
    {projection.halts.map((halt) => <p key={halt.code} className="failure" role="alert">{projection.status === "PAUSED" ? "Paused" : "Halted"}, {halt.code}: {halt.detail}</p>)}
    {projection.rebuildOffered ? <p className="note">The shipped definition is another one: a rebuild builds it beside this generation and shows what changes.</p> : null}
    <dl className="facts">
      {generation === undefined ? <ServedFacts projection={projection} /> : <GenerationFacts generation={generation} nowMs={nowMs} />}
      <Fact name="Watermark" figure={projection.watermark === null ? "none yet" : `${formatMoment(Date.parse(projection.watermark), nowMs)} UTC`} note={projection.watermark === null ? "a partition has seen no event" : `gap ${formatDuration(nowMs - Date.parse(projection.watermark))}`} />
    </dl>
    {children}
  </section>
)

/** The way back, or forth again, that stays open while another generation is built. */
const Other = (props: ActionsProps) => (
  <>
    <p className="note">The rebuild of generation {props.rebuild.generation ?? "–"} · {labelOf(props.rebuild.status).toLowerCase()}: {props.rebuild.reason}</p>
    {props.rebuild.standbyHalt === null ? null : <p className="failure" role="alert">The generation on standby has halted ({props.rebuild.standbyHalt}): it is no way back.</p>}
    <RebuildActions {...props} />
  </>
)

const Past = ({ rebuilds, nowMs }: { readonly rebuilds: readonly Rebuild[]; readonly nowMs: number }) => (
  <>
    <h3>Earlier rebuilds</h3>
    <div className="table-box" tabIndex={0} role="region" aria-label="Earlier rebuilds">
      <table>
        <thead><tr><th scope="col">Started, UTC</th><th scope="col" className="num">Generation</th><th scope="col">Status</th><th scope="col">Reason</th></tr></thead>
        <tbody>
          {rebuilds.map(({ id, startedAt, generation, status, reason }) => (
            <tr key={id}><td>{formatMoment(Date.parse(startedAt), nowMs)}</td><td className="num">{generation ?? "–"}</td><td>{labelOf(status)}</td><td className="wrap">{reason}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  </>
)

export const RebuildConsole = ({ api, admin, projection, nowMs }: ConsoleProps) => {
  const queryClient = useQueryClient()
  // What a rebuild says of all tenants is told to the operator's key.
  const reader = admin ?? api
  const query = useQuery(rebuildsOptions(reader, projection.name))
  const { current, other, past } = placesOf(query.data ?? [])
  // A process that serves no rebuilds tells of no generations either: the console does without.
  const generations = useQuery(generationsOptions(reader, projection.name)).data ?? []
  useProgress(reader, current)
  useProgress(reader, other)
  const changed = useCallback((rebuild: Rebuild) => {
    put(queryClient, rebuild)
    void queryClient.invalidateQueries({ queryKey: ["projections"] })
    void queryClient.invalidateQueries({ queryKey: ["generations", rebuild.projection] })
    // A cut-over ends the way back of the one before.
    void queryClient.invalidateQueries({ queryKey: rebuildsKey(rebuild.projection) })
  }, [queryClient])
  return (
    <Panel title={projection.name} note="Rebuild, prove, switch, and roll back within a second.">
      <PanelBody query={query} hasData={query.data !== undefined} className="rebuild" empty={null}>
        <div className="generations">
          <Blue projection={projection} generation={generations.find(({ generation }) => generation === projection.generation)} nowMs={nowMs}>{other === undefined ? null : <Other admin={admin} rebuild={other} nowMs={nowMs} changed={changed} />}</Blue>
          {current === undefined ? null : <CurrentRebuild api={api} admin={admin} rebuild={current} generation={generations.find(({ generation }) => generation === current.generation)} nowMs={nowMs} changed={changed} />}
          {current !== undefined && isRunning(current) ? null : <StartRebuild admin={admin} projection={projection.name} started={changed} />}
        </div>
        {past.length === 0 ? null : <Past rebuilds={past} nowMs={nowMs} />}
      </PanelBody>
    </Panel>
  )
}
