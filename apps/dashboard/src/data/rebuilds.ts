/** Projections, their rebuilds and what may be done to them. Changing anything needs the operator's key. */
import { queryOptions } from "@tanstack/react-query"
import { ask } from "./graphql.ts"
import type { PartitionOffset } from "../model/answer.ts"
import type { Difference, DifferingWindow, Generation, Rebuild } from "../model/rebuild.ts"
import type { Api } from "./graphql.ts"

export interface Projection {
  readonly name: string
  readonly version: number
  readonly generation: number
  readonly pointerVersion: number
  readonly status: "LIVE" | "PAUSED" | "HALTED"
  readonly definitionHash: string
  /** The shipped definition is another one. */
  readonly rebuildOffered: boolean
  readonly lagEvents: string
  readonly lateEvents: string
  readonly deadLetters: string
  readonly watermark: string | null
  readonly position: readonly PartitionOffset[]
  readonly halts: readonly { readonly code: string; readonly detail: string }[]
  /** The view for BI tools, where it shows another generation for now. */
  readonly staleView: { readonly view: string; readonly generation: number; readonly reason: string } | null
}

const REBUILD = `id projection status generation fromGeneration reason error startedAt finishedAt standbyUntil standbySeconds history { status at detail } eventsPerSecondMax eventsPerSecondAllowed throttle standbyHalt plan { events bytes rows rowBytes diskFreeBytes seconds rateFrom }
  progress { processed total eventsPerSecond etaSeconds etaSecondsMin etaSecondsMax eventsPerSecondUnslowed time { read fold write throttle } } parity { compared equal differ onlyOld onlyNew faults sameDefinition sample { windows skipped wholeRows differing } servedHalt { code detail position { partition offset } } accepted position { partition offset } }`

export const REBUILD_PROGRESS = `subscription Progress($id: ID!) { rebuildProgress(id: $id) { ${REBUILD} } }`

const REFRESH_MS = 2_000

/** Every projection, asked again every two seconds while it is shown: lag and watermark move with every record. */
export const projectionsOptions = (api: Api) =>
  queryOptions({
    queryKey: ["projections", api.tenant] as const,
    queryFn: async ({ signal }): Promise<readonly Projection[]> =>
      (await ask<{ projections: readonly Projection[] }>(api, "{ projections { name version generation pointerVersion status definitionHash rebuildOffered lagEvents lateEvents deadLetters watermark position { partition offset } halts { code detail } staleView { view generation reason } } }", {}, signal)).projections,
    refetchInterval: REFRESH_MS
  })

export const rebuildsKey = (projection: string) => ["rebuilds", projection] as const

/** Rebuilds of one projection, newest first. */
export const rebuildsOptions = (api: Api, projection: string) =>
  queryOptions({
    queryKey: rebuildsKey(projection),
    queryFn: async ({ signal }): Promise<readonly Rebuild[]> => {
      const { rebuilds } = await ask<{ rebuilds: readonly Rebuild[] }>(api, `query Rebuilds($projection: String) { rebuilds(projection: $projection) { ${REBUILD} } }`, { projection }, signal)
      return rebuilds.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt))
    }
  })

/** Sizes are measured every ten seconds at most. */
const GENERATIONS_MS = 5_000

/** The generations of one projection that are stored, asked again every five seconds while they are shown. */
export const generationsOptions = (api: Api, projection: string) =>
  queryOptions({
    queryKey: ["generations", projection, api.tenant] as const,
    queryFn: async ({ signal }): Promise<readonly Generation[]> =>
      (await ask<{ generations: readonly Generation[] }>(api, "query Generations($projection: String!) { generations(projection: $projection) { generation served version definitionHash changedMeasures missingMeasures createdAt position { partition offset } lagEvents deadLetters halt size { rows bytes } } }", { projection }, signal)).generations,
    refetchInterval: GENERATIONS_MS
  })

