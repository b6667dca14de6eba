/** Takes the events of one request into the log: checks them, drops duplicates, appends once, answers each in order. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { v7 } from "uuid"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import type { EventAttributes } from "@tidemark/domain/events/event"
import { kafkaPartition, partitionKeyOf } from "@tidemark/domain/events/partitioning"
import { identityText } from "@tidemark/domain/events/partitionState"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { AppendRejectedError, AppendUnknownError, EventLogShape, LogReadError, LogRecord, StoredAt } from "@tidemark/domain/ports/EventLog"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexError } from "@tidemark/domain/ports/PartitionIndex"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent, RejectedLogError } from "@tidemark/domain/ports/RejectedLog"
import { correctEventTime } from "@tidemark/domain/time/correct"
import { TIME_MS_MIN } from "@tidemark/domain/time/rfc3339"
import { ConfirmedEvents } from "./confirmedEvents.ts"
import type { DedupeFullError, KnownEvents, NamedEvent, OpenAppend } from "./confirmedEvents.ts"
import { RecentEvents } from "./recentEvents.ts"
import type { SchemaRegistry } from "./schemas.ts"
import { importId } from "./importId.ts"
import { EVENT_BYTES_MAX } from "./splitBody.ts"
import type { Item, Rejection } from "./splitBody.ts"
import { UnsettledRejections } from "./unsettledRejections.ts"
import { secondsHint, validateEvent } from "./validateEvent.ts"

export interface AcceptRequest {
  readonly tenantId: string
  /** Source of events that name none. */
  readonly defaultSource: string
  readonly items: readonly Item[]
  /** The client's clock when it sent the request, Unix ms. */
  readonly sentAtMs?: number | undefined
  /** Import name; absent on live traffic. */
  readonly backfill?: string | undefined
  /** Number in the import's file of what is line 1 of the body; lines count on from there, empty ones too. */
  readonly firstLine?: number | undefined
  /** Refuses types without a schema. */
  readonly strict: boolean
  /** Checks only: nothing is appended or kept. */
  readonly dryRun: boolean
}

/** Why an event failed: the log takes nothing at the moment, for want of room on its disk, or it is not known whether it took the event. */
export type FailureCode = "log-not-writable" | "storage-full" | "outcome-unknown"

export type EventResult =
  | { readonly status: "accepted"; readonly id: string; readonly partition: number; /** Absent in a dry run. */ readonly offset?: string | undefined; readonly hint?: string | undefined }
  | { readonly status: "duplicate"; readonly id: string }
  | { readonly status: "rejected"; readonly id: string | null; readonly code: string; readonly pointer: string; readonly detail: string; readonly hint?: string | undefined }
  | { readonly status: "failed"; readonly id: string; readonly code: FailureCode }

/** received = accepted + duplicate + rejected + failed; results in the order of the items. */
export interface AcceptAnswer {
  readonly received: number
  readonly accepted: number
  readonly duplicate: number
  readonly rejected: number
  readonly failed: number
  readonly results: readonly EventResult[]
}

/** Nothing was appended. */
export type AcceptError = LogReadError | PartitionIndexError | RejectedLogError | DedupeFullError

interface Candidate extends NamedEvent {
  readonly kind: "candidate"
  readonly dataText: string | undefined
  readonly hint: string | undefined
  /** Undefined until it is decided. */
  fate: Fate | undefined
}

interface Refused extends Rejection {
  readonly kind: "refused"
  readonly item: Item
}

const refused = (item: Item, { code, pointer, detail, hint }: Rejection): Refused => ({ kind: "refused", item, code, pointer, detail, hint })

interface Intake {
  readonly request: AcceptRequest
  readonly receivedAtMs: number
  readonly partitions: number
  readonly schemas: SchemaRegistry
  readonly newId: () => string
}

/** Number of the item's line in the import's file, when both are known. */
const importLineOf = (item: Item, { backfill, firstLine }: AcceptRequest): number | undefined =>
  backfill === undefined || firstLine === undefined || item.line === undefined ? undefined : firstLine + item.line - 1

