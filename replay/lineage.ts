/**
 * The events behind a window, proved: its offset ranges are read again from the log, decided again with the pinned
 * definition and the ledgers, and compared with the window's own count and fingerprint. Rules: docs/semantics.md §4, §5.
 */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection, Extraction } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { LogBatch, LogReadError, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { LateEntry, ReadSnapshot, ResolutionCode, StoreUnavailableError, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The generation the window was read from is gone or cannot be run by this program. */
export class LineageUnavailableError extends Schema.TaggedError<LineageUnavailableError>()("LineageUnavailableError", {
  projection: Schema.String,
  generation: Schema.Int,
  cause: Schema.optional(Schema.Defect())
}) {}

/** The window's offset ranges hold more records than one request reads. Ask for a smaller window. */
export class LineageTooLargeError extends Schema.TaggedError<LineageTooLargeError>()("LineageTooLargeError", {
  records: Schema.BigInt,
  max: Schema.BigInt
}) {}

export type LineageError = LineageUnavailableError | LineageTooLargeError | StoreUnavailableError | LogReadError | LogUnavailableError

/** A window as it was answered. */
export interface LineageInput {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  /** Dimension texts in the definition's order. */
  readonly key: readonly string[]
  readonly resolution: ResolutionCode
  readonly startMs: number
  /** The log's hash seed. */
  readonly seed: number
  /** A page of the events: at most `limit`, after this place. */
  readonly limit: number
  readonly after?: Place
}

export interface Place {
  readonly partition: number
  readonly offset: bigint
}

/** An event behind a window. */
export interface LineageEvent extends Place {
  readonly event: EventEnvelope
  /** Offset of the record that released it, when it had been held. */
  readonly appliedAt: bigint | null
}

export interface Lineage {
  readonly expectedEvents: bigint
  readonly foundEvents: bigint
  readonly fingerprintMatches: boolean
  /** In (partition, offset) order. */
  readonly events: readonly LineageEvent[]
  readonly hasNextPage: boolean
}

/** Records one request reads at most. */
export const LINEAGE_RECORDS_MAX = 5_000_000n
const READ_BYTES_MAX = 4 << 20
const MASK = (1n << 64n) - 1n
const MINUTE = RESOLUTIONS[0]

interface Range {
  readonly min: bigint
  readonly max: bigint
}

/** What the window's rows say: how much there must be, and where. */
interface Target {
  events: bigint
  fingerprint: bigint
  readonly ranges: Map<number, Range>
}

/** Did the fold count this key, in this minute and partition, under the window's own key? */
type Admitted = (windowStartMs: number, keyId: string, partition: number) => boolean

const widen = (ranges: Map<number, Range>, row: StoredRow): void => {
  for (const { partition, min, max } of row.offsets) {
    const known = ranges.get(partition)
    ranges.set(partition, known === undefined ? { min, max } : { min: known.min < min ? known.min : min, max: known.max > max ? known.max : max })
  }
}

const readTarget = Effect.fn("readTarget")(function* (snapshot: ReadSnapshot, input: LineageInput, keyId: string) {
  const { projection, generation, tenantId, resolution, startMs } = input
  const target: Target = { events: 0n, fingerprint: 0n, ranges: new Map() }
  yield* snapshot.scan({ projection, generation, tenantId, resolution, fromMs: startMs, toMs: startMs + 1, keyId }, (rows) => {
    for (const row of rows) {
      target.events += row.events
      target.fingerprint = (target.fingerprint + row.fingerprint) & MASK
      widen(target.ranges, row)
    }
  })
  return target
})

const place = (windowStartMs: number, keyId: string, partition: number): string => `${windowStartMs}:${keyId}:${partition}`

/** Keys were admitted by the minute: a key counts under its own name in a partition ⇔ its minute row has a range there. */
const readAdmitted = Effect.fn("readAdmitted")(function* (snapshot: ReadSnapshot, input: LineageInput, keyId: string, endMs: number) {
  const { projection, generation, tenantId, startMs } = input
  const isOther = input.key.length > 0 && input.key.every((text) => text === OTHER)
  const minutes = { projection, generation, tenantId, resolution: MINUTE.code, fromMs: startMs, toMs: endMs }
  const own = new Set<string>()
  const visitInto = (places: Set<string>, keep: (row: StoredRow) => boolean) => (rows: readonly StoredRow[]) => {
    for (const row of rows) if (keep(row)) for (const { partition } of row.offsets) places.add(place(row.windowStartMs, row.keyId, partition))
  }
  yield* snapshot.scan({ ...minutes, keyId }, visitInto(own, () => true))
  if (!isOther) return ((windowStartMs, of, partition) => own.has(place(windowStartMs, of, partition))) satisfies Admitted
  const overflowing = new Set([...own].map((text) => text.slice(0, text.indexOf(":"))))
  const named = new Set<string>()
  yield* snapshot.scan(minutes, visitInto(named, (row) => row.keyId !== keyId && overflowing.has(String(row.windowStartMs))))
  return ((windowStartMs, of, partition) => own.has(place(windowStartMs, keyId, partition)) && !named.has(place(windowStartMs, of, partition))) satisfies Admitted
})

/** What the ledgers say of one partition's range. */
interface Excluded {
  /** Duplicates and dead letters. */
  readonly dropped: ReadonlySet<bigint>
  readonly late: ReadonlyMap<bigint, LateEntry>
}

const readExcluded = Effect.fn("readExcluded")(function* (snapshot: ReadSnapshot, input: LineageInput, partition: number, range: Range) {
  const ledger = { projection: input.projection, generation: input.generation, partition, ...range }
  const dropped = new Set<bigint>()
  for (const { offset } of yield* snapshot.duplicatesIn(ledger)) dropped.add(offset)
  for (const { offset } of yield* snapshot.deadLettersIn(ledger)) dropped.add(offset)
  const late = new Map((yield* snapshot.lateIn(ledger)).map((entry) => [entry.offset, entry] as const))
  return { dropped, late } satisfies Excluded
})

interface Question {
  readonly input: LineageInput
  readonly compiled: CompiledProjection
  readonly endMs: number
  readonly keyId: string
  readonly admitted: Admitted
  /** Reused from event to event. */
  readonly out: Extraction
}

/** True when the definition puts the event into the window asked for. */
const belongs = (question: Question, event: EventEnvelope, partition: number): boolean => {
  const { input, compiled, endMs, keyId, admitted, out } = question
  if (event.tenantId !== input.tenantId || event.timeMs < input.startMs || event.timeMs >= endMs) return false
  if (compiled.extract(event, out) !== "ok") return false
  const minuteMs = windowStart(event.timeMs, MINUTE.sizeMs)
  const of = keyIdOf(event.tenantId, out.key)
  const named = input.key.every((text, index) => text === out.key[index])
  const other = !named && keyId !== of && input.key.every((text) => text === OTHER)
  return (named || other) && admitted(minuteMs, of, partition)
}

/** Held when it arrived, whatever became of it: M had passed the revise horizon. */
const wasHeld = (entry: LateEntry | undefined, question: Question): boolean =>
  entry !== undefined && (entry.outcome === "held" || entry.lateByMs >= question.compiled.definition.window.reviseWithinMs)

interface Found {
  readonly events: LineageEvent[]
  /** Originals that a record in the range releases, by offset, with the first record that does. */
  readonly released: Map<bigint, { readonly event: EventEnvelope; readonly appliedAt: bigint }>
}

const judge = (question: Question, excluded: Excluded, batch: LogBatch, range: Range, found: Found): void => {
  for (let at = 0; at < batch.ends.length; at++) {
    const offset = batch.firstOffset + BigInt(at)
    if (offset < range.min || offset > range.max) continue
    const decoded = decodeRecord(batch.bytes.subarray(at === 0 ? 0 : batch.ends[at - 1], batch.ends[at]))
    if (decoded.kind === "event") {
      if (excluded.dropped.has(offset) || wasHeld(excluded.late.get(offset), question)) continue
      if (belongs(question, decoded.event, batch.partition)) found.events.push({ partition: batch.partition, offset, event: decoded.event, appliedAt: null })
    } else if (decoded.kind === "system" && decoded.record.system === "late-applied") {
      const { original, offset: originalOffset, partition } = decoded.record
      if (original === undefined || partition !== batch.partition || found.released.has(originalOffset)) continue
      if (belongs(question, original, partition)) found.released.set(originalOffset, { event: original, appliedAt: offset })
    }
  }
}

/** Every event of the window in one partition. */
const searchPartition = Effect.fn("searchPartition")(function* (snapshot: ReadSnapshot, question: Question, partition: number, range: Range) {
  const log = yield* EventLog
  const excluded = yield* readExcluded(snapshot, question.input, partition, range)
  const found: Found = { events: [], released: new Map() }
  let nextOffset = range.min
  while (nextOffset <= range.max) {
    const batches = yield* log.read([{ partition, nextOffset }], { bytesMax: READ_BYTES_MAX, waitMaxMs: 0 })
    if (batches.length === 0) break
    for (const batch of batches) {
      judge(question, excluded, batch, range, found)
      nextOffset = batch.firstOffset + BigInt(batch.ends.length)
    }
  }
  for (const [offset, { event, appliedAt }] of found.released) {
    const original = yield* readExcluded(snapshot, question.input, partition, { min: offset, max: offset })
    if (!original.dropped.has(offset) && wasHeld(original.late.get(offset), question)) found.events.push({ partition, offset, event, appliedAt })
  }
  return found.events.sort((a, b) => (a.offset < b.offset ? -1 : 1))
})

const fingerprintOf = (events: readonly LineageEvent[], seed: number): bigint => {
  const hash = new Uint32Array(4)
  let sum = 0n
  for (const { event } of events) {
    hashUtf8(event.id, seed, hash)
    sum += (BigInt(hash[0] ?? 0) << 32n) | BigInt(hash[1] ?? 0)
  }
  return sum & MASK
}

const isAfter = (event: Place, after: Place | undefined): boolean =>
  after === undefined || event.partition > after.partition || (event.partition === after.partition && event.offset > after.offset)

/** The events behind one window of one generation, with the proof that they are all of them and no others. */
export const why = (input: LineageInput): Effect.Effect<Lineage, LineageError, ReadModelStore | EventLog> =>
  Effect.scoped(Effect.gen(function* () {
    const store = yield* ReadModelStore
    const snapshot = yield* store.snapshot
    const { projection, generation } = input
    const record = yield* snapshot.generation(projection, generation)
    if (record === undefined) return yield* Effect.fail(new LineageUnavailableError({ projection, generation }))
    const compiled = yield* Effect.try({
      try: () => compileDefinition(parseDefinition(record.definition), input.seed),
      catch: (cause) => new LineageUnavailableError({ projection, generation, cause })
    })
    const keyId = keyIdOf(input.tenantId, input.key)
    const target = yield* readTarget(snapshot, input, keyId)
    const records = [...target.ranges.values()].reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n)
    if (records > LINEAGE_RECORDS_MAX) return yield* Effect.fail(new LineageTooLargeError({ records, max: LINEAGE_RECORDS_MAX }))
    const endMs = input.startMs + RESOLUTIONS[input.resolution].sizeMs
    const admitted = yield* readAdmitted(snapshot, input, keyId, endMs)
    const question: Question = { input, compiled, endMs, keyId, admitted, out: createExtraction() }
    const found: LineageEvent[] = []
    for (const [partition, range] of [...target.ranges].sort(([a], [b]) => a - b)) {
      found.push(...(yield* searchPartition(snapshot, question, partition, range)))
    }
    const rest = found.filter((event) => isAfter(event, input.after))
    return {
      expectedEvents: target.events,
      foundEvents: BigInt(found.length),
      fingerprintMatches: fingerprintOf(found, input.seed) === target.fingerprint,
      events: rest.slice(0, input.limit),
      hasNextPage: rest.length > input.limit
    }
  }))
