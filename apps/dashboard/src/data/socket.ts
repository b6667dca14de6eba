/** One WebSocket per page, and subscriptions that outlive its interruptions. */
import { CloseCode, createClient } from "graphql-ws"
import type { Client } from "graphql-ws"
import type { Connection } from "../model/freshness.ts"
import type { Api } from "./graphql.ts"

export interface ConnectionStatus {
  readonly connection: Connection
  readonly lostAtMs: number | undefined
}

const RETRY_MS = 5_000
const BACK_OFF_MS_MAX = 4_000
const NORMAL_CLOSURE = 1000
const REFUSED: readonly number[] = [CloseCode.Unauthorized, CloseCode.Forbidden]

const backOff = (retries: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.min(BACK_OFF_MS_MAX, 300 * 2 ** retries) * (0.5 + Math.random() / 2)))

const isRefusal = (reason: unknown): boolean => reason instanceof CloseEvent && REFUSED.includes(reason.code)

/** Connects with the key of `api`, again and again until it is refused or disposed. */
export const openSocket = (api: Api, onStatus: (status: ConnectionStatus) => void): Client => {
  let lostAtMs: number | undefined
  return createClient({
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`,
    connectionParams: { authorization: `Bearer ${api.readKey}` },
    keepAlive: 10_000,
    retryAttempts: Infinity,
    retryWait: backOff,
    shouldRetry: (reason) => !isRefusal(reason),
    on: {
      connected: () => {
        lostAtMs = undefined
        onStatus({ connection: "connected", lostAtMs })
      },
      closed: (event) => {
        if (event instanceof CloseEvent && event.code === NORMAL_CLOSURE) return
        lostAtMs ??= Date.now()
        onStatus({ connection: "reconnecting", lostAtMs })
      }
    }
  })
}

/** Subscribes until stopped; a subscription the server ends is opened again after the question was asked again. */
export const persist = <T>(client: Client, payload: { query: string; variables?: Record<string, unknown> }, take: (data: T) => void, again: () => void): (() => void) => {
  let stopped = false
  let dispose = (): void => undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const open = (): void => {
    dispose = client.subscribe<T>(payload, {
      next: ({ data }) => {
        if (data !== null && data !== undefined) take(data)
      },
      error: (reason) => reopen(reason),
      complete: () => reopen(undefined)
    })
  }
  const reopen = (reason: unknown): void => {
    if (stopped || isRefusal(reason)) return
    timer = setTimeout(() => {
      again()
      open()
    }, RETRY_MS)
  }
  open()
  return () => {
    stopped = true
    clearTimeout(timer)
    dispose()
  }
}
