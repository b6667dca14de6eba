/**
 * The events behind a window, found again: its offset ranges are read from the log, each record is decided once more with
 * the pinned definition and the ledgers, and count and fingerprint are compared with the window's own. Streams: memory
 * does not grow with the number of events. Rules: docs/semantics.md §4, §5.
 */
import { compileDefinition, createExtraction } from "@tidemark/domain/definitions/compile"
import type { CompiledProjection, Extraction } from "@tidemark/domain/definitions/compile"
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { OTHER } from "@tidemark/domain/definitions/dimensionText"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { decodeRecord } from "@tidemark/domain/events/envelope"
import type { EventEnvelope } from "@tidemark/domain/events/event"
import { hashUtf8 } from "@tidemark/domain/measures/hash"
import { OffsetOutOfRangeError } from "@tidemark/domain/ports/EventLog"
import type { EventLog, LogBatch, LogReadError } from "@tidemark/domain/ports/EventLog"
import type { LateEntry, LedgerRange, ReadSnapshot, ResolutionCode, RowKey, StoreUnavailableError, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { RESOLUTIONS, windowStart } from "@tidemark/domain/time/window"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readStored } from "./storedRecords.ts"

/** The generation the window was read from is gone or cannot be run by this program. */
export class LineageUnavailableError extends Schema.TaggedError<LineageUnavailableError>()("LineageUnavailableError", {
  projection: Schema.String,
  generation: Schema.Int,
  cause: Schema.optional(Schema.Defect())
}) {}

/** A bound of the work was reached and nothing is proved, neither way. Ask for a shorter window, or verify. */
export class LineageTooLargeError extends Schema.TaggedError<LineageTooLargeError>()("LineageTooLargeError", {
  bound: Schema.Literals(["records", "time", "keys"]),
  /** Records, ms, or base rows of other keys. */
  max: Schema.BigInt,
  /** Records that the window's offset ranges span, and how many of them were read. */
  records: Schema.BigInt,
  walked: Schema.BigInt,
  resolution: Schema.Literals(["minute", "hour", "day"])
}) {}

export type ProofError = LineageUnavailableError | LineageTooLargeError | StoreUnavailableError | LogReadError

/** A window and key of one generation. */
export interface ProvedWindow {
  readonly projection: string
  readonly generation: number
  readonly tenantId: string
  /** Dimension texts in the definition's order. */
  readonly key: readonly string[]
  readonly resolution: ResolutionCode
  readonly startMs: number
  /** The log's hash seed. */
  readonly seed: number
  /** As of an earlier position: next offset by partition, and what the window was answered with there. */
  readonly past?: { readonly position: ReadonlyMap<number, bigint>; readonly events: bigint; readonly fingerprint: bigint }
}

/** What one proof may cost. */
export interface ProofBounds {
  /** Records read at most; known before anything is read. */
  readonly recordsMax: bigint
  readonly workMsMax: number
}

export interface Place {
  readonly partition: number
  readonly offset: bigint
}

/** An event behind a window. */
export interface LineageEvent extends Place {
  readonly event: EventEnvelope
  /** Its entry in the late ledger; null when it came in time. */
  readonly late: LateEntry | null
  /** Offset of the record that released it, when it had been held. */
  readonly appliedAt: bigint | null
}

export interface WindowProof {
  readonly expectedEvents: bigint
  readonly foundEvents: bigint
  readonly fingerprintMatches: boolean
}

/** Told about every event of the window: by partition, then offset, but released ones where their release stands. */
export type VisitEvent = (event: LineageEvent) => void

/** The thread is held for as long as these are decided. */
const READ_BYTES_MAX = 1 << 20
/** Base rows of other keys that are remembered to tell what `__other__` counted; about 100 MB. */
const NAMED_MAX = 500_000
/** Ledger entries of released events are asked for together while they lie this close. */
const RUN_OFFSETS_MAX = 10_000n
const MASK = (1n << 64n) - 1n
/** Windows of the definition's own size, the shortest that are stored. */
const BASE: ResolutionCode = 0

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

/** Of what the rows say now, what lay below the position. */
const targetAt = ({ ranges }: Target, { position, events, fingerprint }: NonNullable<ProvedWindow["past"]>): Target => {
  const below: Target = { events, fingerprint, ranges: new Map() }
  for (const [partition, { min, max }] of ranges) {
    const next = position.get(partition) ?? 0n
    if (min < next) below.ranges.set(partition, { min, max: max < next ? max : next - 1n })
  }
  return below
}

