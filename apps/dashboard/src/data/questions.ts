/**
 * Every question the page asks: one `queryOptions` factory each, shared by views, prefetch and the live feed.
 */
import { queryOptions } from "@tanstack/react-query"
import { newest } from "../model/order.ts"
import { RANGES, spanAt, wideSpanAt } from "../model/range.ts"
import { ask } from "./graphql.ts"
import type { Dimension, EventPage, LoggedEvent, Resolution, Series, Top, WindowProof } from "../model/answer.ts"
import type { Journey } from "../model/journey.ts"
import type { PlacedEvent } from "../model/ledgers.ts"
import type { RangeName, Span } from "../model/range.ts"
import type { Api } from "./graphql.ts"

const iso = (atMs: number): string => new Date(atMs).toISOString()

export interface SeriesQuestion {
  readonly projection: string
  readonly measures: readonly string[]
  readonly range: RangeName
  /** True asks for the one wide window that contains now. */
  readonly wide: boolean
  readonly breakdownBy?: string
  readonly where?: readonly Dimension[]
  /** The answer known then, Unix ms; the newest when absent. */
  readonly asOfMs?: number
}

/** The `asOf` argument for the past, null for the present. */
const asOfOf = (asOfMs: number | undefined): { readonly time: string } | null => (asOfMs === undefined ? null : { time: iso(asOfMs) })

/** The past does not change: what was answered once is kept. */
const stableOf = (asOfMs: number | undefined) => (asOfMs === undefined ? {} : { staleTime: Infinity })

const STAMP = "projection generation pointerVersion watermark position { partition offset }"
const GROUPS = "groups { key { name value } points { start end state revision corrections events measures { name value text exact errorBound } } }"
const EVENT = "id type time receivedAt partition offset userId anonymousId backfill data"
/** Groups of a breakdown; the same in query and subscription, so that both speak of the same ones. */
const GROUPS_MAX = 20

const SERIES = `query Series($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $where: [DimensionFilter!], $breakdownBy: String, $first: Int, $asOf: AsOf) {
  series(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, where: $where, breakdownBy: $breakdownBy, first: $first, asOf: $asOf) { ${STAMP} ${GROUPS} }
}`

/** Subscription document of the same question; `since` is the position of the answer it continues. */
export const SERIES_CHANGED = `subscription SeriesChanged($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $where: [DimensionFilter!], $breakdownBy: String, $first: Int, $since: [PartitionOffsetInput!]) {
  seriesChanged(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, where: $where, breakdownBy: $breakdownBy, first: $first, since: $since) { kind ${STAMP} ${GROUPS} }
}`

/** Windows beyond now that a subscription covers; it is renewed when half of them are used up. */
export const AHEAD_WINDOWS = 120

export const EVENT_TAIL = `subscription Tail { eventTail { ${EVENT} } }`

const spanOf = (question: SeriesQuestion, nowMs: number): Span =>
  question.wide ? wideSpanAt(RANGES[question.range], nowMs) : spanAt(RANGES[question.range], nowMs)

/** First instant of the windows a question shows at `nowMs`, RFC 3339. */
export const oldestStartOf = (question: SeriesQuestion, nowMs: number): string => iso(spanOf(question, nowMs).fromMs)

/** Variables of a series question at `nowMs`; `aheadWindows` lets a subscription see windows that open later. */
export const seriesVariables = (question: SeriesQuestion, nowMs: number, aheadWindows = 0): Readonly<Record<string, unknown>> => {
  const range = RANGES[question.range]
  const { fromMs, toMs } = spanOf(question, nowMs)
  const resolution: Resolution = question.wide ? range.wideResolution : range.resolution
  const stepMs = question.wide ? range.wideStepMs : range.stepMs
  return {
    projection: question.projection,
    measures: question.measures,
    from: iso(fromMs),
    to: iso(toMs + aheadWindows * stepMs),
    resolution,
    where: question.where?.map((dimension) => ({ name: dimension.name, in: [dimension.value] })) ?? null,
    breakdownBy: question.breakdownBy ?? null,
    first: question.breakdownBy === undefined ? null : GROUPS_MAX
  }
}

/** Windows of a projection over the range. Keeps what was pushed meanwhile, if it is newer than the answer. */
export const seriesOptions = (api: Api, question: SeriesQuestion) =>
  queryOptions({
    queryKey: ["series", api.tenant, question] as const,
    ...stableOf(question.asOfMs),
    queryFn: async ({ client, queryKey, signal }): Promise<Series> => {
      const variables = { ...seriesVariables(question, question.asOfMs ?? Date.now()), asOf: asOfOf(question.asOfMs) }
      const { series } = await ask<{ series: Series }>(api, SERIES, variables, signal)
      return question.asOfMs !== undefined ? series : newest(client.getQueryData<Series>(queryKey), series, oldestStartOf(question, Date.now()))
    }
  })

