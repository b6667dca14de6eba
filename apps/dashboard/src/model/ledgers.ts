/**
 * What is kept aside and why, as the page tells it: late events, dead letters, refused events. Pure.
 */
import type { Dimension } from "./answer.ts"

/** The lists of the page. `late` are those that count as corrections. */
export const LISTS = ["held", "late", "dead", "rejected"] as const
export type ListName = (typeof LISTS)[number]

export const LIST_LABELS: Readonly<Record<ListName, string>> = { held: "Held", late: "Late, counted", dead: "Dead letters", rejected: "Rejected" }

/** An event by its place in the log. */
export interface PlacedEvent {
  readonly id: string
  readonly partition: number
  readonly offset: string
}

export interface Part {
  readonly name: string
  readonly text: string
}

export interface LateEvent {
  readonly eventId: string
  readonly type: string
  readonly time: string
  readonly windowStart: string
  readonly key: readonly Dimension[]
  readonly lateByMs: number
  readonly reason: "AFTER_CLOSE" | "AFTER_REVISION" | "EXPIRED"
  readonly wasHeld: boolean
  readonly canApply: boolean
  readonly contribution: readonly Part[]
  readonly partition: number
  readonly offset: string
}

export interface DeadLetter {
  readonly partition: number
  readonly offset: string
  readonly code: string
  readonly pointer: string
  /** Version of the shipped definition, where a rebuild with it would count the event. */
  readonly foldedByVersion: number | null
  /** Null where the record cannot be read as an event. */
  readonly event: { readonly id: string; readonly type: string } | null
}

export interface Rejected {
  readonly id: string
  readonly receivedAt: string
  readonly eventId: string | null
  readonly type: string | null
  readonly code: string
  readonly pointer: string
  readonly detail: string
  readonly origin: string | null
  readonly body: string
  /** What became of it when it was sent again; null when it never was. */
  readonly redrive: { readonly eventId: string; readonly wasThere: boolean; readonly place: { readonly partition: number; readonly offset: string } | null; readonly reason: string } | null
}

/** What is told of one entry that was to be sent again. */
export interface Redrive {
  readonly verdict: "APPEND" | "DUPLICATE" | "DONE" | "REJECTED" | "FAILED" | "UNSETTLED" | "UNKNOWN"
  readonly eventId: string | null
  /** Null when nothing was appended. */
  readonly place: { readonly partition: number; readonly offset: string } | null
  readonly refusal: { readonly code: string; readonly pointer: string; readonly detail: string; readonly hint: string | null } | null
}

/** What is told of one event that was to be counted by hand. */
export interface Release {
  readonly partition: number
  readonly offset: string
  readonly eventId: string | null
  readonly verdict: "APPLY" | "APPLIED" | "EXPIRED" | "UNKNOWN"
  /** Null when nothing was appended. */
  readonly releasedAt: string | null
  readonly changes: readonly { readonly projection: string; readonly windowStart: string; readonly key: readonly Dimension[]; readonly contribution: readonly Part[] }[]
}

/** `12`, or `50+` when there are more than are listed. */
export const countText = (listed: number, more: boolean): string => (more ? `${listed}+` : String(listed))

/** What an event adds, measure by measure: of one value, all figures of a distribution are the same. */
export const partsText = (parts: readonly Part[]): string =>
  parts.flatMap(({ name, text }) => (name.endsWith(".sum") ? [`${name.slice(0, -4)} ${text}`] : name.includes(".") ? [] : [`${name} ${text}`])).join(", ")

/** Why it is in the late ledger, and not counted by itself where that is so. */
export const lateReason = ({ reason, wasHeld, canApply }: LateEvent): string => {
  if (reason === "EXPIRED") return "its window was dropped by retention"
  if (reason === "AFTER_CLOSE") return "its minute had closed"
  return canApply ? "later than the projection revises by itself" : wasHeld ? "counted by hand" : "its window was dropped by retention"
}