const readTarget = Effect.fn("readTarget")(function* (snapshot: ReadSnapshot, window: ProvedWindow, keyId: string) {
  const { projection, generation, tenantId, resolution, startMs } = window
  const target: Target = { events: 0n, fingerprint: 0n, ranges: new Map() }
  yield* snapshot.scan({ projection, generation, tenantId, resolution, fromMs: startMs, toMs: startMs + 1, keyId }, (rows) => {
    for (const row of rows) {
      target.events += row.events
      target.fingerprint = (target.fingerprint + row.fingerprint) & MASK
      widen(target.ranges, row)
    }
  })
  return window.past === undefined ? target : targetAt(target, window.past)
})

const spanOf = ({ ranges }: Target): bigint => [...ranges.values()].reduce((sum, { min, max }) => sum + (max - min) + 1n, 0n)

const place = (windowStartMs: number, keyId: string, partition: number): string => `${windowStartMs}:${keyId}:${partition}`

/** Counts what was read and stops at the bounds. */
interface Work {
  walked: bigint
  readonly untilMs: number
  readonly tooLarge: (bound: LineageTooLargeError["bound"], walked: bigint) => LineageTooLargeError
}

/** Fails once the time is up; else lets others run, for the thread may be one that answers them. */
const inTime = Effect.fn("inTime")(function* (work: Work) {
  if ((yield* Clock.currentTimeMillis) >= work.untilMs) return yield* Effect.fail(work.tooLarge("time", work.walked))
  yield* Effect.yieldNow
})

/** Base windows asked for by key at once; shorter ones than usual are scanned instead. */
const BASE_WINDOWS_MAX = 10_000

/** One key's base windows, `sizeMs` long, from `startMs` to `endMs`. */
export interface BaseWindows extends Pick<ProvedWindow, "projection" | "generation" | "tenantId" | "startMs"> {
  readonly keyId: string
  readonly endMs: number
  readonly sizeMs: number
}

/** Their partials: by key, for a scan would pass those of all other keys. */
export const basePartials = Effect.fn("basePartials")(function* (snapshot: ReadSnapshot, { projection, generation, tenantId, startMs, keyId, endMs, sizeMs }: BaseWindows) {
  const found: StoredRow[] = []
  if ((endMs - startMs) / sizeMs > BASE_WINDOWS_MAX) {
    yield* snapshot.scan({ projection, generation, tenantId, resolution: BASE, fromMs: startMs, toMs: endMs, keyId }, (rows) => {
      for (const row of rows) found.push(row)
    })
    return found
  }
  const keys: RowKey[] = []
  for (let windowStartMs = startMs; windowStartMs < endMs; windowStartMs += sizeMs) keys.push({ tenantId, resolution: BASE, windowStartMs, keyId })
  for (const rows of yield* snapshot.partials(projection, generation, keys)) found.push(...rows)
  return found
})

/** Keys were admitted by the base window: a key counts under its own name in a partition ⇔ its base row has a range there. */
const readAdmitted = Effect.fn("readAdmitted")(function* (snapshot: ReadSnapshot, window: ProvedWindow, bases: BaseWindows, work: Work) {
  const { projection, generation, tenantId, keyId } = bases
  const isOther = window.key.length > 0 && window.key.every((text) => text === OTHER)
  const own = new Set<string>()
  const overflowing = new Set<number>()
  for (const { windowStartMs, offsets } of yield* basePartials(snapshot, bases)) {
    overflowing.add(windowStartMs)
    for (const { partition } of offsets) own.add(place(windowStartMs, keyId, partition))
  }
  if (!isOther) return ((windowStartMs, of, partition) => own.has(place(windowStartMs, of, partition))) satisfies Admitted
  const named = new Set<string>()
  for (const fromMs of overflowing) {
    yield* inTime(work)
    yield* snapshot.scan({ projection, generation, tenantId, resolution: BASE, fromMs, toMs: fromMs + 1 }, (rows) => {
      for (const row of rows) if (named.size <= NAMED_MAX && row.keyId !== keyId) for (const { partition } of row.offsets) named.add(place(fromMs, row.keyId, partition))
    })
    if (named.size > NAMED_MAX) return yield* Effect.fail(work.tooLarge("keys", 0n))
  }
  return ((windowStartMs, of, partition) => own.has(place(windowStartMs, keyId, partition)) && !named.has(place(windowStartMs, of, partition))) satisfies Admitted
})

