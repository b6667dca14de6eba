/**
 * Counts held events by hand: for each, a record that releases it is appended to its partition, with the original in it.
 * Every projection that holds the event folds it there, once, now and in every rebuild to come; a second release of the
 * same event changes nothing. Rules: docs/semantics.md §5.
 */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import { encodeLateApplied } from "@tidemark/domain/events/systemRecords"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogRecord, StoredAt } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LateEntry, Pointer, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import { InvalidSettingError } from "@tidemark/domain/settings/streams"
import { windowStart } from "@tidemark/domain/time/window"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Act } from "../settings/decideAndAppend.ts"

/** No projection of this name has an active generation. */
export class NoSuchProjectionError extends Schema.TaggedError<NoSuchProjectionError>()("NoSuchProjectionError", {
  projection: Schema.String,
  valid: Schema.Array(Schema.String)
}) {}

/** The log holds another record at the place that a late ledger names. Nothing was appended. */
export class LateOriginalError extends Schema.TaggedError<LateOriginalError>()("LateOriginalError", {
  partition: Schema.Int,
  offset: Schema.BigInt
}) {}

export interface ApplyLate {
  readonly tenantId: string
  /** Whose late ledger names the events. */
  readonly projection: string
  /** Of the original events, 1 to `PLACES_MAX`. */
  readonly places: readonly StoredAt[]
  /** Decide, and append nothing. */
  readonly dryRun: boolean
}

/**
 * `apply`: it is held, and a release counts it. `applied`: it counts already. `expired`: retention has dropped its window.
 * `unknown`: the tenant's late ledger has no such event.
 */
export type LateVerdict = "apply" | "applied" | "expired" | "unknown"

/** What a projection that holds the event counts once it is released. */
export interface LateChange {
  readonly projection: string
  readonly generation: number
  readonly entry: LateEntry
}

export interface LateDecision {
  readonly place: StoredAt
  readonly verdict: LateVerdict
  /** The entry in the named projection's ledger. */
  readonly entry: LateEntry | undefined
  /** Of the named projection first. Empty unless the verdict is `apply`. */
  readonly changes: readonly LateChange[]
  /** Where the record that releases it stands; null when none was appended. */
  readonly release: StoredAt | null
}

export const PLACES_MAX = 100
const REASON_MAX = 500
const DAY_MS = 86_400_000

const invalid = ({ places }: ApplyLate, reason: string): InvalidSettingError | undefined => {
  if (places.length === 0 || places.length > PLACES_MAX) return new InvalidSettingError({ pointer: "/events", detail: `takes 1 to ${PLACES_MAX} events at once, got ${places.length}` })
  if (reason.trim() === "" || reason.length > REASON_MAX) return new InvalidSettingError({ pointer: "/reason", detail: `must be text of 1 to ${REASON_MAX} characters` })
  return undefined
}

/** A served generation and where its windows begin in each partition at this moment, Unix ms. */
interface Served {
  readonly pointer: Pointer
  readonly retainedFromMs: (partition: number) => number
}

const openServed = Effect.fn("openServed")(function* (snapshot: ReadSnapshot, pointer: Pointer, nowMs: number) {
  const { projection, generation } = pointer
  const record = yield* snapshot.generation(projection, generation)
  const retentionDays = record === undefined ? undefined : parseDefinition(record.definition).retentionDays
  const received = new Map((yield* snapshot.checkpoints(projection, generation)).flatMap(({ partitions }) => partitions).map(({ partition, receivedMaxMs }) => [partition, receivedMaxMs]))
  // The release moves R to now at least.
  const retainedFromMs = (partition: number): number =>
    retentionDays === undefined ? -Infinity : windowStart(Math.max(nowMs, received.get(partition) ?? nowMs) - retentionDays * DAY_MS, DAY_MS)
  return { pointer, retainedFromMs } satisfies Served
})

