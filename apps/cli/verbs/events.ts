/** send, events find. */
import type { Client, Problem } from "../client.ts"
import { CliError, jsonOf, refusalOf } from "../client.ts"
import type { Output } from "../output.ts"
import { pairsOf } from "../pairs.ts"
import { checkRange } from "../timeText.ts"
import { plain } from "../output.ts"

export interface LoggedEvent {
  readonly id: string
  readonly type: string
  readonly time: string
  readonly partition: number
  readonly offset: string
  readonly userId: string | null
  readonly data: unknown
}

export const EVENT_FIELDS = "id type time receivedAt partition offset userId anonymousId sessionId source schemaVersion backfill data"
/** One event on one line. */
export const eventLine = (event: LoggedEvent): string => `${event.time}  ${event.partition}/${event.offset}  ${event.type}  ${event.id}  ${plain(JSON.stringify(event.data) ?? "")}`

interface SendAnswer extends Problem {
  readonly results?: readonly { readonly id?: string | null; readonly status: string; readonly partition?: number; readonly offset?: string }[]
}

/** Throws `CliError` (usage) unless the text is JSON. */
const checkJson = (data: string): void => {
  try {
    JSON.parse(data)
  } catch (error) {
    throw new CliError(data.trim() === "" ? "The data is empty: give JSON as an argument, or - and JSON on standard input." : `The data is not JSON: ${(error as Error).message}.`, 2)
  }
}

/** Sends one event; `data` is JSON text. Exit 1 when it is rejected. */
export const send = async (client: Client, type: string, data: string | undefined, json: boolean, output: Output): Promise<void> => {
  if (data !== undefined) checkJson(data)
  const headers = { authorization: `Bearer ${client.keyFor("write")}`, "content-type": "application/json" }
  const body = `{"type":${JSON.stringify(type)}${data === undefined ? "" : `,"data":${data}`}}`
  const response = await client.request("/v1/events", { method: "POST", headers, body })
  const answer = await jsonOf<SendAnswer>(response)
  const result = answer.results?.[0]
  if (json) output.data(JSON.stringify(answer))
  if (!response.ok || result === undefined) throw refusalOf(response.status, answer, "write")
  if (!json) output.data(`${result.status} ${result.id ?? ""} at ${result.partition ?? "–"}/${result.offset ?? "–"}`)
}

export interface FindOptions {
  readonly type?: string
  readonly user?: string
  readonly session?: string
  readonly text?: string
  readonly from?: string
  readonly to?: string
  readonly where?: readonly string[]
  readonly first: number
}

const filterOf = ({ type, user, session, text, from, to, where }: FindOptions) => ({
  ...(type === undefined ? {} : { types: [type] }),
  ...(user === undefined ? {} : { userId: user }),
  ...(session === undefined ? {} : { sessionId: session }),
  ...(text === undefined ? {} : { text }),
  ...(from === undefined ? {} : { from }),
  ...(to === undefined ? {} : { to }),
  ...(where === undefined ? {} : { where: pairsOf(where).map(([path, equals]) => ({ path, equals })) })
})

interface EventPage {
  readonly edges: readonly { readonly node: LoggedEvent }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const EVENTS = `query ($filter: EventFilter, $first: Int, $after: String) { events(filter: $filter, first: $first, after: $after) { edges { node { ${EVENT_FIELDS} } } pageInfo { hasNextPage endCursor } } }`

/** Searches the log, newest first. One answer looks at so many records only, so it asks on until enough are found. */
export const find = async (client: Client, options: FindOptions, json: boolean, output: Output): Promise<void> => {
  checkRange(options.from, options.to)
  const filter = filterOf(options)
  let [found, after, more]: [number, string | null, boolean] = [0, null, true]
  while (more && found < options.first) {
    const { events }: { events: EventPage } = await client.graphql(EVENTS, { filter, first: options.first - found, after })
    for (const { node } of events.edges) output.data(json ? JSON.stringify(node) : eventLine(node))
    found += events.edges.length
    after = events.pageInfo.endCursor
    more = events.pageInfo.hasNextPage
  }
  if (found === 0) output.note("No event matches. `tidemark tail` shows what arrives.")
  else if (more) output.note(`More match: narrow the search or raise --first (now ${options.first}).`)
}
