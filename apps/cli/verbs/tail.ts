/** tail: events as they are stored. */
import { createClient } from "graphql-ws"
import { WebSocket } from "ws"
import type { Client } from "../client.ts"
import { CliError, refusalOf, unreachable } from "../client.ts"
import type { Output } from "../output.ts"
import type { LoggedEvent } from "./events.ts"
import { EVENT_FIELDS, eventLine } from "./events.ts"

const UNAUTHORIZED = 4401
const FORBIDDEN = 4403
const RETRY_MS = 1_000

/** What ended a subscription, as one sentence. A close has a numeric code. */
const faultOf = (error: unknown, url: string): CliError => {
  if (Array.isArray(error)) {
    const [first] = error as readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
    return new CliError(`${first?.message ?? "The subscription ended."} (${first?.extensions?.code ?? "ERROR"})`)
  }
  const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown }
  if (code === UNAUTHORIZED) return refusalOf(401, { code: "UNAUTHENTICATED", detail: "The key is not valid" }, "read")
  if (code === FORBIDDEN) return refusalOf(403, { code: "FORBIDDEN", detail: "This needs a read or an admin key" }, "read")
  if (typeof code === "number") return new CliError(`Tidemark ended the connection: ${typeof reason === "string" && reason !== "" ? reason : "no reason given"} (${code}).`)
  return unreachable(url)
}

/** Codes from here on are the server's own: it has something against this client. */
const OWN_CODES = 4_000

/** Faults and closes after which it makes sense to connect again, such as a restart of the server. */
const isPassing = (error: unknown): boolean => {
  const { code } = error as { readonly code?: unknown }
  return typeof code !== "number" || code < OWN_CODES
}

/** Prints events as they are stored, until interrupted. A lost connection is made again; a first one that fails ends it. */
export const tail = async (client: Client, type: string | undefined, json: boolean, output: Output): Promise<void> => {
  let [connected, lost] = [false, false]
  const live = createClient({
    url: client.url.replace(/^http/, "ws") + "/graphql",
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${client.keyFor("read")}` },
    retryAttempts: Infinity,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, RETRY_MS)),
    shouldRetry: (error) => connected && isPassing(error),
    keepAlive: 10_000,
    on: {
      connected: () => {
        if (lost) output.note("Connected again. What was stored in between is in: tidemark events find")
        else output.note("Waiting for events; Ctrl-C ends.")
        ;[connected, lost] = [true, false]
      },
      closed: (event) => {
        if (connected && !lost && isPassing(event)) output.note("The connection is lost; trying again …")
        lost = connected
      }
    }
  })
  const filter = type === undefined ? null : { types: [type] }
  const query = `subscription ($filter: EventFilter) { eventTail(filter: $filter) { ${EVENT_FIELDS} } }`
  try {
    for await (const result of live.iterate<{ eventTail: LoggedEvent }>({ query, variables: { filter } })) {
      const event = result.data?.eventTail
      if (event === undefined) throw result.errors ?? new CliError("The subscription ended.")
      output.data(json ? JSON.stringify(event) : eventLine(event))
      await output.drained?.()
    }
  } catch (error) {
    throw error instanceof CliError ? error : faultOf(error, client.url)
  }
}