export interface DifferencePage {
  readonly edges: readonly { readonly node: Difference }[]
  /** Of the tenant's windows, listed or not; null where none differs. */
  readonly counts: { readonly differ: string; readonly onlyOld: string; readonly onlyNew: string; readonly listed: string; readonly measures: readonly { readonly measure: string; readonly windows: string }[] } | null
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const DIFFERENCES = `query Differences($id: ID!, $first: Int, $after: String) { rebuild(id: $id) { differences(first: $first, after: $after) {
  edges { node { key { name value } start resolution old new cause firstDivergingEvent { id partition offset type old new } noEvent { code detail } } } pageInfo { hasNextPage endCursor } counts { differ onlyOld onlyNew listed measures { measure windows } } } } }`

const PAGE = 500
/** More than a person looks at; the command line lists all. */
const DIFFERENCES_MAX = 2_000

/** The windows of the key's tenant that differ, page by page, the first 2,000. */
export const differencesOptions = (api: Api, id: string) =>
  queryOptions({
    queryKey: ["differences", id, api.tenant] as const,
    queryFn: async ({ signal }): Promise<DifferencePage> => {
      const edges: { readonly node: Difference }[] = []
      let page: DifferencePage = { edges, counts: null, pageInfo: { hasNextPage: false, endCursor: null } }
      do {
        const { rebuild } = await ask<{ rebuild: { differences: DifferencePage } | null }>(api, DIFFERENCES, { id, first: PAGE, after: page.pageInfo.endCursor }, signal)
        if (rebuild === null) break
        edges.push(...rebuild.differences.edges)
        page = { ...rebuild.differences, edges }
      } while (page.pageInfo.hasNextPage && edges.length < DIFFERENCES_MAX)
      return page
    }
  })

const DIFFERING_WINDOW = `query DifferingWindow($id: ID!, $key: [String!]!, $start: DateTime!, $resolution: Resolution!) { rebuild(id: $id) { differingWindow(key: $key, start: $start, resolution: $resolution, first: 200) {
  figures { name old new } both onlyOld onlyNew events { countedBy event { id type time partition offset data } } firstDivergingEvent { id partition offset type old new } fault } } }`

/** One window of both generations from its events, the first 200 of them. */
export const differingWindowOptions = (api: Api, id: string, { key, start, resolution }: Difference) =>
  queryOptions({
    queryKey: ["differingWindow", id, api.tenant, start, resolution, ...key.map(({ value }) => value)] as const,
    queryFn: async ({ signal }): Promise<DifferingWindow | null> =>
      (await ask<{ rebuild: { differingWindow: DifferingWindow } | null }>(api, DIFFERING_WINDOW, { id, key: key.map(({ value }) => value), start, resolution }, signal)).rebuild?.differingWindow ?? null
  })

const mutate = async (admin: Api, field: string, signature: string, args: string, variables: object): Promise<Rebuild> => {
  const answer = await ask<Readonly<Record<string, Rebuild>>>(admin, `mutation Change${signature} { ${field}${args} { ${REBUILD} } }`, variables)
  const rebuild = answer[field]
  if (rebuild === undefined) throw new Error(`The server answered ${field} without a rebuild.`)
  return rebuild
}

/** A rebuild as it is asked for; `eventsPerSecondMax` null: as quickly as live traffic leaves room. */
export interface WantedRebuild {
  readonly projection: string
  readonly reason: string
  readonly eventsPerSecondMax: number | null
}

/** With `dryRun` nothing is written: the answer is the plan. */
export const startRebuild = (admin: Api, wanted: WantedRebuild, dryRun: boolean): Promise<Rebuild> =>
  mutate(admin, "startRebuild", "($projection: String!, $reason: String!, $dryRun: Boolean, $eventsPerSecondMax: Int)", "(projection: $projection, reason: $reason, dryRun: $dryRun, eventsPerSecondMax: $eventsPerSecondMax)", { ...wanted, dryRun })

export type Step = "pauseRebuild" | "resumeRebuild" | "compareRebuild" | "abortRebuild"

export const changeRebuild = (admin: Api, step: Step, id: string): Promise<Rebuild> => mutate(admin, step, "($id: ID!)", "(id: $id)", { id })

/** Events a second that it may fold from now on; null: as many as live traffic leaves room for. */
export const capRebuild = (admin: Api, id: string, eventsPerSecondMax: number | null): Promise<Rebuild> =>
  mutate(admin, "capRebuild", "($id: ID!, $rate: Int)", "(id: $id, eventsPerSecondMax: $rate)", { id, rate: eventsPerSecondMax })

/** `note`: why the differences are right; null when there are none. */
export const cutOver = (admin: Api, id: string, note: string | null): Promise<Rebuild> =>
  mutate(admin, "cutOver", "($id: ID!, $note: String)", "(id: $id, acceptDifferences: $note)", { id, note })

/** `reason`: for the audit trail. */
export const rollBack = (admin: Api, projection: string, reason: string): Promise<Rebuild> =>
  mutate(admin, "rollBack", "($projection: String!, $reason: String)", "(projection: $projection, reason: $reason)", { projection, reason })