const TOP = `query Top($projection: String!, $measure: String!, $by: String!, $from: DateTime!, $to: DateTime!, $first: Int, $asOf: AsOf) {
  top(projection: $projection, measure: $measure, by: $by, from: $from, to: $to, first: $first, asOf: $asOf) { ${STAMP} rows { value events measure { name value text exact errorBound } } }
}`

export const TOP_PAGES = ["top", "page-views"] as const

/** The most viewed pages of the range, now or as of then. */
export const topPagesOptions = (api: Api, range: RangeName, asOfMs: number | undefined) =>
  queryOptions({
    queryKey: [...TOP_PAGES, api.tenant, range, asOfMs] as const,
    ...stableOf(asOfMs),
    queryFn: async ({ signal }): Promise<Top> => {
      const { fromMs, toMs } = spanAt(RANGES[range], asOfMs ?? Date.now())
      const variables = { projection: "page-views", measure: "views", by: "page", from: iso(fromMs), to: iso(toMs), first: 9, asOf: asOfOf(asOfMs) }
      return (await ask<{ top: Top }>(api, TOP, variables, signal)).top
    }
  })

const EVENTS = `query Events($first: Int) { events(first: $first) { edges { node { ${EVENT} } } pageInfo { hasNextPage endCursor } } }`
const LATEST_EVENTS = 50

/** The latest events, oldest first; empty when the tenant has none. */
export const latestEventsOptions = (api: Api) =>
  queryOptions({
    queryKey: ["latest-events", api.tenant] as const,
    queryFn: async ({ signal }): Promise<readonly LoggedEvent[]> => {
      const { events } = await ask<{ events: EventPage }>(api, EVENTS, { first: LATEST_EVENTS }, signal)
      return events.edges.map((edge) => edge.node).toReversed()
    }
  })

/** The largest keys of one window, by the projection's first dimension. */
export const windowKeysOptions = (api: Api, projection: string, measure: string, by: string, startMs: number, endMs: number, asOfMs: number | undefined) =>
  queryOptions({
    queryKey: ["window-keys", api.tenant, projection, measure, by, startMs, endMs, asOfMs] as const,
    queryFn: async ({ signal }): Promise<Top> =>
      (await ask<{ top: Top }>(api, TOP, { projection, measure, by, from: iso(startMs), to: iso(endMs), first: 50, asOf: asOfOf(asOfMs) }, signal)).top,
    gcTime: 30_000
  })

export interface WindowQuestion {
  readonly projection: string
  readonly key: readonly Dimension[]
  readonly start: string
  readonly resolution: Resolution
  /** As of then, Unix ms. */
  readonly asOfMs?: number
}

const WHY = `query Why($projection: String!, $key: [DimensionValue!]!, $start: DateTime!, $resolution: Resolution!, $first: Int, $asOf: AsOf) {
  window(projection: $projection, key: $key, start: $start, resolution: $resolution, asOf: $asOf) {
    state revision corrections events fingerprint generation pointerVersion watermark position { partition offset }
    why(first: $first) { expectedEvents foundEvents fingerprintMatches events { edges { node { ${EVENT} } late { byMs releasedAt } } pageInfo { hasNextPage endCursor } } }
  }
}`

/** The proof behind one window: its events, counted and fingerprinted again. Null when there is no such window. */
export const whyOptions = (api: Api, { asOfMs, ...question }: WindowQuestion) =>
  queryOptions({
    queryKey: ["why", api.tenant, question, asOfMs] as const,
    queryFn: async ({ signal }): Promise<WindowProof | null> =>
      (await ask<{ window: WindowProof | null }>(api, WHY, { ...question, first: 50, asOf: asOfOf(asOfMs) }, signal)).window,
    retry: false,
    gcTime: 30_000
  })

/** Throws when the key may not read. */
export const checkKey = async (readKey: string): Promise<void> => {
  await ask({ tenant: "", readKey }, "{ projections { name } }", {})
}

const JOURNEY = `query Journey($id: ID!, $at: PartitionOffsetInput) {
  event(id: $id, at: $at) {
    received { at originalTime timeFlag source } validated { checked schemaVersion }
    windows { projection outcome key { name value } places { start end events state } contribution { name text } lateByMs wasHeld release { offset actor reason } code pointer }
  }
}`

/** An event of the live list is often asked about before every projection has come to it, ms. */
const PENDING_AGAIN_MS = 500

/** What every projection made of one event of the list; asked again while one has not reached it yet. */
export const journeyOptions = (api: Api, { id, partition, offset }: PlacedEvent) =>
  queryOptions({
    queryKey: ["journey", api.tenant, partition, offset] as const,
    queryFn: async ({ signal }): Promise<Journey | null> => (await ask<{ event: Journey | null }>(api, JOURNEY, { id, at: { partition, offset } }, signal)).event,
    refetchInterval: ({ state: { data } }) => (data?.windows.some(({ outcome }) => outcome === "PENDING") === true ? PENDING_AGAIN_MS : false),
    gcTime: 30_000
  })