const DEAD_REASONS: Readonly<Record<string, string>> = {
  ENVELOPE: "The record is no event: something else wrote to the log.",
  EXPRESSION: "A value has another type than the definition reads.",
  MEASURE_MISSING: "A measure that every event must have is missing.",
  DECIMAL_SCALE: "The amount has more digits than the measure keeps.",
  UNSAFE_INTEGER: "A number is beyond ±(2⁵³ − 1): send it as text.",
  UPCAST: "The event could not be brought to the version that the definition reads.",
  WINDOW_EXPIRED: "It was imported into a window that retention had dropped."
}

/** Why an event could not be folded. */
export const deadReason = ({ code }: Pick<DeadLetter, "code">): string => DEAD_REASONS[code] ?? "It could not be folded."

const NEXT_STEPS: Readonly<Record<string, string>> = {
  "unknown-type": "Register a schema for the type, or let the tenant take types without one.",
  "unknown-version": "Send a version that the type has.",
  "reserved-type": "Choose a type that does not begin with tidemark.",
  required: "Add the member.",
  attribute: "Send the attribute as text of the allowed length.",
  time: "Send RFC 3339, or whole milliseconds since 1970.",
  json: "Send one valid JSON object, each member once.",
  "too-large": "Send less than 32 KiB an event.",
  "utf-8": "Send UTF-8.",
  unreadable: "Mend the line in the file and import it again: what went in is not counted twice."
}

/** What the sender can do about it. */
export const nextStep = ({ code }: Pick<Rejected, "code">): string => NEXT_STEPS[code] ?? "Correct the event and send it again with the same id."

/** What becomes, or became, of an event that is sent again. */
export const redriveText = ({ verdict, eventId, place, refusal }: Redrive): string => {
  if (verdict === "APPEND") return place === null ? `It would be taken, as event ${eventId ?? ""}.` : `It was taken, as event ${eventId ?? ""} at ${place.partition}/${place.offset}.`
  if (verdict === "REJECTED" && refusal !== null) return `It is refused again: ${refusal.pointer === "" ? "" : `${refusal.pointer}: `}${refusal.detail}${refusal.hint === null ? "" : ` (${refusal.hint})`}.`
  if (verdict === "DUPLICATE") return "The log has an event of this id already: it is counted once."
  if (verdict === "DONE") return "It was sent again before: it is counted once."
  if (verdict === "FAILED") return "It is not known to be stored. Send it again: it is counted once."
  return verdict === "UNSETTLED" ? "An earlier try broke off too long ago to be repeated. Look for the event by its id; if it is not there, send it as a new one." : "The rejected log no longer has it."
}

/** JSON with a line for each member, easier to correct; what is no JSON stays as it is. */
export const editable = (body: string): string => {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}

/** Every place of a selection, in groups that one request takes. */
export const inGroups = <A>(items: readonly A[], most: number): readonly (readonly A[])[] =>
  Array.from({ length: Math.ceil(items.length / most) }, (_, group) => items.slice(group * most, (group + 1) * most))

const things = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** What a release would change, or has changed. */
export const releaseSummary = (releases: readonly Release[]): string => {
  const applied = releases.filter(({ verdict }) => verdict === "APPLY")
  const windows = new Set(applied.flatMap(({ changes }) => changes.map(({ projection, windowStart, key }) => JSON.stringify([projection, windowStart, key.map(({ value }) => value)]))))
  const projections = new Set(applied.flatMap(({ changes }) => changes.map(({ projection }) => projection)))
  const done = applied.some(({ releasedAt }) => releasedAt !== null)
  if (applied.length === 0) return "None of them can be counted: they count already, or their windows are gone."
  const rest = releases.length - applied.length
  return `${things(applied.length, "event")} ${done ? (applied.length === 1 ? "was" : "were") : "would be"} counted: ${things(windows.size, "minute")} of ${things(projections.size, "projection")}, with their hours and days.${rest === 0 ? "" : ` ${things(rest, "other")} cannot be counted.`}`
}

export const placeText = ({ partition, offset }: { readonly partition: number; readonly offset: string }): string => `${partition}/${offset}`
