/** What is kept aside: late events, dead letters, refused events; each with why, and what can be done about it. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useId, useState } from "react"
import { deadOptions, lateOptions, rejectedOptions } from "../data/ledgers.ts"
import { projectionsOptions } from "../data/rebuilds.ts"
import { countText, LISTS, LIST_LABELS } from "../model/ledgers.ts"
import { DeadLetters } from "./DeadLetters.tsx"
import { EventJourney } from "./EventJourney.tsx"
import { HeldEvents } from "./HeldEvents.tsx"
import { LateEvents } from "./LateEvents.tsx"
import { Panel, PanelBody } from "./Panel.tsx"
import { RejectedEvents } from "./RejectedEvents.tsx"
import { SidePanel } from "./SidePanel.tsx"
import type { ReactNode } from "react"
import type { Api } from "../data/graphql.ts"
import type { ListPage } from "../data/ledgers.ts"
import type { ListName, PlacedEvent } from "../model/ledgers.ts"

/** What every list needs. */
export interface ListProps {
  readonly nowMs: number
  /** Opens the journey of an event. */
  readonly follow: (event: PlacedEvent) => void
}

interface Growing<Node> {
  readonly data: { readonly pages: readonly ListPage<Node>[] } | undefined
  readonly hasNextPage: boolean
  readonly isFetchingNextPage: boolean
  readonly fetchNextPage: () => unknown
  readonly isPending: boolean
  readonly error: Error | null
  readonly refetch: () => unknown
}

const nodesOf = <Node,>({ data }: Growing<Node>): readonly Node[] => data?.pages.flatMap(({ edges }) => edges.map(({ node }) => node)) ?? []

const countOf = (query: Growing<unknown>): string => (query.data === undefined ? "" : countText(nodesOf(query).length, query.hasNextPage))

const List = <Node,>({ query, empty, children }: { readonly query: Growing<Node>; readonly empty: ReactNode; readonly children: (nodes: readonly Node[]) => ReactNode }) => {
  const nodes = nodesOf(query)
  return (
    <PanelBody query={query} hasData={nodes.length > 0} className="ledger" empty={empty}>
      {children(nodes)}
      {query.hasNextPage ? <button type="button" className="small" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>{query.isFetchingNextPage ? "Reading …" : "Show more"}</button> : null}
    </PanelBody>
  )
}

const NOTES: Readonly<Record<ListName, string>> = {
  held: "They came later than the projection revises by itself, so they are in no number. Counting them by hand revises their windows, once, and survives every rebuild.",
  late: "Their minute had closed when they came. They were counted as corrections: their windows are marked revised.",
  dead: "They were accepted, and the projection cannot fold them. A corrected definition is a new version: its rebuild counts them.",
  rejected: "Ingest refused them, for every projection alike. They are kept as they were received."
}

interface LedgersProps {
  readonly api: Api
  /** Undefined when this browser may only read. */
  readonly writer: Api | undefined
  readonly projection: string | undefined
  readonly list: ListName
  readonly choose: (projection: string | undefined, list: ListName) => void
  readonly nowMs: number
}

const EMPTY: Readonly<Record<Exclude<ListName, "rejected">, (projection: string) => ReactNode>> = {
  held: (projection) => <p>Nothing of {projection} is held: every late event came soon enough to be counted by itself.</p>,
  late: (projection) => <p>No event of {projection} came after its minute had closed.</p>,
  dead: (projection) => <p>{projection} could fold every event it handles.</p>
}

interface OneProps extends Omit<LedgersProps, "projection"> {
  readonly names: readonly string[]
  readonly projection: string
}

/** The lists of one projection; the counts of all are shown with each. */
const Lists = ({ api, writer, projection, list, names, choose, nowMs }: OneProps) => {
  const id = useId()
  const [followed, follow] = useState<PlacedEvent>()
  const held = useInfiniteQuery(lateOptions(api, projection, "HELD"))
  const late = useInfiniteQuery(lateOptions(api, projection, "APPLIED"))
  const dead = useInfiniteQuery(deadOptions(api, projection))
  const rejected = useInfiniteQuery(rejectedOptions(api))
  const counts: Readonly<Record<ListName, string>> = { held: countOf(held), late: countOf(late), dead: countOf(dead), rejected: countOf(rejected) }
  const chooser = (
    <label className="field" htmlFor={id}>
      <span>Projection </span>
      <select id={id} value={projection} onChange={(event) => choose(event.target.value, list)}>{names.map((name) => <option key={name} value={name}>{name}</option>)}</select>
    </label>
  )
  return (
    <Panel title="Late & rejected" note={NOTES[list]} actions={chooser} className="ledgers">
      <div className="tabs" role="group" aria-label="List">
        {LISTS.map((name) => <button key={name} type="button" aria-pressed={name === list} onClick={() => choose(projection, name)}>{LIST_LABELS[name]} <span className="count">{counts[name]}</span></button>)}
      </div>
      {list === "held" ? <List query={held} empty={EMPTY.held(projection)}>{(events) => <HeldEvents writer={writer} projection={projection} events={events} nowMs={nowMs} follow={follow} />}</List> : null}
      {list === "late" ? <List query={late} empty={EMPTY.late(projection)}>{(events) => <LateEvents events={events} nowMs={nowMs} follow={follow} />}</List> : null}
      {list === "dead" ? <List query={dead} empty={EMPTY.dead(projection)}>{(letters) => <DeadLetters projection={projection} letters={letters} follow={follow} />}</List> : null}
      {list === "rejected" ? <List query={rejected} empty={<p>No refused event is kept: ingest took every one, or they are older than is kept.</p>}>{(events) => <RejectedEvents writer={writer} events={events} nowMs={nowMs} follow={follow} />}</List> : null}
      {followed === undefined ? null : <SidePanel note={`Event at ${followed.partition}/${followed.offset}`} title={<bdi>{followed.id}</bdi>} close={() => follow(undefined)}><EventJourney api={api} event={followed} /></SidePanel>}
    </Panel>
  )
}

export const Ledgers = (props: LedgersProps) => {
  const query = useQuery(projectionsOptions(props.api))
  const names = query.data?.map(({ name }) => name) ?? []
  const projection = names.find((name) => name === props.projection) ?? names[0]
  if (projection !== undefined) return <Lists key={projection} {...props} names={names} projection={projection} />
  return (
    <Panel title="Late & rejected">
      <PanelBody query={query} hasData={false} className="ledger" empty={<p>No projection has a generation yet. A projector makes them at its start.</p>}>{null}</PanelBody>
    </Panel>
  )
}