const entryAt = Effect.fn("entryAt")(function* (snapshot: ReadSnapshot, { projection, generation }: Pointer, { partition, offset }: StoredAt, tenantId: string) {
  const [entry] = yield* snapshot.lateIn({ projection, generation, partition, min: offset, max: offset })
  return entry?.tenantId === tenantId ? entry : undefined
})

const verdictOf = ({ retainedFromMs }: Served, entry: LateEntry | undefined): LateVerdict => {
  if (entry === undefined) return "unknown"
  if (entry.outcome === "applied") return "applied"
  return entry.windowStartMs < retainedFromMs(entry.partition) ? "expired" : "apply"
}

/** What a release of the event at a place would do, in the named projection and in the others. */
const decide = Effect.fn("decideLate")(function* (snapshot: ReadSnapshot, named: Served, others: readonly Served[], place: StoredAt, tenantId: string) {
  const entry = yield* entryAt(snapshot, named.pointer, place, tenantId)
  const verdict = verdictOf(named, entry)
  const changes: LateChange[] = []
  for (const served of verdict === "apply" ? [named, ...others] : []) {
    const held = yield* entryAt(snapshot, served.pointer, place, tenantId)
    const { projection, generation } = served.pointer
    if (held !== undefined && verdictOf(served, held) === "apply") changes.push({ projection, generation, entry: held })
  }
  return { place, verdict, entry, changes, release: null } satisfies LateDecision
})

/** The record that releases an event, with the original as it stands in the log. */
const releaseOf = Effect.fn("releaseOf")(function* ({ place: { partition, offset }, entry }: LateDecision, nowMs: number, act: Act) {
  const log = yield* EventLog
  const [batch] = yield* log.read([{ partition, nextOffset: offset }], { bytesMax: 1, waitMaxMs: 0 })
  const original = batch?.bytes.slice(0, batch.ends[0])
  const decoded = original === undefined ? undefined : decodeRecord(original)
  if (original === undefined || decoded?.kind !== "event" || decoded.event.id !== entry?.eventId || decoded.event.tenantId !== entry.tenantId) {
    return yield* new LateOriginalError({ partition, offset })
  }
  const record: LogRecord = { partition, key: decoded.event.partitionKey, value: encodeLateApplied(nowMs, partition, offset, original, act) }
  return record
})

const decideAll = Effect.fn("decideAllLate")(function* ({ tenantId, projection, places }: ApplyLate, nowMs: number) {
  const snapshot = yield* (yield* ReadModelStore).snapshot
  const pointers = yield* snapshot.pointers
  const pointer = pointers.find((known) => known.projection === projection)
  if (pointer === undefined) return yield* new NoSuchProjectionError({ projection, valid: pointers.map((known) => known.projection).sort() })
  const named = yield* openServed(snapshot, pointer, nowMs)
  const others = yield* Effect.forEach(pointers.filter((known) => known !== pointer), (other) => openServed(snapshot, other, nowMs))
  const wanted = new Map(places.map((place) => [`${place.partition}/${place.offset}`, place]))
  return yield* Effect.forEach(wanted.values(), (place) => decide(snapshot, named, others, place, tenantId))
})

/**
 * Decides on every event named, each once, and appends the releases in one batch. When the outcome of the append is
 * unknown, doing it again is safe.
 */
export const applyLate = Effect.fn("applyLate")(function* (command: ApplyLate, act: Act) {
  const refused = invalid(command, act.reason)
  if (refused !== undefined) return yield* refused
  const log = yield* EventLog
  const nowMs = yield* Clock.currentTimeMillis
  const decisions: readonly LateDecision[] = yield* Effect.scoped(decideAll(command, nowMs))
  const applied = command.dryRun ? [] : decisions.filter(({ verdict }) => verdict === "apply")
  if (applied.length === 0) return decisions
  const stored = yield* log.append(yield* Effect.forEach(applied, (decision) => releaseOf(decision, nowMs, act)))
  const releases = new Map(applied.map((decision, at) => [decision, stored[at] ?? null]))
  return decisions.map((decision): LateDecision => ({ ...decision, release: releases.get(decision) ?? null }))
})
