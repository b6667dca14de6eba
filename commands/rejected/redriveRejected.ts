/**
 * Sends refused events again: each is checked as events are checked now, and appended under the id it was sent with (that
 * of its entry, where it had none), so that neither a second redrive nor the sender's own repetition counts it twice.
 * An event that never had a time happened when it was received.
 */
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import { evolveRedrive, readRedriveEvent } from "@tidemark/domain/settings/redrive"
import type { Redrive, RedriveEvent, Redriven } from "@tidemark/domain/settings/redrive"
import { InvalidSettingError, redriveStream } from "@tidemark/domain/settings/streams"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { AcceptAnswer, AcceptError, AcceptRequest, EventResult } from "../accept-events/acceptEvents.ts"
import { keptItem } from "../accept-events/splitBody.ts"
import type { Item } from "../accept-events/splitBody.ts"
import { isEventId } from "../accept-events/validateEvent.ts"
import { decideAndAppend, loadAggregate } from "../settings/decideAndAppend.ts"
import type { Act, Aggregate } from "../settings/decideAndAppend.ts"

/** The command that takes events into the log, as ingest runs it. */
export type Accept = (request: AcceptRequest) => Effect.Effect<AcceptAnswer, AcceptError>

export interface RedriveRejected {
  readonly tenantId: string
  /** The tenant refuses types without a schema. */
  readonly strict: boolean
  /** Of the rejected log, 1 to `ENTRIES_MAX`. */
  readonly entryIds: readonly string[]
  /** The event as it should have been, JSON; only for a single entry. Absent: as it was received. */
  readonly body?: string | undefined
  /** Check, and append nothing. */
  readonly dryRun: boolean
}

/**
 * `append`: it is taken now. `duplicate`: the log has an event of its id already. `done`: it was redriven before.
 * `rejected`: it is refused again. `failed`: the log did not take it, or did not say. `unsettled`: an earlier redrive broke
 * off longer ago than repetitions are told apart. `unknown`: the tenant has no such entry.
 */
export type RedriveVerdict = "append" | "duplicate" | "done" | "rejected" | "failed" | "unsettled" | "unknown"

export interface RedriveDecision {
  readonly entryId: string
  readonly verdict: RedriveVerdict
  /** Under which it stands in the log, or would; null for an unknown entry. */
  readonly eventId: string | null
  /** Where it stands; null when nothing was appended. */
  readonly place: Redriven["place"]
  /** Why it is refused again. */
  readonly refusal: { readonly code: string; readonly pointer: string; readonly detail: string; readonly hint: string | null } | null
}

export const ENTRIES_MAX = 100
const REASON_MAX = 500
/** Appends that wait share one commit of the log. */
const AT_ONCE = 16
/** Within this, a repetition under the same id is told apart: an hour less than the log's horizon, ms. */
const REPEATABLE_MS = 23 * 3_600_000

const invalid = ({ entryIds, body }: RedriveRejected, reason: string): InvalidSettingError | undefined => {
  if (entryIds.length === 0 || entryIds.length > ENTRIES_MAX) return new InvalidSettingError({ pointer: "/ids", detail: `takes 1 to ${ENTRIES_MAX} entries at once, got ${entryIds.length}` })
  if (reason.trim() === "" || reason.length > REASON_MAX) return new InvalidSettingError({ pointer: "/reason", detail: `must be text of 1 to ${REASON_MAX} characters` })
  if (body !== undefined && entryIds.length !== 1) return new InvalidSettingError({ pointer: "/body", detail: "corrects one event: name one entry" })
  return undefined
}

const aggregateOf = (tenantId: string, entryId: string): Aggregate<Redrive, RedriveEvent> => ({ stream: redriveStream(tenantId, entryId), read: readRedriveEvent, evolve: evolveRedrive })

/** What became of an entry that was sent again; undefined when it never was. */
export const loadRedrive = (tenantId: string, entryId: string) => Effect.map(loadAggregate(aggregateOf(tenantId, entryId)), ({ state }) => state)

/** The id it was sent with, or that of its entry, which no other event has. */
const idOf = ({ eventId, entryId }: RejectedEvent): string => (eventId !== null && isEventId(eventId) ? eventId : entryId)

/** The import it came with: `name`, or `name:line`. */
const importOf = ({ origin }: RejectedEvent): string | undefined => (origin === null ? undefined : origin.replace(/:[1-9]\d{0,14}$/, ""))

