/**
 * Parity: may the new generation take the old one's place? Both are read from one snapshot in which both stand at the
 * same position: since one reader feeds them and one transaction commits them, every snapshot is such a barrier.
 *
 * Same definition: digests, counters and every row must be equal. Another definition: the differences are listed with
 * their cause, for a person to accept. Rules: docs/semantics.md §8.
 */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { createAccumulator, decodeAccumulator, measureParts, mergeAccumulators, readMeasure } from "@tidemark/domain/measures/measure"
import type { MeasureSpec } from "@tidemark/domain/measures/measure"
import { ReadModelStore, StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, LaneCheckpoint, ReadSnapshot, ResolutionCode, RowKey, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { NO_ROW, RowDigest, rowHash } from "@tidemark/projections/runtime/rowDigest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { positionsOf } from "./buildGeneration.ts"
import { digestHex } from "./verifyRows.ts"

/** The two generations do not stand at one position, so nothing can be compared. Let the new one catch up. */
export class NotAtBarrierError extends Schema.TaggedError<NotAtBarrierError>()("NotAtBarrierError", {
  partition: Schema.Int,
  oldOffset: Schema.BigInt,
  newOffset: Schema.BigInt
}) {}

/** A generation is gone. */
export class ComparisonGoneError extends Schema.TaggedError<ComparisonGoneError>()("ComparisonGoneError", { projection: Schema.String, generation: Schema.Int }) {}

/** LOGIC: the same events, another value. INPUT: other events. */
export type Cause = "LOGIC" | "INPUT"

/** One window of one key that is not the same in both; null: not there. */
export interface WindowDifference {
  readonly tenantId: string
  readonly resolution: ResolutionCode
  readonly startMs: number
  readonly key: readonly string[]
  /** Figures by measure part, and `events`, as text. */
  readonly old: Readonly<Record<string, string>> | null
  readonly new: Readonly<Record<string, string>> | null
  readonly cause: Cause
}

export interface Parity {
  readonly projection: string
  readonly oldGeneration: number
  readonly newGeneration: number
  readonly sameDefinition: boolean
  readonly position: readonly { readonly partition: number; readonly nextOffset: bigint }[]
  /** Windows of minute, hour and day. compared = equal + differ; the others exist on one side only. */
  readonly compared: number
  readonly equal: number
  readonly differ: number
  readonly onlyOld: number
  readonly onlyNew: number
  /** What no difference of a window explains: digests, counters, rows that are not what their digest says. */
  readonly faults: readonly string[]
  readonly differences: readonly WindowDifference[]
  /** Measures of one definition only; they are not compared. */
  readonly addedMeasures: readonly string[]
  readonly removedMeasures: readonly string[]
}

/** True when nothing at all differs. */
export const isEqual = ({ differ, onlyOld, onlyNew, faults }: Parity): boolean => differ + onlyOld + onlyNew + faults.length === 0

const PAGE = 500
const RESOLUTIONS: readonly ResolutionCode[] = [0, 1, 2]

interface Side {
  readonly record: GenerationRecord
  readonly definition: ProjectionDefinition
  readonly checkpoints: readonly LaneCheckpoint[]
}

interface Comparing {
  readonly snapshot: ReadSnapshot
  readonly old: Side
  readonly new: Side
  readonly common: readonly string[]
  readonly differencesMax: number
}

type Tally = { -readonly [Name in "compared" | "equal" | "differ" | "onlyOld" | "onlyNew"]: number } & { readonly differences: WindowDifference[] }

const openSide = Effect.fn("openSide")(function* (snapshot: ReadSnapshot, projection: string, generation: number) {
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined || record.isDropped === true) return yield* new ComparisonGoneError({ projection, generation })
  const definition = yield* Effect.try({ try: () => parseDefinition(record.definition), catch: () => new ComparisonGoneError({ projection, generation }) })
  const side: Side = { record, definition, checkpoints: yield* snapshot.checkpoints(projection, generation) }
  return side
})

const specOf = ({ measures }: ProjectionDefinition, name: string): readonly [index: number, spec: MeasureSpec | undefined] => {
  const index = Object.keys(measures).indexOf(name)
  return [index, measures[name]]
}

/** One measure over all partials: its canonical bytes, and its figures as text. */
const measureOf = (definition: ProjectionDefinition, name: string, rows: readonly StoredRow[]) => {
  const [index, spec] = specOf(definition, name)
  if (spec === undefined) return undefined
  const merged = createAccumulator(spec)
  for (const { measures } of rows) {
    const bytes = measures[index]
    if (bytes !== undefined) mergeAccumulators(merged, decodeAccumulator(spec, bytes))
  }
  const figures = measureParts(name, spec).map((part) => {
    const { text, value } = readMeasure(part, name, spec, merged)
    return [part, text ?? (value === null ? "" : String(value))] as const
  })
  return { bytes: digestHex(merged.encode()), figures }
}

const sum = (rows: readonly StoredRow[], of: (row: StoredRow) => bigint): bigint => rows.reduce((total, row) => total + of(row), 0n)
const fingerprint = (rows: readonly StoredRow[]): bigint => BigInt.asUintN(64, sum(rows, (row) => row.fingerprint))