/** What the ledgers say of a range of offsets. */
interface Excluded {
  /** Duplicates and dead letters. */
  readonly dropped: ReadonlySet<bigint>
  readonly late: ReadonlyMap<bigint, LateEntry>
}

const readExcluded = Effect.fn("readExcluded")(function* (snapshot: ReadSnapshot, ledger: LedgerRange) {
  const dropped = new Set<bigint>()
  for (const { offset } of yield* snapshot.duplicatesIn(ledger)) dropped.add(offset)
  for (const { offset } of yield* snapshot.deadLettersIn(ledger)) dropped.add(offset)
  const late = new Map((yield* snapshot.lateIn(ledger)).map((entry) => [entry.offset, entry] as const))
  return { dropped, late } satisfies Excluded
})

interface Question {
  readonly window: ProvedWindow
  readonly compiled: CompiledProjection
  readonly endMs: number
  readonly keyId: string
  readonly admitted: Admitted
  /** Reused from event to event. */
  readonly out: Extraction
}

/** True when the definition puts the event into the window asked for. */
const belongs = (question: Question, event: EventEnvelope, partition: number): boolean => {
  const { window, compiled, endMs, keyId, admitted, out } = question
  if (event.tenantId !== window.tenantId || event.timeMs < window.startMs || event.timeMs >= endMs) return false
  if (compiled.extract(event, out) !== "ok") return false
  const baseMs = windowStart(event.timeMs, compiled.definition.window.sizeMs)
  if (window.key.every((text, index) => text === out.key[index])) return admitted(baseMs, keyId, partition)
  return window.key.every((text) => text === OTHER) && admitted(baseMs, keyIdOf(event.tenantId, out.key), partition)
}

/** Held when it arrived, whatever became of it: M had passed the revise horizon. */
const wasHeld = (entry: LateEntry | undefined, question: Question): boolean =>
  entry !== undefined && (entry.outcome === "held" || entry.lateByMs >= question.compiled.definition.window.reviseWithinMs)

/** An event of the window that a record releases, if it was held. */
interface Release extends Place {
  readonly event: EventEnvelope
  readonly appliedAt: bigint
}

/** Visits the events in these batches that count where they stand; answers those that a record in them releases. */
const judge = (question: Question, excluded: Excluded, batches: readonly LogBatch[], range: Range, visit: VisitEvent): readonly Release[] => {
  const releases: Release[] = []
  for (const { partition, firstOffset, bytes, ends } of batches) {
    for (let at = 0; at < ends.length; at++) {
      const offset = firstOffset + BigInt(at)
      if (offset < range.min || offset > range.max) continue
      const decoded = decodeRecord(bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at]))
      if (decoded.kind === "event") {
        const late = excluded.late.get(offset)
        if (excluded.dropped.has(offset) || wasHeld(late, question)) continue
        if (belongs(question, decoded.event, partition)) visit({ partition, offset, event: decoded.event, late: late ?? null, appliedAt: null })
      } else if (decoded.kind === "system" && decoded.record.system === "late-applied") {
        const { original, offset: of, partition: home } = decoded.record
        if (original === undefined || home !== partition) continue
        if (belongs(question, original, partition)) releases.push({ partition, offset: of, event: original, appliedAt: offset })
      }
    }
  }
  return releases
}

/** Neighbours in a list sorted by offset, in runs that span few offsets. */
const runsOf = (releases: readonly Release[]): readonly (readonly [Release, ...Release[]])[] => {
  const runs: [Release, ...Release[]][] = []
  for (const release of releases) {
    const run = runs.at(-1)
    if (run !== undefined && release.offset - run[0].offset < RUN_OFFSETS_MAX) run.push(release)
    else runs.push([release])
  }
  return runs
}