const judge = (item: Item, { request, receivedAtMs, partitions, schemas, newId }: Intake): Candidate | Refused => {
  if (item.kind === "rejected") return refused(item, item)
  const valid = validateEvent(item)
  if ("code" in valid) return refused(item, valid)
  const match = schemas.check(valid.type, valid.schemaVersion, valid.data)
  if (match.kind === "mismatch") return refused(item, match)
  if (match.version === 0 && request.strict) return refused(item, { code: "unknown-type", pointer: "/type", detail: "the type has no schema", hint: match.hint })
  const { clientTimeMs, type, userId, anonymousId, sessionId } = valid
  const { backfill, tenantId, sentAtMs } = request
  const time = correctEventTime({ receivedAtMs, backfill: backfill !== undefined, ...(clientTimeMs === undefined ? {} : { clientTimeMs }), ...(sentAtMs === undefined ? {} : { sentAtMs }) })
  if (time.timeMs < TIME_MS_MIN) return refused(item, { code: "time", pointer: "/time", detail: "before the year 0 once corrected by sentAt" })
  const importLine = importLineOf(item, request)
  const id = valid.id ?? (backfill === undefined || importLine === undefined ? newId() : importId(backfill, importLine, item.text))
  const partitionKey = partitionKeyOf(tenantId, { id, userId, anonymousId, sessionId })
  const event: EventAttributes = {
    id, type, tenantId, receivedAtMs, partitionKey, userId, anonymousId, sessionId, backfill, ...time,
    source: valid.source ?? request.defaultSource,
    schemaVersion: match.version
  }
  return { kind: "candidate", partition: kafkaPartition(partitionKey, partitions), event, identity: identityText(event), dataText: valid.dataText, hint: hintOf(match.hint, item.ignored, backfill === undefined ? secondsHint(item.fields.time) : undefined), fate: undefined }
}

const hintOf = (...hints: readonly (string | undefined)[]): string | undefined => {
  const told = hints.filter((hint) => hint !== undefined)
  return told.length === 0 ? undefined : told.join("; ")
}

