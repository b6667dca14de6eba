/** send, tail, events find. */
import { createClient } from "graphql-ws"
import { WebSocket } from "ws"
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
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

/** Sends one event; `data` is JSON text. Exit 1 when it is rejected. */
export const send = async (client: Client, type: string, data: string | undefined, json: boolean, output: Output): Promise<void> => {
  if (data !== undefined) {
    try {
      JSON.parse(data)
    } catch (error) {
      throw new CliError(`The data is not JSON: ${(error as Error).message}`, 2)
    }
  }
  const headers = { authorization: `Bearer ${client.keyFor("write")}`, "content-type": "application/json" }
  const body = `{"type":${JSON.stringify(type)}${data === undefined ? "" : `,"data":${data}`}}`
  const response = await client.request("/v1/events", { method: "POST", headers, body })
  const answer = (await response.json()) as { results?: { id?: string; status: string; partition?: number; offset?: string; code?: string; pointer?: string; detail?: string; hint?: string }[]; detail?: string; code?: string }
  const result = answer.results?.[0]
  if (json) output.data(JSON.stringify(answer))
  if (result === undefined) throw new CliError(`${response.status} ${answer.code ?? ""}: ${answer.detail ?? ""}`)
  if (result.status === "rejected") throw new CliError(`rejected: ${result.code ?? ""} ${result.pointer ?? ""} ${result.detail ?? ""} ${result.hint ?? ""}`.trim())
  if (!json) output.data(`${result.status} ${result.id ?? ""} at ${result.partition ?? "–"}/${result.offset ?? "–"}`)
}

/** Prints events as they are stored, until interrupted. */
export const tail = async (client: Client, type: string | undefined, json: boolean, output: Output): Promise<void> => {
  const live = createClient({
    url: client.url.replace(/^http/, "ws") + "/graphql",
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${client.keyFor("read")}` },
    retryAttempts: Infinity,
    keepAlive: 10_000
  })
  const filter = type === undefined ? null : { types: [type] }
  const query = `subscription ($filter: EventFilter) { eventTail(filter: $filter) { ${EVENT_FIELDS} } }`
  for await (const result of live.iterate<{ eventTail: LoggedEvent }>({ query, variables: { filter } })) {
    const event = result.data?.eventTail
    if (event !== undefined) output.data(json ? JSON.stringify(event) : eventLine(event))
    else throw new CliError(result.errors?.[0]?.message ?? "the subscription ended")
  }
}

export interface FindOptions {
  readonly type?: string
  readonly user?: string
  readonly session?: string
  readonly text?: string
  readonly from?: string
  readonly to?: string
  readonly first: number
}

/** Searches the log, newest first. */
export const find = async (client: Client, options: FindOptions, json: boolean, output: Output): Promise<void> => {
  const filter = {
    ...(options.type === undefined ? {} : { types: [options.type] }),
    ...(options.user === undefined ? {} : { userId: options.user }),
    ...(options.session === undefined ? {} : { sessionId: options.session }),
    ...(options.text === undefined ? {} : { text: options.text }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to })
  }
  const query = `query ($filter: EventFilter, $first: Int) { events(filter: $filter, first: $first) { edges { node { ${EVENT_FIELDS} } } pageInfo { hasNextPage } } }`
  const { events } = await client.graphql<{ events: { edges: { node: LoggedEvent }[]; pageInfo: { hasNextPage: boolean } } }>(query, { filter, first: options.first })
  for (const { node } of events.edges) output.data(json ? JSON.stringify(node) : eventLine(node))
  if (events.edges.length === 0) output.note("No event matches. `tidemark tail` shows what arrives.")
  else if (events.pageInfo.hasNextPage) output.note(`More match: narrow the search or raise --first (now ${options.first}).`)
}
