/** event show: what became of one event. */
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"
import { durationText } from "../timeText.ts"
import { EVENT_FIELDS, eventLine } from "./events.ts"
import type { LoggedEvent } from "./events.ts"

interface Place {
  readonly resolution: string
  readonly start: string
  readonly state: string | null
  readonly events: string
}

interface Made {
  readonly projection: string
  readonly generation: number
  readonly outcome: string
  readonly key: readonly { readonly value: string }[]
  readonly places: readonly Place[]
  readonly contribution: readonly { readonly name: string; readonly text: string }[]
  readonly lateByMs: number | null
  readonly wasHeld: boolean
  readonly release: { readonly offset: string; readonly at: string; readonly actor: string | null; readonly reason: string | null } | null
  readonly code: string | null
  readonly pointer: string | null
}

interface Journey {
  readonly event: LoggedEvent
  readonly received: { readonly at: string; readonly originalTime: string | null; readonly timeFlag: string | null; readonly source: string; readonly backfill: string | null }
  readonly validated: { readonly checked: boolean; readonly schemaVersion: number }
  readonly appended: { readonly partition: number; readonly offset: string; readonly partitionKey: string }
  readonly windows: readonly Made[]
  readonly repetitions: readonly LoggedEvent[]
  readonly repetitionsTruncated: boolean
}

const JOURNEY = `query ($id: ID!, $at: PartitionOffsetInput) { event(id: $id, at: $at) {
  event { ${EVENT_FIELDS} } received { at originalTime timeFlag source backfill } validated { checked schemaVersion } appended { partition offset partitionKey }
  windows { projection generation outcome key { name value } places { resolution start end state events revision } contribution { name text } lateByMs wasHeld release { offset at actor reason } code pointer }
  repetitions { ${EVENT_FIELDS} } repetitionsTruncated } }`

/** `PARTITION/OFFSET`, as ingest answers it and every listing shows it. */
export const placeOf = (text: string): { readonly partition: number; readonly offset: string } => {
  const [, partition, offset] = /^(\d{1,5})\/(\d{1,19})$/.exec(text) ?? []
  if (partition === undefined || offset === undefined) throw new CliError(`A place in the log is PARTITION/OFFSET, such as 3/1204, got "${text}".`, 2)
  return { partition: Number(partition), offset }
}

const outcomeText = ({ outcome, lateByMs, wasHeld, release, code, pointer }: Made, partition: number): string => {
  const late = lateByMs === null ? "" : `, late by ${durationText(lateByMs)}`
  switch (outcome) {
    case "FOLDED":
      return "counted"
    case "APPLIED":
      return wasHeld ? `counted by hand${release === null ? "" : ` at ${partition}/${release.offset}`}${late}` : `counted${late}`
    case "HELD":
      return `held${late}`
    case "DEAD_LETTER":
      return `dead letter ${code ?? ""} ${pointer ?? ""}`.trim()
    default:
      return outcome.toLowerCase()
  }
}

const placeText = ({ resolution, events, state }: Place): string => `${resolution.toLowerCase()} ${events} ${state === null ? "hidden" : state.toLowerCase()}`

const windowRow = (made: Made, partition: number): readonly string[] => [
  made.projection, String(made.generation), outcomeText(made, partition), made.places[0]?.start ?? "–", made.key.map(({ value }) => value).join(" ") || "–",
  made.contribution.map(({ name, text }) => `${name} ${text}`).join(", ") || "–", made.places.map(placeText).join(" · ") || "–"
]

const timeLine = ({ event, received }: Journey): string => {
  const { originalTime, timeFlag } = received
  if (originalTime === null) return `happened   ${event.time}`
  return `happened   ${event.time}, sent as ${originalTime}${timeFlag === null ? "" : `: ${timeFlag.toLowerCase()}`}`
}

const releaseLine = ({ offset, at, actor, reason }: NonNullable<Made["release"]>, partition: number): string =>
  `released   ${partition}/${offset}, ${at}${actor === null ? "" : ` by ${actor}`}${reason === null ? "" : `: ${reason}`}`

interface Refused {
  readonly receivedAt: string
  readonly code: string
  readonly pointer: string
  readonly detail: string
  readonly body: string
}

const REFUSED = "query ($eventId: ID!) { rejectedEvents(eventId: $eventId, first: 10) { edges { node { id receivedAt eventId type code pointer detail origin body } } } }"

/** Why ingest refused an event that the log does not have; newest first, none when it never came. */
const readRefused = async (client: Client, eventId: string): Promise<readonly Refused[]> =>
  (await client.graphql<{ readonly rejectedEvents: { readonly edges: readonly { readonly node: Refused }[] } }>(REFUSED, { eventId })).rejectedEvents.edges.map(({ node }) => node)

/** Tells the refusals; an event that was refused went no further. */
const showRefused = (refused: readonly Refused[], json: boolean, output: Output): void => {
  if (json) return output.data(JSON.stringify({ refused }))
  for (const { receivedAt, code, pointer, detail, body } of refused) {
    output.data(plain(`received   ${receivedAt}  ${body}`))
    output.data(plain(`refused    ${code}${pointer === "" ? "" : ` ${pointer}`}: ${detail}`))
  }
}

const show = (journey: Journey, output: Output): void => {
  const { event, received, validated, appended, windows, repetitions, repetitionsTruncated } = journey
  output.data(eventLine(event))
  output.data(plain(timeLine(journey)))
  output.data(plain(`received   ${received.at} from ${received.source}${received.backfill === null ? "" : `, import ${received.backfill}`}`))
  output.data(validated.checked ? `validated  by version ${validated.schemaVersion} of the schema of ${plain(event.type)}` : `validated  not: ${plain(event.type)} has no schema`)
  output.data(plain(`appended   ${appended.partition}/${appended.offset}, partition key ${appended.partitionKey}`))
  for (const line of new Set(windows.flatMap(({ release }) => (release === null ? [] : [releaseLine(release, appended.partition)])))) output.data(plain(line))
  for (const again of repetitions) output.data(plain(`again      ${again.partition}/${again.offset}, ${again.time}`))
  if (repetitionsTruncated) output.data("again      more often than is listed")
  output.data(table(["PROJECTION", "GEN", "OUTCOME", "WINDOW (UTC)", "KEY", "ADDED", "EVENTS THERE NOW"], windows.map((made) => windowRow(made, appended.partition))))
}

/** One event and what every projection made of it; exit 1 when it was refused or never came. `at`: its place, when that is known. */
export const showEvent = async (client: Client, id: string, at: string | undefined, json: boolean, output: Output): Promise<void> => {
  const place = at === undefined ? null : placeOf(at)
  const { event: journey } = await client.graphql<{ event: Journey | null }>(JOURNEY, { id, at: place })
  const refused = journey === null && at === undefined ? await readRefused(client, id) : []
  if (refused.length > 0) {
    showRefused(refused, json, output)
    throw new CliError(`The event ${id} was refused and is not in the log: mend it and send it again.`)
  }
  if (journey === null) throw new CliError(at === undefined ? `No event with id ${id} is in the log of this tenant.` : `No event with id ${id} of this tenant is at ${at}.`)
  if (json) output.data(JSON.stringify(journey))
  else show(journey, output)
}
