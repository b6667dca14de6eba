/** Questions about how numbers became what they are: two moments compared, and the life of one window. */
import { queryOptions } from "@tanstack/react-query"
import { COMPARED, inOrder } from "../model/comparison.ts"
import { momentsOf } from "../model/biography.ts"
import { RANGES, spanAt } from "../model/range.ts"
import { ask } from "./graphql.ts"
import type { Sample } from "../model/biography.ts"
import type { Built, ComparedName, WindowChanges } from "../model/comparison.ts"
import type { RangeName } from "../model/range.ts"
import type { Api } from "./graphql.ts"
import type { WindowQuestion } from "./questions.ts"

const iso = (atMs: number): string => new Date(atMs).toISOString()

const FIGURES = "state events corrections measures { name value text exact errorBound }"

const CHANGES = `query Changes($projection: String!, $measures: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: Resolution!, $before: AsOf!, $after: AsOf) {
  windowChanges(projection: $projection, measures: $measures, from: $from, to: $to, resolution: $resolution, before: $before, after: $after, first: 100) {
    compared changed before { watermark position { partition offset } } after { watermark position { partition offset } }
    changes { key { name value } start end before { ${FIGURES} } after { ${FIGURES} } } } }`

const REFRESH_MS = 10_000

/** The windows of the range that the two moments do not agree on. Asked again while one of them is now. */
export const changesOptions = (api: Api, projection: ComparedName, range: RangeName, pinMs: number, shownMs: number | undefined) =>
  queryOptions({
    queryKey: ["changes", api.tenant, projection, range, pinMs, shownMs] as const,
    ...(shownMs === undefined ? { refetchInterval: REFRESH_MS } : { staleTime: Infinity }),
    queryFn: async ({ signal }): Promise<WindowChanges> => {
      const { beforeMs, afterMs } = inOrder(pinMs, shownMs)
      const { fromMs, toMs } = spanAt(RANGES[range], afterMs ?? Date.now())
      const variables = {
        projection, measures: COMPARED[projection].measures, from: iso(fromMs), to: iso(toMs), resolution: RANGES[range].resolution,
        before: { time: iso(beforeMs) }, after: afterMs === undefined ? null : { time: iso(afterMs) }
      }
      return (await ask<{ windowChanges: WindowChanges }>(api, CHANGES, variables, signal)).windowChanges
    }
  })

const BUILT = "query Built($projection: String!) { generations(projection: $projection) { generation createdAt } }"

/** When the stored generations of a projection were begun: from the switch to one of them on, the same events may give other numbers. */
export const builtOptions = (api: Api, projection: string) =>
  queryOptions({
    queryKey: ["built", api.tenant, projection] as const,
    staleTime: 60_000,
    queryFn: async ({ signal }): Promise<readonly Built[]> => {
      const { generations } = await ask<{ generations: readonly { readonly generation: number; readonly createdAt: string }[] }>(api, BUILT, { projection }, signal)
      return generations.map(({ generation, createdAt }) => ({ generation, atMs: Date.parse(createdAt) }))
    }
  })

/** Events of a window that are looked at for the moments of its life, and moments that one question takes. */
const EVENTS_MAX = 1_000
const MOMENTS_MAX = 10

const EVENTS = `query Known($projection: String!, $key: [DimensionValue!]!, $start: DateTime!, $resolution: Resolution!, $first: Int, $asOf: AsOf) {
  window(projection: $projection, key: $key, start: $start, resolution: $resolution, asOf: $asOf) {
    ${FIGURES} why(first: $first) { events { edges { node { receivedAt backfill } late { releasedAt } } pageInfo { hasNextPage } } } } }`

interface KnownWindow {
  readonly why: {
    readonly events: {
      readonly edges: readonly { readonly node: { readonly receivedAt: string; readonly backfill: string | null }; readonly late: { readonly releasedAt: string | null } | null }[]
      readonly pageInfo: { readonly hasNextPage: boolean }
    }
  }
}

const WINDOW = "window(projection: $projection, key: $key, start: $start, resolution: $resolution"

/** One window at several moments: a variable and a field for each. */
const windowAt = (count: number): string => {
  const moments = Array.from({ length: count }, (_, at) => at)
  const variables = ["$projection: String!", "$key: [DimensionValue!]!", "$start: DateTime!", "$resolution: Resolution!", ...moments.map((at) => `$t${at}: DateTime!`)]
  return "query " + `Life(${variables.join(", ")}) { ${moments.map((at) => `m${at}: ${WINDOW}, asOf: { time: $t${at} }) { ${FIGURES} }`).join(" ")} }`
}

export interface Life {
  /** Oldest first, the last as it is shown. */
  readonly samples: readonly Sample[]
  /** It has more events than were looked at. */
  readonly partial: boolean
}

/** What was known of a window at the moments that matter to it; null when there is no such window. */
export const lifeOptions = (api: Api, { asOfMs, ...question }: WindowQuestion) =>
  queryOptions({
    queryKey: ["life", api.tenant, question, asOfMs] as const,
    queryFn: async ({ signal }): Promise<Life | null> => {
      const asOf = asOfMs === undefined ? null : { time: iso(asOfMs) }
      const { window } = await ask<{ window: (KnownWindow & NonNullable<Sample["figures"]>) | null }>(api, EVENTS, { ...question, first: EVENTS_MAX, asOf }, signal)
      if (window === null) return null
      const { edges, pageInfo } = window.why.events
      const known = edges.map(({ node, late }) => ({ receivedAtMs: Date.parse(node.receivedAt), corrects: late !== null || node.backfill !== null, byHand: late !== null && late.releasedAt !== null }))
      const moments = momentsOf(known, MOMENTS_MAX)
      const times = Object.fromEntries(moments.map((atMs, at) => [`t${at}`, iso(atMs)]))
      const answers = moments.length === 0 ? {} : await ask<Readonly<Record<string, Sample["figures"]>>>(api, windowAt(moments.length), { ...question, ...times }, signal)
      const samples = moments.map((atMs, at): Sample => ({ atMs, figures: answers[`m${at}`] ?? null }))
      return { samples: [...samples, { atMs: asOfMs, figures: window }], partial: pageInfo.hasNextPage }
    },
    retry: false,
    gcTime: 30_000
  })
