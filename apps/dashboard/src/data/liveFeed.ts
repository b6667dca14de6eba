/**
 * The live connection: one WebSocket, changes collected and folded into the query cache once per 250 ms.
 *
 * Each subscription continues from the position of the answer on screen; after a reconnect it continues from the
 * position reached. What cannot be folded (RESYNC, a new generation) makes the question be asked again.
 */
import { CloseCode, createClient } from "graphql-ws"
import { applyChange, outdated } from "../model/order.ts"
import { AHEAD_WINDOWS, EVENT_TAIL, oldestStartOf, SERIES_CHANGED, seriesOptions, seriesVariables, TOP_PAGES } from "./questions.ts"
import type { QueryClient, QueryKey } from "@tanstack/react-query"
import type { Client } from "graphql-ws"
import type { LoggedEvent, PartitionOffset, Series, SeriesChange } from "../model/answer.ts"
import type { Connection } from "../model/freshness.ts"
import type { Api } from "./graphql.ts"
import type { SeriesQuestion } from "./questions.ts"

export interface ConnectionStatus {
  readonly connection: Connection
  readonly lostAtMs: number | undefined
}

export interface LiveFeed {
  /** Follows a question whose answer is in the cache. Returns the way to stop. */
  readonly follow: (question: SeriesQuestion, since: readonly PartitionOffset[]) => () => void
  readonly close: () => void
}

export interface LiveFeedOptions {
  readonly api: Api
  readonly queryClient: QueryClient
  readonly onEvents: (events: readonly LoggedEvent[]) => void
  readonly onStatus: (status: ConnectionStatus) => void
  readonly isPaused: () => boolean
}

const COMMIT_MS = 250
const UNFOCUSED_COMMIT_MS = 1_000
const TOP_REFRESH_MS = 5_000
const RETRY_MS = 5_000
const BACK_OFF_MS_MAX = 4_000
const EVENTS_PENDING_MAX = 500
const CHANGES_PENDING_MAX = 500
const NORMAL_CLOSURE = 1000
const REFUSED: readonly number[] = [CloseCode.Unauthorized, CloseCode.Forbidden]

const backOff = (retries: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.min(BACK_OFF_MS_MAX, 300 * 2 ** retries) * (0.5 + Math.random() / 2)))

const isRefusal = (reason: unknown): boolean => reason instanceof CloseEvent && REFUSED.includes(reason.code)

const connect = (options: LiveFeedOptions): Client => {
  let lostAtMs: number | undefined
  const { onStatus } = options
  return createClient({
    url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`,
    connectionParams: { authorization: `Bearer ${options.api.readKey}` },
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

interface Pending {
  readonly question: SeriesQuestion
  readonly changes: SeriesChange[]
}

/** The next answer replaces what is on screen as a whole; a question already on its way is not asked twice. */
const askAgain = (queryClient: QueryClient, queryKey: QueryKey, series: Series | undefined): void => {
  if (series !== undefined) queryClient.setQueryData(queryKey, outdated(series))
  void queryClient.invalidateQueries({ queryKey }, { cancelRefetch: false })
}

const foldInto = (options: LiveFeedOptions, pending: Pending): void => {
  const { queryClient, api } = options
  const { queryKey } = seriesOptions(api, pending.question)
  const oldestStart = oldestStartOf(pending.question, Date.now())
  let series: Series | undefined = queryClient.getQueryData(queryKey)
  for (const change of pending.changes) {
    const result = applyChange(series, change, oldestStart)
    if (result === "resync") {
      askAgain(queryClient, queryKey, series)
      return
    }
    series = result
  }
  if (series !== undefined) queryClient.setQueryData(queryKey, series)
}

const makeCommitter = (options: LiveFeedOptions, pending: Map<SeriesQuestion, Pending>, events: LoggedEvent[]) => {
  let committedAtMs = 0
  let topRefreshedAtMs = 0
  return (): void => {
    const nowMs = Date.now()
    if (!document.hasFocus() && nowMs - committedAtMs < UNFOCUSED_COMMIT_MS) return
    committedAtMs = nowMs
    if (events.length > 0) options.onEvents(events.splice(0))
    if (options.isPaused() || pending.size === 0) return
    const viewsChanged = [...pending.keys()].some((question) => question.projection === "page-views")
    for (const entry of pending.values()) foldInto(options, entry)
    pending.clear()
    if (viewsChanged && nowMs - topRefreshedAtMs > TOP_REFRESH_MS) {
      topRefreshedAtMs = nowMs
      void options.queryClient.invalidateQueries({ queryKey: TOP_PAGES })
    }
  }
}

/** Subscribes until stopped; a subscription the server ends is opened again after the question was asked again. */
const persist = <T>(client: Client, payload: { query: string; variables?: Record<string, unknown> }, take: (data: T) => void, again: () => void): (() => void) => {
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

/** Opens the connection and the event tail. */
export const openLiveFeed = (options: LiveFeedOptions): LiveFeed => {
  const client = connect(options)
  const pending = new Map<SeriesQuestion, Pending>()
  const events: LoggedEvent[] = []
  const timer = setInterval(makeCommitter(options, pending, events), COMMIT_MS)
  const stopTail = persist<{ eventTail: LoggedEvent }>(client, { query: EVENT_TAIL }, ({ eventTail }) => {
    if (events.length >= EVENTS_PENDING_MAX) events.shift()
    events.push(eventTail)
  }, () => undefined)

  const follow = (question: SeriesQuestion, since: readonly PartitionOffset[]): (() => void) => {
    const variables: Record<string, unknown> = { ...seriesVariables(question, Date.now(), AHEAD_WINDOWS), since: since.map(({ partition, offset }) => ({ partition, offset })) }
    const take = ({ seriesChanged }: { seriesChanged: SeriesChange }): void => {
      if (seriesChanged.position.length > 0) variables["since"] = seriesChanged.position.map(({ partition, offset }) => ({ partition, offset }))
      const entry = pending.get(question) ?? { question, changes: [] }
      if (entry.changes.length < CHANGES_PENDING_MAX) entry.changes.push(seriesChanged)
      else entry.changes.splice(0, entry.changes.length, { ...seriesChanged, kind: "RESYNC" })
      pending.set(question, entry)
    }
    const again = (): void => void options.queryClient.invalidateQueries({ queryKey: seriesOptions(options.api, question).queryKey })
    return persist(client, { query: SERIES_CHANGED, variables }, take, again)
  }

  const close = (): void => {
    clearInterval(timer)
    stopTail()
    void client.dispose()
  }
  return { follow, close }
}
