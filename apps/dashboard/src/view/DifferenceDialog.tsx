/** One differing window: every figure in both generations, the events behind them, and the first at which they part. */
import { useQuery } from "@tanstack/react-query"
import { differingWindowOptions } from "../data/rebuilds.ts"
import { formatDecimal, formatMoment, formatPayload } from "../model/format.ts"
import { keyTextOf } from "../model/differenceMap.ts"
import { valueText } from "../model/rebuild.ts"
import { Failure } from "./Panel.tsx"
import { SidePanel } from "./SidePanel.tsx"
import type { Api } from "../data/graphql.ts"
import type { Difference, DifferingWindow, Rebuild } from "../model/rebuild.ts"

export interface DifferenceDialogProps {
  readonly api: Api
  readonly rebuild: Rebuild
  readonly difference: Difference
  readonly close: () => void
}

const Figures = ({ window: { figures }, rebuild }: { readonly window: DifferingWindow; readonly rebuild: Rebuild }) => (
  <table className="figures-pair">
    <thead><tr><th scope="col">Figure</th><th scope="col" className="num">Gen {rebuild.fromGeneration}</th><th scope="col" className="num">Gen {rebuild.generation}</th></tr></thead>
    <tbody>
      {figures.map(({ name, old, new: now }) => (
        <tr key={name} className={old === now ? "same" : undefined}><th scope="row">{name}{old === now ? null : <span className="visually-hidden"> differs</span>}</th><td className="num">{old === null ? "–" : valueText(old)}</td><td className="num">{now === null ? "–" : valueText(now)}</td></tr>
      ))}
    </tbody>
  </table>
)

const sideText = (countedBy: "BOTH" | "OLD" | "NEW", { fromGeneration, generation }: Rebuild): string => (countedBy === "BOTH" ? "both" : `only gen ${countedBy === "OLD" ? fromGeneration : generation}`)

const Events = ({ window: { events, both, onlyOld, onlyNew, firstDivergingEvent: first }, rebuild }: { readonly window: DifferingWindow; readonly rebuild: Rebuild }) => {
  const all = BigInt(both) + BigInt(onlyOld) + BigInt(onlyNew)
  return (
    <>
      <h3>Events: {formatDecimal(both)} counted by both · {formatDecimal(onlyOld)} only by gen {rebuild.fromGeneration} · {formatDecimal(onlyNew)} only by gen {rebuild.generation}</h3>
      <ol className="proof-events">
        {events.map(({ countedBy, event }) => (
          <li key={`${event.partition}/${event.offset}`} className={countedBy === "BOTH" ? undefined : "apart"}>
            <time dateTime={event.time}>{formatMoment(Date.parse(event.time), 0)} UTC</time>
            <strong>{event.type}</strong>
            <span className="side-marks"><span className={countedBy === "BOTH" ? "chip" : "chip only"}>{sideText(countedBy, rebuild)}</span>{first?.partition === event.partition && first.offset === event.offset ? <span className="chip only">first to differ</span> : null} <code>{event.partition}/{event.offset}</code></span>
            <span className="event-data">{formatPayload(event.data)}</span>
          </li>
        ))}
      </ol>
      {all > BigInt(events.length) ? <p className="note">{formatDecimal(String(events.length))} of {formatDecimal(String(all))} events, those first that only one side counts.</p> : null}
    </>
  )
}

const First = ({ difference: { firstDivergingEvent: first, noEvent } }: { readonly difference: Difference }) =>
  first === null ? <p className="verdict fails"><span aria-hidden="true">!</span>No event tells the two apart: {noEvent?.detail ?? "the reason was not kept"}</p> : (
    <div className="verdict"><span aria-hidden="true">→</span><p>They part at <bdi>{first.id}</bdi> ({first.type})</p><code>{first.partition}/{first.offset}: {first.old === "" ? "–" : first.old} → {first.new === "" ? "–" : first.new}</code></div>
  )

const Body = ({ api, rebuild, difference }: Omit<DifferenceDialogProps, "close">) => {
  const query = useQuery(differingWindowOptions(api, rebuild.id, difference))
  if (query.error !== null) return <Failure error={query.error} retry={query.refetch} />
  if (query.data === undefined) return <div className="skeleton proof-skeleton" role="status" aria-label="Reading the events" />
  if (query.data === null) return <p className="note">The rebuild is gone.</p>
  if (query.data.fault !== null) return <p className="failure">What is stored is not what its events give: {query.data.fault}</p>
  return <><Figures window={query.data} rebuild={rebuild} /><Events window={query.data} rebuild={rebuild} /></>
}

export const DifferenceDialog = ({ close, ...props }: DifferenceDialogProps) => {
  const { rebuild, difference } = props
  return (
    <SidePanel note={`${rebuild.projection} · ${difference.resolution.toLowerCase()} from ${formatMoment(Date.parse(difference.start), 0)} UTC · ${difference.cause === "LOGIC" ? "same events, other value" : "other events"}`} title={<bdi>{keyTextOf(difference)}</bdi>} close={close}>
      <First difference={difference} />
      <Body {...props} />
    </SidePanel>
  )
}