const figuresOf = ({ definition }: Side, rows: readonly StoredRow[]): Readonly<Record<string, string>> | null =>
  rows.length === 0 ? null : Object.fromEntries([["events", String(sum(rows, ({ events }) => events))], ...Object.keys(definition.measures).flatMap((name) => measureOf(definition, name, rows)?.figures ?? [])])

/** Everything of a partial but its revision, which depends on flush boundaries. */
const rowText = ({ lane, key, events, lateEvents, backfillEvents, fingerprint: print, offsets, measures }: StoredRow): string =>
  JSON.stringify([lane, key, [events, lateEvents, backfillEvents, print].map(String), offsets.map(({ partition, min, max }) => [partition, String(min), String(max)]), measures.map(digestHex)])

const windowText = ({ common }: Comparing, { definition }: Side, rows: readonly StoredRow[]): string => JSON.stringify([
  String(fingerprint(rows)), ...[sum(rows, ({ events }) => events), sum(rows, ({ lateEvents }) => lateEvents), sum(rows, ({ backfillEvents }) => backfillEvents)].map(String),
  common.map((name) => measureOf(definition, name, rows)?.bytes)
])

const sameWindow = (comparing: Comparing, old: readonly StoredRow[], now: readonly StoredRow[]): boolean =>
  comparing.old.record.definitionHash === comparing.new.record.definitionHash
    ? old.length === now.length && old.every((row, at) => now[at] !== undefined && rowText(row) === rowText(now[at]))
    : windowText(comparing, comparing.old, old) === windowText(comparing, comparing.new, now)

const note = (comparing: Comparing, tally: Tally, window: RowKey, old: readonly StoredRow[], now: readonly StoredRow[]): void => {
  if (tally.differences.length >= comparing.differencesMax) return
  const key = (old[0] ?? now[0])?.key ?? []
  const cause: Cause = old.length > 0 && now.length > 0 && fingerprint(old) === fingerprint(now) ? "LOGIC" : "INPUT"
  tally.differences.push({ tenantId: window.tenantId, resolution: window.resolution, startMs: window.windowStartMs, key, old: figuresOf(comparing.old, old), new: figuresOf(comparing.new, now), cause })
}

const compareWindow = (comparing: Comparing, tally: Tally, window: RowKey, old: readonly StoredRow[], now: readonly StoredRow[]): void => {
  if (now.length === 0) tally.onlyOld += 1
  else if (old.length === 0) tally.onlyNew += 1
  else {
    tally.compared += 1
    if (sameWindow(comparing, old, now)) {
      tally.equal += 1
      return
    }
    tally.differ += 1
  }
  note(comparing, tally, window, old, now)
}

/** All windows of the old generation against the new one's, then those that only the new one has. */
const compareWindows = Effect.fn("compareWindows")(function* (comparing: Comparing, tenantId: string, resolution: ResolutionCode, tally: Tally) {
  const { snapshot } = comparing
  const { projection } = comparing.old.record
  for (const side of [comparing.old, comparing.new]) {
    let after: RowKey | undefined
    for (;;) {
      const windows: readonly RowKey[] = yield* snapshot.windows({ projection, generation: side.record.generation, tenantId, resolution, limit: PAGE, ...(after === undefined ? {} : { after }) })
      const old = yield* snapshot.partials(projection, comparing.old.record.generation, windows)
      const isNew = side === comparing.new
      const wanted = windows.map((window, at) => ({ window, old: old[at] ?? [] })).filter((one) => !isNew || one.old.length === 0)
      const now = yield* snapshot.partials(projection, comparing.new.record.generation, wanted.map(({ window }) => window))
      yield* Effect.try({
        try: () => wanted.forEach((one, at) => compareWindow(comparing, tally, one.window, one.old, now[at] ?? [])),
        catch: (cause) => new StoreUnavailableError({ store: "parity", cause })
      })
      after = windows.at(-1)
      if (windows.length < PAGE) break
    }
  }
})

const laneFaults = (old: Side, now: Side): readonly string[] => {
  const faults: string[] = []
  for (const before of old.checkpoints) {
    const { lane } = before.lane
    const after = now.checkpoints.find((one) => one.lane.lane === lane)
    if (after === undefined) faults.push(`lane ${lane} is missing`)
    else {
      if (digestHex(before.digest) !== digestHex(after.digest)) faults.push(`digests of lane ${lane} differ`)
      for (const { partition, counters } of before.partitions) {
        const others = after.partitions.find((one) => one.partition === partition)?.counters
        const names = (Object.keys(counters) as (keyof typeof counters)[]).filter((name) => counters[name] !== others?.[name])
        if (names.length > 0) faults.push(`counters of partition ${partition} differ: ${names.map((name) => `${name} ${counters[name]} and ${others?.[name]}`).join(", ")}`)
      }
    }
  }
  return faults
}

