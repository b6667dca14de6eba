/** A subscriber over WebSocket that counts the events of a series as it changes. */
import { createClient } from "graphql-ws"
import { WebSocket } from "ws"
import type { ServerUnderTest } from "./serverUnderTest.ts"

const HALF_RANGE_MS = 1_800_000
const QUERY = `subscription ($from: DateTime!, $to: DateTime!) {
  seriesChanged(projection: "page-views", measures: ["views"], from: $from, to: $to, resolution: MINUTE) { groups { points { start events } } }
}`

interface Change {
  readonly seriesChanged: { readonly groups: readonly { readonly points: readonly { readonly start: string; readonly events: string }[] }[] }
}

export interface Subscription {
  /** Messages so far. */
  readonly messages: () => number
  readonly close: () => Promise<void>
}

/** Follows the page views of half an hour around now; tells after each message how many events the series has. Answers once the first message came. */
export const subscribe = ({ url, keys }: ServerUnderTest, onTotal: (events: number) => void): Promise<Subscription> => {
  const client = createClient({ url: `${url.replace(/^http/, "ws")}/graphql`, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${keys.read}` }, retryAttempts: 0 })
  const nowMs = Date.now()
  const counts = new Map<string, number>()
  let messages = 0
  return new Promise((resolve, reject) => {
    client.subscribe<Change>({ query: QUERY, variables: { from: new Date(nowMs - HALF_RANGE_MS).toISOString(), to: new Date(nowMs + HALF_RANGE_MS).toISOString() } }, {
      next: ({ data, errors }) => {
        if (data === undefined || data === null) return reject(new Error(JSON.stringify(errors)))
        for (const { points } of data.seriesChanged.groups) for (const { start, events } of points) counts.set(start, Number(events))
        let total = 0
        for (const events of counts.values()) total += events
        messages += 1
        onTotal(total)
        resolve({ messages: () => messages, close: async () => client.dispose() })
      },
      error: (error) => reject(error instanceof Error ? error : new Error(String(error instanceof Object && "reason" in error ? error.reason : JSON.stringify(error)))),
      complete: () => undefined
    })
  })
}