const textOrNull = (item: Item, name: "id" | "type"): string | null => {
  const value = item.kind === "event" ? item.fields[name] : undefined
  return typeof value === "string" ? value.slice(0, 512) : null
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** At most 32 KiB of UTF-8, never half a character. */
const truncated = (text: string): string => {
  const bytes = new Uint8Array(EVENT_BYTES_MAX)
  return decoder.decode(bytes.subarray(0, encoder.encodeInto(text, bytes).written))
}

const rejectedEntry = ({ item, code, pointer, detail }: Refused, { request, receivedAtMs, newId }: Intake): RejectedEvent => {
  const { tenantId, backfill } = request
  const line = importLineOf(item, request)
  return {
    tenantId,
    entryId: backfill === undefined ? newId() : importId(backfill, line, item.text),
    receivedAtMs,
    eventId: textOrNull(item, "id"),
    eventType: textOrNull(item, "type"),
    code,
    pointer,
    detail,
    origin: backfill === undefined ? null : line === undefined ? backfill : `${backfill}:${line}`,
    body: truncated(item.text)
  }
}

type Fate = StoredAt | "duplicate" | "dry" | FailureCode

const FAILURES: readonly unknown[] = ["log-not-writable", "storage-full", "outcome-unknown"] satisfies FailureCode[]

const isFailure = (fate: Fate | undefined): fate is FailureCode => FAILURES.includes(fate)

const resultOf = (judged: Candidate | Refused): EventResult => {
  if (judged.kind === "refused") {
    const { item, code, pointer, detail, hint } = judged
    return { status: "rejected", id: textOrNull(item, "id"), code, pointer, detail, hint }
  }
  const { event: { id }, partition, hint, fate } = judged
  if (fate === undefined || isFailure(fate)) return { status: "failed", id, code: fate ?? "outcome-unknown" }
  if (fate === "duplicate") return { status: "duplicate", id }
  return { status: "accepted", id, partition, offset: fate === "dry" ? undefined : String(fate.offset), hint }
}

const answerOf = (received: number, results: readonly EventResult[]): AcceptAnswer => {
  const counts = { accepted: 0, duplicate: 0, rejected: 0, failed: 0 }
  for (const { status } of results) counts[status] += 1
  if (received !== counts.accepted + counts.duplicate + counts.rejected + counts.failed) throw new Error("ingest lost count of a request's events")
  return { received, ...counts, results }
}

interface Sorted {
  readonly fresh: readonly Candidate[]
  /** Another request's append decides these. */
  readonly open: readonly Deferred.Deferred<void>[]
  /** Copies within the request, by their first. */
  readonly copies: ReadonlyMap<Candidate, Candidate>
}

const sortOut = (candidates: readonly Candidate[], confirmed: KnownEvents): Sorted => {
  const fresh: Candidate[] = []
  const open: Deferred.Deferred<void>[] = []
  const copies = new Map<Candidate, Candidate>()
  const firsts = new Map<string, Candidate>()
  for (const candidate of candidates) {
    const standing = confirmed.standing(candidate)
    if (standing.kind === "open") open.push(standing.answered)
    if (standing.kind !== "new") continue
    const first = firsts.get(candidate.identity)
    if (first !== undefined) copies.set(candidate, first)
    else {
      firsts.set(candidate.identity, candidate)
      fresh.push(candidate)
    }
  }
  return { fresh, open, copies }
}

const failureCode = (exit: Exit.Exit<readonly StoredAt[], AppendRejectedError | AppendUnknownError>): FailureCode => {
  if (Exit.isSuccess(exit)) return "outcome-unknown"
  const first = exit.cause.reasons[0]
  if (exit.cause.reasons.length !== 1 || first?._tag !== "Fail" || first.error._tag !== "AppendRejectedError") return "outcome-unknown"
  return first.error.storageFull === true ? "storage-full" : "log-not-writable"
}

/** Live events among them by partition, where there is no room to know them; imports are known on disk. */
const withoutRoom = (confirmed: KnownEvents, fresh: readonly Candidate[]): readonly (readonly [number, number])[] => {
  const live = new Map<number, number>()
  for (const { partition, event } of fresh) if (event.backfill === undefined) live.set(partition, (live.get(partition) ?? 0) + 1)
  return [...live].filter(([partition, count]) => !confirmed.hasRoom(partition, count))
}

/** What comes of one look at the candidates. */
type Look =
  /** Asked again once these are answered. */
  | { readonly kind: "wait"; readonly open: Sorted["open"] }
  /** Asked again once there is room for as many in each partition. */
  | { readonly kind: "full"; readonly wanted: readonly (readonly [number, number])[] }
  /** Whose append it is to make, if anything is fresh: from here on everybody else finds these events open. */
  | { readonly kind: "ours"; readonly sorted: Sorted; readonly append: OpenAppend | undefined }

/**
 * Decides which candidates are this request's to append, and registers them as open. Both in one synchronous step: a
 * fiber may give way between any two effects, and a request that looked in between would append the same events again.
 */
const claim = (confirmed: KnownEvents, candidates: readonly Candidate[]): Look => {
  const sorted = sortOut(candidates, confirmed)
  const { fresh, open } = sorted
  if (open.length > 0) return { kind: "wait", open }
  const wanted = withoutRoom(confirmed, fresh)
  if (wanted.length > 0) return { kind: "full", wanted }
  return { kind: "ours", sorted, append: fresh.length === 0 ? undefined : confirmed.begin(fresh) }
}

/** Everything that is not fresh is a duplicate, and a copy shares the failure of its first. */
const spread = (candidates: readonly Candidate[], { fresh, copies }: Sorted, fateOfFresh: (index: number) => Fate): void => {
  for (const candidate of candidates) candidate.fate = "duplicate"
  fresh.forEach((candidate, i) => (candidate.fate = fateOfFresh(i)))
  for (const [copy, { fate }] of copies) copy.fate = isFailure(fate) ? fate : "duplicate"
}

/** Claims what is fresh and appends it as one batch. Not interruptible, so that nobody waits for an answer that never comes. */
const claimAndAppend = (log: EventLogShape, confirmed: KnownEvents, candidates: readonly Candidate[]): Effect.Effect<Look> =>
  Effect.uninterruptible(Effect.suspend((): Effect.Effect<Look> => {
    const look = claim(confirmed, candidates)
    if (look.kind !== "ours") return Effect.succeed(look)
    const { sorted, append } = look
    if (append === undefined) {
      spread(candidates, sorted, () => "duplicate")
      return Effect.succeed(look)
    }
    const records = Effect.suspend(() => log.append(sorted.fresh.map(({ partition, event, dataText }): LogRecord => ({ partition, key: event.partitionKey, value: encodeEvent(event, dataText) }))))
    return Effect.map(Effect.exit(records), (exit) => {
      const stored = Exit.isSuccess(exit) ? exit.value : undefined
      confirmed.finish(append, stored)
      const failure = failureCode(exit)
      spread(candidates, sorted, (i) => stored?.[i] ?? failure)
      return look
    })
  }))

/** Decides the fate of every candidate. */
const settle = Effect.fn(function* (log: EventLogShape, confirmed: KnownEvents, candidates: readonly Candidate[], dryRun: boolean) {
  const partitions = new Set(candidates.map(({ partition }) => partition))
  for (;;) {
    for (const partition of partitions) yield* confirmed.prepare(partition)
    if (dryRun) return spread(candidates, sortOut(candidates, confirmed), () => "dry")
    // Others' events may come while this one waits or makes room, so everything is looked at again.
    const look = yield* claimAndAppend(log, confirmed, candidates)
    if (look.kind === "ours") return
    if (look.kind === "wait") for (const answered of look.open) yield* Deferred.await(answered)
    else for (const [partition, count] of look.wanted) yield* confirmed.makeRoom(partition, count)
  }
})

const makeNewId = (msecs: number, random: { readonly nextDoubleUnsafe: () => number }) => (): string => {
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 16; i++) bytes[i] = Math.floor(random.nextDoubleUnsafe() * 256)
  return v7({ msecs, random: bytes })
}