/** A log that has lost its head since gives a new generation less than the old one has. */
const coverageFaults = (old: Side, now: Side): readonly string[] => {
  const starts = new Map(old.record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
  return now.record.coverage.flatMap(({ partition, nextOffset }) => {
    const start = starts.get(partition) ?? 0n
    return nextOffset > start ? [`partition ${partition} is covered from offset ${nextOffset}, by the old generation from ${start}`] : []
  })
}

/** The stored rows of the new generation must be what its digests say: these are kept from delta to delta. */
const digestFaults = Effect.fn("digestFaults")(function* (snapshot: ReadSnapshot, { record, checkpoints }: Side, tenants: readonly string[]) {
  const sums = new Map(checkpoints.map(({ lane, digest }) => [lane.lane, RowDigest.decode(new Uint8Array(digest.length))]))
  for (const tenantId of tenants) {
    for (const resolution of RESOLUTIONS) {
      yield* snapshot.scan({ projection: record.projection, generation: record.generation, tenantId, resolution, fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }, (rows) => {
        for (const row of rows) sums.get(row.lane)?.replace(row.keyId, NO_ROW, rowHash(row))
      })
    }
  }
  return checkpoints.flatMap(({ lane, digest }) => (digestHex(sums.get(lane.lane)?.encode() ?? new Uint8Array()) === digestHex(digest) ? [] : [`stored rows of lane ${lane.lane} are not what its digest says`]))
})

/** Tenants of whom a generation has rows: those named, and those that the checkpoints know. */
const tenantsOf = (named: readonly string[], sides: readonly Side[]): readonly string[] =>
  [...new Set([...named, ...sides.flatMap(({ checkpoints }) => checkpoints.flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()])))])].sort()

export interface ParityInput {
  readonly projection: string
  readonly oldGeneration: number
  readonly newGeneration: number
  /** Tenants that may have rows; those with live events are known anyway. */
  readonly tenants: readonly string[]
  /** Differences listed; all are counted. */
  readonly differencesMax: number
}

/** Both sides in one snapshot, and where they stand. Fails with `NotAtBarrierError` when that is not one position. */
const openBoth = Effect.fn("openBoth")(function* (snapshot: ReadSnapshot, { projection, oldGeneration, newGeneration, differencesMax }: Omit<ParityInput, "tenants">) {
  const old = yield* openSide(snapshot, projection, oldGeneration)
  const now = yield* openSide(snapshot, projection, newGeneration)
  const reached = positionsOf(now.checkpoints)
  const position = [...positionsOf(old.checkpoints)].map(([partition, nextOffset]) => ({ partition, nextOffset })).sort((a, b) => a.partition - b.partition)
  for (const { partition, nextOffset } of position) {
    const newOffset = reached.get(partition) ?? 0n
    if (newOffset !== nextOffset) return yield* new NotAtBarrierError({ partition, oldOffset: nextOffset, newOffset })
  }
  const after = Object.keys(now.definition.measures)
  const comparing: Comparing = { snapshot, old, new: now, common: Object.keys(old.definition.measures).filter((name) => after.includes(name)), differencesMax }
  return { comparing, position }
})

/** What differs of one tenant's windows, at most `differencesMax`, the shorter windows first. Fails as `parity` does. */
export const tenantDifferences = Effect.fn("tenantDifferences")(function* (input: Omit<ParityInput, "tenants">, tenantId: string) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const { comparing } = yield* openBoth(yield* store.snapshot, input)
    const tally: Tally = { compared: 0, equal: 0, differ: 0, onlyOld: 0, onlyNew: 0, differences: [] }
    for (const resolution of RESOLUTIONS) {
      if (tally.differences.length < input.differencesMax) yield* compareWindows(comparing, tenantId, resolution, tally)
    }
    const differences: readonly WindowDifference[] = tally.differences
    return { differences, dimensions: Object.keys(comparing.new.definition.key) }
  }))
})

/** Compares two generations in one snapshot. */
export const parity = Effect.fn("parity")(function* ({ projection, oldGeneration, newGeneration, tenants: named, differencesMax }: ParityInput) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const { comparing, position } = yield* openBoth(snapshot, { projection, oldGeneration, newGeneration, differencesMax })
    const { old, new: now } = comparing
    const [before, after] = [Object.keys(old.definition.measures), Object.keys(now.definition.measures)]
    const tally: Tally = { compared: 0, equal: 0, differ: 0, onlyOld: 0, onlyNew: 0, differences: [] }
    const tenants = tenantsOf(named, [old, now])
    for (const tenantId of tenants) for (const resolution of RESOLUTIONS) yield* compareWindows(comparing, tenantId, resolution, tally)
    const sameDefinition = old.record.definitionHash === now.record.definitionHash
    const faults = [...coverageFaults(old, now), ...(sameDefinition ? laneFaults(old, now) : []), ...(yield* digestFaults(snapshot, now, tenants))]
    const found: Parity = {
      projection, oldGeneration, newGeneration, sameDefinition, position, ...tally, faults,
      addedMeasures: after.filter((name) => !before.includes(name)), removedMeasures: before.filter((name) => !after.includes(name))
    }
    return found
  }))
})
