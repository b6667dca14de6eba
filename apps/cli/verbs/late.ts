/** late ls, late apply: events that came after their window had closed. */
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { table } from "../output.ts"
import { durationText } from "../timeText.ts"
import { placeOf } from "./journey.ts"

interface Part {
  readonly name: string
  readonly text: string
}

interface LateEvent {
  readonly eventId: string
  readonly type: string
  readonly time: string
  readonly windowStart: string
  readonly key: readonly { readonly value: string }[]
  readonly lateByMs: number
  readonly outcome: "APPLIED" | "HELD"
  readonly reason: string
  readonly wasHeld: boolean
  readonly canApply: boolean
  readonly contribution: readonly Part[]
  readonly partition: number
  readonly offset: string
}

interface Listed {
  readonly edges: readonly { readonly node: LateEvent }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const LATE = `query ($projection: String!, $outcome: LateOutcome, $first: Int, $after: String) {
  lateEvents(projection: $projection, outcome: $outcome, first: $first, after: $after) {
    edges { node { eventId type time windowStart key { name value } lateByMs outcome reason wasHeld canApply contribution { name text } generation partition offset } } pageInfo { hasNextPage endCursor } } }`

const APPLY = `mutation ($projection: String!, $events: [PartitionOffsetInput!]!, $reason: String!, $dryRun: Boolean) {
  applyLateEvents(projection: $projection, events: $events, reason: $reason, dryRun: $dryRun) {
    applied events { partition offset eventId verdict releasedAt changes { projection generation windowStart key { name value } contribution { name text } } } } }`

const PAGE_MAX = 1_000
/** Events that one request releases at most. */
const APPLY_MAX = 100

/** The first `most` entries behind `from`, page by page, and the cursor to go on from when there are more. */
const readLate = async (client: Client, projection: string, outcome: string | null, most: number, from: string | null = null): Promise<{ readonly found: readonly LateEvent[]; readonly next: string | null }> => {
  const found: LateEvent[] = []
  let after = from
  for (;;) {
    const first: number = Math.min(PAGE_MAX, most - found.length)
    const answer: { readonly lateEvents: Listed } = await client.graphql<{ readonly lateEvents: Listed }>(LATE, { projection, outcome, first, after })
    const { edges, pageInfo }: Listed = answer.lateEvents
    found.push(...edges.map(({ node }) => node))
    if (!pageInfo.hasNextPage || found.length >= most) return { found, next: pageInfo.hasNextPage ? pageInfo.endCursor : null }
    after = pageInfo.endCursor
  }
}

const partsText = (parts: readonly Part[]): string => parts.map(({ name, text }) => `${name} ${text}`).join(", ") || "–"
const keyText = (key: readonly { readonly value: string }[]): string => key.map(({ value }) => value).join(" ")

const REASONS: Readonly<Record<string, string>> = { AFTER_CLOSE: "its minute had closed", AFTER_REVISION: "beyond the projection's revision", EXPIRED: "its window was dropped" }

const outcomeText = ({ outcome, wasHeld, canApply }: LateEvent): string => (outcome === "APPLIED" ? (wasHeld ? "counted by hand" : "counted") : canApply ? "held" : "held, window gone")

export interface LateFlags {
  readonly held?: boolean
  readonly first: number
  readonly after?: string
}

/** Late events in log order: why they were late, what they changed, or would have. */
export const lateLs = async (client: Client, projection: string, { held, first, after }: LateFlags, json: boolean, output: Output): Promise<void> => {
  const { found, next } = await readLate(client, projection, held === true ? "HELD" : null, first, after ?? null)
  if (json) for (const event of found) output.data(JSON.stringify(event))
  else if (found.length > 0) {
    const rows = found.map((event) => [
      `${event.partition}/${event.offset}`, event.eventId, event.windowStart, keyText(event.key), outcomeText(event), durationText(event.lateByMs), REASONS[event.reason] ?? event.reason, partsText(event.contribution)
    ])
    output.data(table(["PLACE", "EVENT", "WINDOW (UTC)", "KEY", "OUTCOME", "LATE BY", "WHY", "ADDS"], rows))
  } else output.note(`No ${held === true ? "held" : "late"} event of ${projection}.`)
  if (next !== null) output.note(`There are more: --after ${next}`)
}

interface Release {
  readonly partition: number
  readonly offset: string
  readonly eventId: string | null
  readonly verdict: "APPLY" | "APPLIED" | "EXPIRED" | "UNKNOWN"
  readonly releasedAt: string | null
  readonly changes: readonly { readonly projection: string; readonly windowStart: string; readonly key: readonly { readonly value: string }[]; readonly contribution: readonly Part[] }[]
}

interface Application {
  readonly applied: number
  readonly events: readonly Release[]
}

export interface ApplyFlags {
  readonly all?: boolean
  readonly reason?: string
  readonly yes?: boolean
}

interface Place {
  readonly partition: number
  readonly offset: string
}

const wantedPlaces = async (client: Client, projection: string, named: readonly string[], all: boolean): Promise<readonly Place[]> => {
  if (all === named.length > 0) throw new CliError("Name the events by their places, as `tidemark late ls` shows them, or give --all for every one that is held.", 2)
  if (!all) return named.map(placeOf)
  const { found } = await readLate(client, projection, "HELD", Number.MAX_SAFE_INTEGER)
  return found.filter(({ canApply }) => canApply).map(({ partition, offset }) => ({ partition, offset }))
}

const VERDICTS: Readonly<Record<Release["verdict"], string>> = { APPLY: "counted", APPLIED: "counts already", EXPIRED: "window dropped by retention", UNKNOWN: "not in the late ledger" }

const releaseRows = ({ partition, offset, eventId, verdict, releasedAt, changes }: Release): readonly (readonly string[])[] => {
  const what = verdict === "APPLY" && releasedAt === null ? "would be counted" : VERDICTS[verdict] + (releasedAt === null ? "" : ` at ${partition}/${releasedAt}`)
  const head = [`${partition}/${offset}`, eventId ?? "–", what]
  if (changes.length === 0) return [[...head, "–", "–", "–", "–"]]
  return changes.map((change, at) => [...(at === 0 ? head : ["", "", ""]), change.projection, change.windowStart, keyText(change.key), partsText(change.contribution)])
}

const heldEvents = (count: number): string => `${count} held event${count === 1 ? "" : "s"}`
const released = (events: readonly Release[]): number => events.filter(({ verdict }) => verdict === "APPLY").length

/**
 * Counts held events by hand, in every projection that holds them. Without `--yes` it says what would change. Exit 1 when
 * one that was named cannot be counted.
 */
export const lateApply = async (client: Client, projection: string, named: readonly string[], { all, reason, yes }: ApplyFlags, json: boolean, output: Output): Promise<void> => {
  if (reason === undefined) throw new CliError("--reason is needed: why are they counted after all? It is stored with each of them.", 2)
  const places = await wantedPlaces(client, projection, named, all === true)
  const events: Release[] = []
  for (let at = 0; at < places.length; at += APPLY_MAX) {
    const variables = { projection, events: places.slice(at, at + APPLY_MAX), reason, dryRun: yes !== true }
    const { applyLateEvents } = await client.graphql<{ readonly applyLateEvents: Application }>(APPLY, variables, "admin")
    events.push(...applyLateEvents.events)
    if (places.length > APPLY_MAX) output.note(`${events.length} of ${places.length} events`)
  }
  if (json) output.data(JSON.stringify({ applied: yes === true ? released(events) : 0, events }))
  else if (events.length > 0) output.data(table(["PLACE", "EVENT", "RELEASE", "PROJECTION", "WINDOW (UTC)", "KEY", "ADDS"], events.flatMap(releaseRows)))
  if (events.length === 0) output.note(`No held event of ${projection} can be counted.`)
  else if (yes !== true) output.note(`Would count ${heldEvents(released(events))}. Nothing was changed: add --yes to do it.`)
  else output.note(`Counted ${heldEvents(released(events))}: tidemark why and tidemark event show tell them as late.`)
  const impossible = events.filter(({ verdict }) => verdict === "EXPIRED" || verdict === "UNKNOWN").length
  if (impossible > 0) throw new CliError(`${impossible} of the events cannot be counted: see the list.`)
}
