/** rejected ls, rejected redrive: what ingest refused, and sending it again. */
import type { Client } from "../client.ts"
import { CliError } from "../client.ts"
import type { Output } from "../output.ts"
import { plain, table } from "../output.ts"

interface Place {
  readonly partition: number
  readonly offset: string
}

interface Rejected {
  readonly id: string
  readonly receivedAt: string
  readonly type: string | null
  readonly code: string
  readonly pointer: string
  readonly detail: string
  readonly origin: string | null
  readonly body: string
  readonly redrive: { readonly wasThere: boolean; readonly place: Place | null } | null
}

interface RejectedPage {
  readonly edges: readonly { readonly node: Rejected }[]
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
}

const REJECTED = "query ($first: Int, $after: String) { rejectedEvents(first: $first, after: $after) { edges { node { id receivedAt eventId type code pointer detail origin body redrive { at eventId wasThere place { partition offset } actor reason } } } pageInfo { hasNextPage endCursor } } }"

const REDRIVE = `mutation ($ids: [ID!]!, $reason: String!, $body: String, $dryRun: Boolean) {
  redriveRejected(ids: $ids, reason: $reason, body: $body, dryRun: $dryRun) { appended entries { id verdict eventId place { partition offset } refusal { code pointer detail hint } } } }`

const PAGE_MAX = 200
/** Entries that one request sends again at most. */
const REDRIVE_MAX = 100

const placeText = ({ partition, offset }: Place): string => `${partition}/${offset}`
const redriveText = ({ redrive }: Rejected): string => (redrive === null ? "" : redrive.place === null ? "  → was in the log already" : `  → sent again, at ${placeText(redrive.place)}`)
const faultText = ({ code, pointer, detail }: { readonly code: string; readonly pointer: string; readonly detail: string }): string => `${code}${pointer === "" ? "" : ` ${pointer}`}: ${detail}`

const lineOf = (entry: Rejected): string => plain(`${entry.id}  ${entry.receivedAt}  ${entry.origin ?? entry.type ?? "–"}  ${faultText(entry)}${redriveText(entry)}  ${entry.body}`)

export interface RejectedFlags {
  readonly first: number
  readonly after?: string
}

/** Tells of the first `most` entries, newest first; answers the cursor to go on from, when there are more. */
const eachRejected = async (client: Client, most: number, from: string | null, tell: (entry: Rejected) => void): Promise<string | undefined> => {
  let [found, after]: [number, string | null] = [0, from]
  for (;;) {
    const { rejectedEvents }: { rejectedEvents: RejectedPage } = await client.graphql(REJECTED, { first: Math.min(PAGE_MAX, most - found), after })
    for (const { node } of rejectedEvents.edges) tell(node)
    found += rejectedEvents.edges.length
    after = rejectedEvents.pageInfo.endCursor
    if (!rejectedEvents.pageInfo.hasNextPage || after === null) return undefined
    if (found >= most) return after
  }
}

/** What ingest refused, newest first, with the reason. */
export const rejectedLs = async (client: Client, { first, after }: RejectedFlags, json: boolean, output: Output): Promise<void> => {
  let found = 0
  const next = await eachRejected(client, first, after ?? null, (entry) => {
    found += 1
    output.data(json ? JSON.stringify(entry) : lineOf(entry))
  })
  if (found === 0) output.note("No refused event is kept.")
  else if (next !== undefined) output.note(`There are more: --after ${next}`)
}

type Verdict = "APPEND" | "DUPLICATE" | "DONE" | "REJECTED" | "FAILED" | "UNSETTLED" | "UNKNOWN"

interface Redrive {
  readonly id: string
  readonly verdict: Verdict
  readonly eventId: string | null
  readonly place: Place | null
  readonly refusal: { readonly code: string; readonly pointer: string; readonly detail: string; readonly hint: string | null } | null
}

export interface RedriveFlags {
  readonly all?: boolean
  readonly code?: string
  readonly data?: string
  readonly reason?: string
  readonly yes?: boolean
}

const WORDS: Readonly<Record<Verdict, string>> = {
  APPEND: "would be taken", DUPLICATE: "in the log already", DONE: "sent again before", REJECTED: "refused again", FAILED: "not known to be stored: do it again",
  UNSETTLED: "an earlier try broke off: look for the event", UNKNOWN: "no such entry"
}

const rowOf = ({ id, verdict, eventId, place, refusal }: Redrive): readonly string[] =>
  [id, eventId ?? "–", verdict === "APPEND" && place !== null ? "taken" : WORDS[verdict], place === null ? "–" : placeText(place), refusal === null ? "–" : `${faultText(refusal)}${refusal.hint === null ? "" : ` (${refusal.hint})`}`]

const wantedIds = async (client: Client, ids: readonly string[], { all, code, data }: RedriveFlags): Promise<readonly string[]> => {
  if ((all === true) === ids.length > 0) throw new CliError("Name the entries by their ids, as `tidemark rejected ls` shows them, or give --all for every one that was not sent again yet.", 2)
  if (code !== undefined && all !== true) throw new CliError("--code chooses among --all.", 2)
  if (data !== undefined && ids.length !== 1) throw new CliError("--data corrects one event: name one entry.", 2)
  if (all !== true) return ids
  const found: string[] = []
  await eachRejected(client, Number.MAX_SAFE_INTEGER, null, (entry) => {
    if (entry.redrive === null && (code === undefined || entry.code === code)) found.push(entry.id)
  })
  // The oldest first, as they came.
  return found.reverse()
}

const events = (count: number): string => `${count} event${count === 1 ? "" : "s"}`

/** Verdicts that leave an event uncounted, which is what the caller did not want. */
const UNDONE: readonly Verdict[] = ["REJECTED", "FAILED", "UNSETTLED", "UNKNOWN"]

/**
 * Sends refused events again, each under the id it was sent with. Without `--yes` it says what would become of them. Exit 1
 * when one is not taken.
 */
export const redrive = async (client: Client, ids: readonly string[], flags: RedriveFlags, json: boolean, output: Output): Promise<void> => {
  const { reason, data, yes } = flags
  if (reason === undefined) throw new CliError("--reason is needed: why are they right now? It is stored with each of them.", 2)
  const wanted = await wantedIds(client, ids, flags)
  const entries: Redrive[] = []
  for (let at = 0; at < wanted.length; at += REDRIVE_MAX) {
    const variables = { ids: wanted.slice(at, at + REDRIVE_MAX), reason, body: data ?? null, dryRun: yes !== true }
    const { redriveRejected } = await client.graphql<{ readonly redriveRejected: { readonly entries: readonly Redrive[] } }>(REDRIVE, variables, "admin")
    entries.push(...redriveRejected.entries)
    if (wanted.length > REDRIVE_MAX) output.note(`${entries.length} of ${wanted.length} entries`)
  }
  const taken = entries.filter(({ verdict }) => verdict === "APPEND").length
  if (json) output.data(JSON.stringify({ appended: yes === true ? taken : 0, entries }))
  else if (entries.length > 0) output.data(table(["ENTRY", "EVENT", "OUTCOME", "PLACE", "WHY"], entries.map(rowOf)))
  if (entries.length === 0) output.note("There is nothing to send again.")
  else if (yes !== true) output.note(`Would append ${events(taken)}. Nothing was changed: add --yes to do it.`)
  else output.note(`Appended ${events(taken)}.`)
  const undone = entries.filter(({ verdict }) => UNDONE.includes(verdict)).length
  if (undone > 0) throw new CliError(`${events(undone)} of ${entries.length} ${undone === 1 ? "is" : "are"} not taken: see the list.`)
}
