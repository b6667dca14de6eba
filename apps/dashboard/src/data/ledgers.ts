/** The ledgers of a projection and the rejected log, page by page; counting held events by hand needs an admin key of the tenant. */
import { infiniteQueryOptions } from "@tanstack/react-query"
import { inGroups } from "../model/ledgers.ts"
import { ask } from "./graphql.ts"
import type { DeadLetter, LateEvent, Redrive, Rejected, Release } from "../model/ledgers.ts"
import type { Api } from "./graphql.ts"

/** One page of a list. */
export interface ListPage<Node> {
  readonly edges: readonly { readonly node: Node }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const PAGE = 50
const REFRESH_MS = 10_000
/** Events that one request releases at most. */
const RELEASES_MAX = 100

const LATE = `query Late($projection: String!, $outcome: LateOutcome, $first: Int, $after: String) { lateEvents(projection: $projection, outcome: $outcome, first: $first, after: $after) {
  edges { node { eventId type time windowStart key { name value } lateByMs reason wasHeld canApply contribution { name text } partition offset } } pageInfo { hasNextPage endCursor } } }`

const DEAD = `query Dead($projection: String!, $first: Int, $after: String) { deadLetters(projection: $projection, first: $first, after: $after) {
  edges { node { partition offset code pointer foldedByVersion event { id type } } } pageInfo { hasNextPage endCursor } } }`

const REJECTED = `query Rejected($first: Int, $after: String) { rejectedEvents(first: $first, after: $after) {
  edges { node { id receivedAt eventId type code pointer detail origin body redrive { eventId wasThere place { partition offset } reason } } } pageInfo { hasNextPage endCursor } } }`

const APPLY = `mutation ($projection: String!, $events: [PartitionOffsetInput!]!, $reason: String!, $dryRun: Boolean) { applyLateEvents(projection: $projection, events: $events, reason: $reason, dryRun: $dryRun) {
  events { partition offset eventId verdict releasedAt changes { projection windowStart key { name value } contribution { name text } } } } }`

const REDRIVE = `mutation ($ids: [ID!]!, $reason: String!, $body: String, $dryRun: Boolean) { redriveRejected(ids: $ids, reason: $reason, body: $body, dryRun: $dryRun) {
  entries { verdict eventId place { partition offset } refusal { code pointer detail hint } } } }`

/** A list that grows by a page when it is asked to; what is listed is asked for again while it is shown. */
const listOptions = <Node>(api: Api, key: readonly string[], query: string, variables: object, field: string) =>
  infiniteQueryOptions({
    queryKey: ["ledgers", api.tenant, ...key],
    initialPageParam: null as string | null,
    queryFn: async ({ pageParam, signal }): Promise<ListPage<Node>> => {
      const page = (await ask<Readonly<Record<string, ListPage<Node>>>>(api, query, { ...variables, first: PAGE, after: pageParam }, signal))[field]
      if (page === undefined) throw new Error(`The server answered without ${field}.`)
      return page
    },
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : undefined),
    refetchInterval: REFRESH_MS
  })

/** Late events of one outcome, in log order. */
export const lateOptions = (api: Api, projection: string, outcome: "HELD" | "APPLIED") => listOptions<LateEvent>(api, ["late", projection, outcome], LATE, { projection, outcome }, "lateEvents")

/** Dead letters, in log order. */
export const deadOptions = (api: Api, projection: string) => listOptions<DeadLetter>(api, ["dead", projection], DEAD, { projection }, "deadLetters")

/** What ingest refused, newest first. */
export const rejectedOptions = (api: Api) => listOptions<Rejected>(api, ["rejected"], REJECTED, {}, "rejectedEvents")

export const LEDGERS = ["ledgers"] as const

/** Counts held events by hand, a hundred at a time; with `dryRun` nothing is appended and the answer says what would change. */
export const applyLate = async (writer: Api, projection: string, places: readonly { readonly partition: number; readonly offset: string }[], reason: string, dryRun: boolean): Promise<readonly Release[]> => {
  const releases: Release[] = []
  for (const events of inGroups(places, RELEASES_MAX)) {
    const answer = await ask<{ readonly applyLateEvents: { readonly events: readonly Release[] } }>(writer, APPLY, { projection, events: events.map(({ partition, offset }) => ({ partition, offset })), reason, dryRun })
    releases.push(...answer.applyLateEvents.events)
  }
  return releases
}

/** Sends a refused event again, as `body` has it; with `dryRun` nothing is appended and the answer says what would become of it. */
export const redriveRejected = async (writer: Api, id: string, body: string, reason: string, dryRun: boolean): Promise<Redrive> => {
  const { redriveRejected: answer } = await ask<{ readonly redriveRejected: { readonly entries: readonly Redrive[] } }>(writer, REDRIVE, { ids: [id], body, reason, dryRun })
  const [entry] = answer.entries
  if (entry === undefined) throw new Error("The server answered without an entry.")
  return entry
}