/** Visits the released events that had been held and that the release moved, each with its first release only. */
const visitReleased = Effect.fn("visitReleased")(function* (snapshot: ReadSnapshot, question: Question, found: readonly Release[], known: Set<bigint>, visit: VisitEvent) {
  const { projection, generation } = question.window
  const fresh = found.filter(({ offset }) => {
    const isFirst = !known.has(offset)
    known.add(offset)
    return isFirst
  }).sort((a, b) => (a.offset < b.offset ? -1 : 1))
  for (const run of runsOf(fresh)) {
    const ledger = { projection, generation, partition: run[0].partition, min: run[0].offset, max: (run.at(-1) ?? run[0]).offset }
    const entries = new Map((yield* snapshot.lateIn(ledger)).map((entry) => [entry.offset, entry]))
    for (const { partition, offset, event, appliedAt } of run) {
      const late = entries.get(offset)
      if (late?.outcome === "applied" && wasHeld(late, question)) visit({ partition, offset, event, late, appliedAt })
    }
  }
})

/** Visits every event of the window in one partition. */
const searchPartition = Effect.fn("searchPartition")(function* (snapshot: ReadSnapshot, question: Question, partition: number, range: Range, work: Work, visit: VisitEvent) {
  const { projection, generation } = question.window
  const known = new Set<bigint>()
  for (let next = range.min; next <= range.max;) {
    yield* inTime(work)
    const batches = yield* readStored(partition, next, READ_BYTES_MAX)
    const last = batches.at(-1)
    if (last === undefined) return yield* Effect.fail(new OffsetOutOfRangeError({ partition, wanted: next, start: range.min, end: next }))
    const end = last.firstOffset + BigInt(last.ends.length)
    const excluded = yield* readExcluded(snapshot, { projection, generation, partition, min: next, max: end - 1n })
    yield* visitReleased(snapshot, question, judge(question, excluded, batches, range, visit), known, visit)
    work.walked += end - next
    next = end
  }
})

/** Count and fingerprint of the events visited. */
const makeTally = (seed: number, visit: VisitEvent) => {
  const hash = new Uint32Array(4)
  const tally = { events: 0n, fingerprint: 0n }
  const take: VisitEvent = (found) => {
    hashUtf8(found.event.id, seed, hash)
    tally.events += 1n
    tally.fingerprint = (tally.fingerprint + ((BigInt(hash[0] ?? 0) << 32n) | BigInt(hash[1] ?? 0))) & MASK
    visit(found)
  }
  return { tally, take }
}

/**
 * Finds the events behind one window in one snapshot, with the proof that they are all of them and no others. What was
 * visited counts for nothing when it fails.
 */
export const proveWindow = Effect.fn("proveWindow")(function* (snapshot: ReadSnapshot, window: ProvedWindow, bounds: ProofBounds, visit: VisitEvent): Effect.fn.Return<WindowProof, ProofError, EventLog> {
  const { projection, generation, seed } = window
  const startedMs = yield* Clock.currentTimeMillis
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined) return yield* Effect.fail(new LineageUnavailableError({ projection, generation }))
  const compiled = yield* Effect.try({
    try: () => compileDefinition(parseDefinition(record.definition), seed),
    catch: (cause) => new LineageUnavailableError({ projection, generation, cause })
  })
  const keyId = keyIdOf(window.tenantId, window.key)
  const target = yield* readTarget(snapshot, window, keyId)
  const records = spanOf(target)
  const { name: resolution, sizeMs } = RESOLUTIONS[window.resolution]
  const maxima = { records: bounds.recordsMax, time: BigInt(bounds.workMsMax), keys: BigInt(NAMED_MAX) }
  const tooLarge: Work["tooLarge"] = (bound, walked) => new LineageTooLargeError({ bound, max: maxima[bound], records, walked, resolution })
  if (records > bounds.recordsMax) return yield* Effect.fail(tooLarge("records", 0n))
  const baseMs = compiled.definition.window.sizeMs
  const endMs = window.startMs + (window.resolution === BASE ? baseMs : sizeMs)
  const work: Work = { walked: 0n, untilMs: startedMs + bounds.workMsMax, tooLarge }
  const admitted = yield* readAdmitted(snapshot, window, { ...window, keyId, endMs, sizeMs: baseMs }, work)
  const question: Question = { window, compiled, endMs, keyId, admitted, out: createExtraction() }
  const { tally, take } = makeTally(seed, visit)
  for (const [partition, range] of [...target.ranges].sort(([a], [b]) => a - b)) yield* searchPartition(snapshot, question, partition, range, work, take)
  return { expectedEvents: target.events, foundEvents: tally.events, fingerprintMatches: tally.fingerprint === target.fingerprint }
})
