/**
 * The live connection: one WebSocket, changes collected and folded into the query cache once per 250 ms.
 *
 * Each subscription continues from the position of the answer on screen; after a reconnect it continues from the
 * position reached. RESYNC replaces the answer. What cannot be folded (points of another generation, or more than is kept
 * while the page is paused) makes the question be asked again.
 */
import { applyChange, outdated } from "../model/order.ts"
import { collect } from "../model/tail.ts"
import { openSocket, persist } from "./socket.ts"
import { AHEAD_WINDOWS, EVENT_TAIL, oldestStartOf, SERIES_CHANGED, seriesOptions, seriesVariables, TOP_PAGES } from "./questions.ts"
import type { QueryClient, QueryKey } from "@tanstack/react-query"
import type { LoggedEvent, PartitionOffset, Series, SeriesChange } from "../model/answer.ts"
import type { Api } from "./graphql.ts"
import type { SeriesQuestion } from "./questions.ts"
import type { ConnectionStatus } from "./socket.ts"

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
const EVENTS_PENDING_MAX = 500
const CHANGES_PENDING_MAX = 500

interface Pending {
  readonly question: SeriesQuestion
  readonly changes: SeriesChange[]
  /** More came than is kept. */
  overflowed: boolean
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
  if (pending.overflowed) {
    askAgain(queryClient, queryKey, series)
    return
  }
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

/** Opens the connection and the event tail. */
export const openLiveFeed = (options: LiveFeedOptions): LiveFeed => {
  const client = openSocket(options.api, options.onStatus)
  const pending = new Map<SeriesQuestion, Pending>()
  const events: LoggedEvent[] = []
  const timer = setInterval(makeCommitter(options, pending, events), COMMIT_MS)
  const stopTail = persist<{ eventTail: LoggedEvent }>(client, { query: EVENT_TAIL }, ({ eventTail }) => {
    collect(events, eventTail, EVENTS_PENDING_MAX)
  }, () => undefined)

  const follow = (question: SeriesQuestion, since: readonly PartitionOffset[]): (() => void) => {
    const variables: Record<string, unknown> = { ...seriesVariables(question, Date.now(), AHEAD_WINDOWS), since: since.map(({ partition, offset }) => ({ partition, offset })) }
    const take = ({ seriesChanged }: { seriesChanged: SeriesChange }): void => {
      if (seriesChanged.position.length > 0) variables["since"] = seriesChanged.position.map(({ partition, offset }) => ({ partition, offset }))
      const entry = pending.get(question) ?? { question, changes: [], overflowed: false }
      entry.overflowed ||= entry.changes.length === CHANGES_PENDING_MAX
      if (entry.overflowed) entry.changes.length = 0
      else entry.changes.push(seriesChanged)
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