export interface AcceptOptions {
  readonly schemas: SchemaRegistry
  /** The log's hash seed, the one its readers use for stored segments. */
  readonly hashSeed: number
  /** `whole`: this process alone appends, and knows every duplicate. `own`: others append too; it knows its own recent ones. */
  readonly duplicates?: "whole" | "own"
  /** Memory of the 24-hour part of the dedupe index, bytes; DEDUPE_BYTES_MAX by default. */
  readonly dedupeBytesMax?: number | undefined
  /** Records of a partition after which what is known of them is stored; 4,096 by default. */
  readonly segmentRecords?: bigint | undefined
}

/** The command, holding what this process knows of every partition. One per log and process. */
export const makeAcceptEvents = Effect.fn(function* ({ schemas, hashSeed, duplicates = "whole", dedupeBytesMax, segmentRecords }: AcceptOptions) {
  const log = yield* EventLog
  const rejectedLog = yield* RejectedLog
  const confirmed: KnownEvents = duplicates === "own" ? new RecentEvents() : new ConfirmedEvents(log, yield* PartitionIndex, hashSeed, dedupeBytesMax, segmentRecords)
  const unsettled = new UnsettledRejections()
  const accept: (request: AcceptRequest) => Effect.Effect<AcceptAnswer, AcceptError> = Effect.fn(function* (request: AcceptRequest) {
    const receivedAtMs = yield* Clock.currentTimeMillis
    const newId = makeNewId(receivedAtMs, yield* Random.Random)
    const intake: Intake = { request, receivedAtMs, partitions: log.identity.partitions, schemas, newId }
    const judged = request.items.map((item) => judge(item, intake))
    const refusals = judged.filter((one) => one.kind === "refused")
    const entries = request.dryRun ? [] : unsettled.settle(refusals.map((one) => rejectedEntry(one, intake)))
    const failed = Effect.sync(() => unsettled.failed(entries))
    if (entries.length > 0) yield* Effect.onError(rejectedLog.put(entries), () => failed)
    const candidates = judged.filter((one) => one.kind === "candidate")
    yield* Effect.onError(settle(log, confirmed, candidates, request.dryRun), () => failed)
    if (candidates.some(({ fate }) => isFailure(fate))) yield* failed
    return answerOf(request.items.length, judged.map(resultOf))
  })
  return accept
})