/** The event as ingest takes it. A correction may not speak of another event. */
const itemOf = (entry: RejectedEvent, body: string | undefined): Item | InvalidSettingError => {
  const id = idOf(entry)
  const item = keptItem(body ?? entry.body)
  if (item.kind === "rejected") return item
  const given = item.fields.id
  if (body !== undefined && typeof given === "string" && given !== id) return new InvalidSettingError({ pointer: "/body", detail: `is another event: its id must be ${id}, or be left out` })
  return { ...item, fields: { ...item.fields, id, time: item.fields.time ?? entry.receivedAtMs } }
}

interface Given {
  readonly command: RedriveRejected
  readonly act: Act
  readonly accept: Accept
}

const decided = (entry: RejectedEvent, verdict: RedriveVerdict, more: Partial<RedriveDecision> = {}): RedriveDecision => ({ entryId: entry.entryId, verdict, eventId: idOf(entry), place: null, refusal: null, ...more })

const refusedAgain = (entry: RejectedEvent, { code, pointer, detail, hint }: Extract<EventResult, { readonly status: "rejected" }>): RedriveDecision =>
  decided(entry, "rejected", { refusal: { code, pointer, detail, hint: hint ?? null } })

/** Appends the event between the two events that tell of it. */
const carryOut = Effect.fn("carryOutRedrive")(function* (entry: RejectedEvent, take: Effect.Effect<EventResult | undefined, AcceptError>, { command: { tenantId }, act }: Given) {
  const { entryId } = entry
  const [aggregate, eventId] = [aggregateOf(tenantId, entryId), idOf(entry)]
  const begunAtMs = yield* Clock.currentTimeMillis
  yield* decideAndAppend(aggregate, act, (state): readonly RedriveEvent[] => (state === undefined ? [{ type: "rejected.redrive.begun", data: { tenantId, entryId, eventId, atMs: begunAtMs } }] : []))
  const result = yield* take
  if (result === undefined || result.status === "failed") return decided(entry, "failed")
  if (result.status === "rejected") return refusedAgain(entry, result)
  const place = result.status === "accepted" ? { partition: result.partition, offset: result.offset ?? "" } : null
  const redriven: Redriven = { tenantId, entryId, eventId, outcome: place === null ? "duplicate" : "appended", place, atMs: yield* Clock.currentTimeMillis, actor: act.actor, reason: act.reason }
  yield* decideAndAppend(aggregate, act, (state): readonly RedriveEvent[] => (state?.redriven == null ? [{ type: "rejected.redriven", data: redriven }] : []))
  return decided(entry, place === null ? "duplicate" : "append", { place })
})

const redriveOne = Effect.fn("redriveOne")(function* (entryId: string, given: Given) {
  const { command: { tenantId, strict, body, dryRun }, act, accept } = given
  const entry = yield* (yield* RejectedLog).find(tenantId, entryId)
  if (entry === undefined) return { entryId, verdict: "unknown", eventId: null, place: null, refusal: null } satisfies RedriveDecision as RedriveDecision
  const known = yield* loadRedrive(tenantId, entryId)
  if (known?.redriven != null) return decided(entry, "done", { eventId: known.redriven.eventId, place: known.redriven.place })
  const item = itemOf(entry, body)
  if (item instanceof InvalidSettingError) return yield* item
  const request: AcceptRequest = { tenantId, defaultSource: `urn:tidemark:key:${act.actor}`, items: [item], strict, dryRun: true, backfill: importOf(entry) }
  const [checked] = (yield* accept(request)).results
  if (checked?.status === "rejected") return refusedAgain(entry, checked)
  if (known !== undefined && (yield* Clock.currentTimeMillis) - known.begunAtMs > REPEATABLE_MS && request.backfill === undefined) return decided(entry, "unsettled")
  if (dryRun) return decided(entry, checked?.status === "duplicate" ? "duplicate" : "append")
  return yield* carryOut(entry, Effect.map(accept({ ...request, dryRun: false }), ({ results }) => results[0]), given)
})

/** Decides on every entry named, each once. Doing it again is safe, whatever became of it. */
export const redriveRejected = Effect.fn("redriveRejected")(function* (command: RedriveRejected, act: Act, accept: Accept) {
  const refused = invalid(command, act.reason)
  if (refused !== undefined) return yield* refused
  return yield* Effect.forEach(new Set(command.entryIds), (entryId) => redriveOne(entryId, { command, act, accept }), { concurrency: AT_ONCE })
})
