/** The live connection as React state: the tail, the status, pause, and answers that stay current. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { useCallback, useEffect, useRef, useState } from "react"
import { openLiveFeed } from "../data/liveFeed.ts"
import { AHEAD_WINDOWS, latestEventsOptions, seriesOptions } from "../data/questions.ts"
import { EMPTY_TAILS, holdBoth, receiveBoth } from "../model/tail.ts"
import { RANGES } from "../model/range.ts"
import { useWatched } from "./clock.ts"
import type { UseQueryResult } from "@tanstack/react-query"
import type { Api } from "../data/graphql.ts"
import type { LiveFeed } from "../data/liveFeed.ts"
import type { ConnectionStatus } from "../data/socket.ts"
import type { SeriesQuestion } from "../data/questions.ts"
import type { Series } from "../model/answer.ts"
import type { Tail } from "../model/tail.ts"

export interface Live {
  readonly feed: LiveFeed | undefined
  readonly status: ConnectionStatus
  /** What the list shows: without the events of imports unless they are asked for. */
  readonly tail: Tail
  readonly importsShown: boolean
  readonly toggleImports: () => void
  /** Events are there, though not all need be shown. */
  readonly anySeen: boolean
  /** True as soon as the latest events were asked for and answered. */
  readonly tailKnown: boolean
  readonly tailError: Error | null
  readonly paused: boolean
  readonly togglePause: () => void
  readonly holdTail: (held: boolean) => void
}

const CONNECTING: ConnectionStatus = { connection: "connecting", lostAtMs: undefined }

/** One feed per tenant; closed while nobody watches, and opened again with one query instead of the backlog. */
export const useLive = (api: Api): Live => {
  const queryClient = useQueryClient()
  const watched = useWatched()
  const [feed, setFeed] = useState<LiveFeed>()
  const [status, setStatus] = useState(CONNECTING)
  const [tails, setTails] = useState(EMPTY_TAILS)
  const [importsShown, setImportsShown] = useState(false)
  const [paused, setPaused] = useState(false)
  const pausedNow = useRef(false)
  const wasOpen = useRef(false)
  const latest = useQuery({ ...latestEventsOptions(api), enabled: watched })

  useEffect(() => {
    if (!watched) return undefined
    if (wasOpen.current) void queryClient.invalidateQueries()
    wasOpen.current = true
    const opened = openLiveFeed({
      api,
      queryClient,
      onEvents: (events) => setTails((current) => receiveBoth(current, events)),
      onStatus: setStatus,
      isPaused: () => pausedNow.current
    })
    setFeed(opened)
    return () => {
      opened.close()
      setFeed(undefined)
      setStatus(CONNECTING)
    }
  }, [api, queryClient, watched])

  const seed = latest.data
  useEffect(() => {
    if (seed !== undefined) setTails((current) => receiveBoth(current, seed))
  }, [seed])

  const togglePause = useCallback(() => {
    pausedNow.current = !pausedNow.current
    setPaused(pausedNow.current)
    setTails((current) => holdBoth(current, pausedNow.current))
  }, [])
  const holdTail = useCallback((held: boolean) => {
    if (!pausedNow.current) setTails((current) => holdBoth(current, held))
  }, [])
  const toggleImports = useCallback(() => setImportsShown((shown) => !shown), [])
  const tail = importsShown ? tails.all : tails.withoutImports
  return { feed, status, tail, importsShown, toggleImports, anySeen: tails.all.rows.length > 0, tailKnown: seed !== undefined, tailError: latest.error, paused, togglePause, holdTail }
}

/** The answer to a question, kept current by the feed unless it is one of the past. `question` has to be stable between renders. */
export const useLiveSeries = (api: Api, feed: LiveFeed | undefined, question: SeriesQuestion): UseQueryResult<Series> => {
  const queryClient = useQueryClient()
  const result = useQuery(seriesOptions(api, question))
  const answered = result.data !== undefined
  const [renewals, setRenewals] = useState(0)
  useEffect(() => {
    if (!answered || feed === undefined || question.asOfMs !== undefined) return undefined
    const position = queryClient.getQueryData(seriesOptions(api, question).queryKey)?.position ?? []
    const stop = feed.follow(question, position)
    const timer = setTimeout(() => setRenewals((count) => count + 1), (AHEAD_WINDOWS / 2) * RANGES[question.range].stepMs)
    return () => {
      clearTimeout(timer)
      stop()
    }
  }, [answered, api, feed, question, queryClient, renewals])
  return result
}
