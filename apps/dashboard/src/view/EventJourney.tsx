/** What every projection made of one event, read when it is asked for. */
import { useQuery } from "@tanstack/react-query"
import { journeyOptions } from "../data/questions.ts"
import { formatMoment } from "../model/format.ts"
import { addsText, concerned, outcomeText, timeText, windowText } from "../model/journey.ts"
import { Failure } from "./Panel.tsx"
import type { Api } from "../data/graphql.ts"
import type { Journey, Made } from "../model/journey.ts"
import type { PlacedEvent } from "../model/ledgers.ts"

const MadeRow = ({ made }: { readonly made: Made }) => {
  const window = windowText(made, Date.now())
  const adds = addsText(made)
  return (
    <li>
      <strong>{made.projection}</strong>
      <span>{outcomeText(made)}</span>
      {window === undefined ? null : (
        <span>
          <bdi>{made.key.map(({ value }) => value).join(" · ")}</bdi>, {window}
        </span>
      )}
      {adds === "" ? null : <span>{adds}</span>}
    </li>
  )
}

const CameIn = ({ journey, event }: { readonly journey: Journey; readonly event: PlacedEvent }) => {
  const { received, validated } = journey
  const time = timeText(received)
  return (
    <p className="note">
      Received {formatMoment(Date.parse(received.at), Date.now())} UTC from <bdi>{received.source}</bdi>{time === undefined ? "" : ` · ${time}`}
      {" · "}{validated.checked ? `checked by version ${validated.schemaVersion} of its schema` : "its type has no schema"}{" · "}stored at {event.partition}/{event.offset}
    </p>
  )
}

export const EventJourney = ({ api, event }: { readonly api: Api; readonly event: PlacedEvent }) => {
  const query = useQuery(journeyOptions(api, event))
  const journey = query.data
  const windows = concerned(journey?.windows ?? [])
  return (
    <div className="journey">
      {query.isPending ? <div className="skeleton journey-skeleton" role="status" aria-label="Reading what became of it" /> : null}
      {query.error === null ? null : <Failure error={query.error} retry={query.refetch} />}
      {journey === undefined || journey === null ? null : (
        <>
          <CameIn journey={journey} event={event} />
          {windows.length === 0 ? <p className="note">No projection handles this type.</p> : <ul aria-label="What the projections made of it">{windows.map((made) => <MadeRow key={made.projection} made={made} />)}</ul>}
        </>
      )}
    </div>
  )
}
