/**
 * Parity: may the new generation take the old one's place? Both are read from one snapshot in which both stand at the
 * same position: since one reader feeds them and one transaction commits them, every snapshot is such a barrier.
 *
 * Same definition: digests, counters and every row must be equal. Another definition: the differences are listed with
 * their cause, for a person to accept. Where the old one has halted, the new one is proved by the log alone. Rules: docs/semantics.md §8.
 */
import { compileDefinition } from "@tidemark/domain/definitions/compile"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { haltIn } from "@tidemark/domain/ports/projectionPause"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import type { Halt, LaneCheckpoint, ReadSnapshot } from "@tidemark/domain/ports/ReadModelStore"
import type { DifferenceCounts, MeasureCount, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import { NO_ROW, RowDigest, rowHash } from "@tidemark/projections/runtime/rowDigest"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { positionsOf } from "./buildGeneration.ts"
import { findDivergence } from "./firstDivergence.ts"
import type { SearchBudget, Sides } from "./firstDivergence.ts"
import { ComparisonGoneError, TenantTally, compareTenant, measureCounts, openSide, openStored } from "./parityWindows.ts"
import type { Comparing, Side, StoredSide } from "./parityWindows.ts"
import { SAMPLE_BOUNDS, SampleChoice, recomputeSample } from "./paritySample.ts"
import type { ParitySample, SampleBounds } from "./paritySample.ts"
import { digestHex } from "./verifyRows.ts"
import type { FoldedSide, WindowPlace } from "./windowFold.ts"

/** The two generations do not stand at one position, so nothing can be compared. Let the new one catch up. */
export class NotAtBarrierError extends Schema.TaggedError<NotAtBarrierError>()("NotAtBarrierError", {
  partition: Schema.Int,
  oldOffset: Schema.BigInt,
  newOffset: Schema.BigInt
}) {}

/** What differs of one tenant's windows: counted whole, listed up to a bound. */
export interface TenantDifferences {
  readonly tenantId: string
  readonly counts: DifferenceCounts
  readonly differences: readonly WindowDifference[]
}

export interface ServedHalt {
  readonly code: string
  readonly detail: string
  readonly position: Parity["position"]
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
  /** Of another definition, or beside a halted generation: windows of the new generation that were recomputed from the log. Null for the same one, whose digests are equal. */
  readonly sample: ParitySample | null
  /** Why the old generation has halted, and its next offsets: no window was compared with it then. Null where it has not. */
  readonly servedHalt: ServedHalt | null
  /** What no difference of a window explains: digests, counters, rows that are not what their digest says. */
  readonly faults: readonly string[]
  /** Of the windows that are there in both, how many differ in a measure; "events" for what counts them, "rows" for what no figure shows. */
  readonly measures: readonly MeasureCount[]
  /** Of the tenants of whom a window differs. */
  readonly lists: readonly TenantDifferences[]
  /** Measures of one definition only; they are not compared. */
  readonly addedMeasures: readonly string[]
  readonly removedMeasures: readonly string[]
}

/** True when nothing at all differs. */
export const isEqual = ({ differ, onlyOld, onlyNew, faults }: Parity): boolean => differ + onlyOld + onlyNew + faults.length === 0

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
const coverageFaults = (old: StoredSide, now: StoredSide): readonly string[] => {
  const starts = new Map(old.record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
  return now.record.coverage.flatMap(({ partition, nextOffset }) => {
    const start = starts.get(partition) ?? 0n
    return nextOffset > start ? [`partition ${partition} is covered from offset ${nextOffset}, by the old generation from ${start}`] : []
  })
}

/** What is counted before any definition is asked. */
const SHARED_COUNTERS = ["records", "system", "events", "duplicate"] as const

/** Of another definition: from the same start, both must have counted the same records, events and duplicates. */
const sharedFaults = (old: Side, now: Side): readonly string[] => {
  const partitions = new Map(now.checkpoints.flatMap((lane) => lane.partitions).map((one) => [one.partition, one.counters]))
  const starts = ({ record }: Side) => new Map(record.coverage.map(({ partition, nextOffset }) => [partition, nextOffset]))
  const [oldStarts, newStarts] = [starts(old), starts(now)]
  return old.checkpoints.flatMap((lane) => lane.partitions).flatMap(({ partition, counters }) => {
    const others = partitions.get(partition)
    if ((oldStarts.get(partition) ?? 0n) !== (newStarts.get(partition) ?? 0n)) return []
    const names = SHARED_COUNTERS.filter((name) => counters[name] !== others?.[name])
    return names.length === 0 ? [] : [`counters of partition ${partition} differ: ${names.map((name) => `${name} ${counters[name]} and ${others?.[name]}`).join(", ")}`]
  })
}

/** The stored rows of the new generation must be what its digests say: these are kept from delta to delta. The rows pass by `choice`. */
const digestFaults = Effect.fn("digestFaults")(function* (snapshot: ReadSnapshot, { record, checkpoints }: StoredSide, tenants: readonly string[], choice: SampleChoice) {
  const sums = new Map(checkpoints.map(({ lane, digest }) => [lane.lane, RowDigest.decode(new Uint8Array(digest.length))]))
  for (const tenantId of tenants) {
    for (const { code: resolution } of RESOLUTIONS) {
      yield* snapshot.scan({ projection: record.projection, generation: record.generation, tenantId, resolution, fromMs: -8_640_000_000_000_000, toMs: 8_640_000_000_000_001 }, (rows) => {
        for (const row of rows) {
          sums.get(row.lane)?.replace(row.keyId, NO_ROW, rowHash(row))
          choice.visit(record.projection, record.generation, row)
        }
      })
    }
  }
  return checkpoints.flatMap(({ lane, digest }) => (digestHex(sums.get(lane.lane)?.encode() ?? new Uint8Array()) === digestHex(digest) ? [] : [`stored rows of lane ${lane.lane} are not what its digest says`]))
})

/** Tenants of whom a generation has rows: those named, and those that the checkpoints know. */
const tenantsOf = (named: readonly string[], sides: readonly StoredSide[]): readonly string[] =>
  [...new Set([...named, ...sides.flatMap(({ checkpoints }) => checkpoints.flatMap(({ partitions }) => partitions.flatMap(({ tenantMaxMs }) => [...tenantMaxMs.keys()])))])].sort()

export interface ParityInput {
  readonly projection: string
  readonly oldGeneration: number
  readonly newGeneration: number
  /** Tenants that may have rows; those with live events are known anyway. */
  readonly tenants: readonly string[]
  /** Differences listed, over all tenants; all are counted. */
  readonly differencesMax: number
  /** Of the sample that is recomputed from the log; 0 when absent. */
  readonly seed?: number
  /** `SAMPLE_BOUNDS` when absent. */
  readonly sampleBounds?: SampleBounds
  /** `SEARCH_MAX` when absent. */
  readonly searchMax?: Readonly<SearchBudget>
}

const offsetsOf = (checkpoints: readonly LaneCheckpoint[]): Parity["position"] =>
  [...positionsOf(checkpoints)].map(([partition, nextOffset]) => ({ partition, nextOffset })).sort((a, b) => a.partition - b.partition)

/** Fails with `NotAtBarrierError` at the first partition in which the new generation does not stand as it must beside the old one. */
const requireBarrier = Effect.fn("requireBarrier")(function* (old: Parity["position"], now: readonly LaneCheckpoint[], isRight: (newOffset: bigint, oldOffset: bigint) => boolean) {
  const reached = positionsOf(now)
  for (const { partition, nextOffset } of old) {
    const newOffset = reached.get(partition) ?? 0n
    if (!isRight(newOffset, nextOffset)) return yield* new NotAtBarrierError({ partition, oldOffset: nextOffset, newOffset })
  }
})

/** Both sides in one snapshot, and where they stand. Fails with `NotAtBarrierError` when that is not one position. */
const openBoth = Effect.fn("openBoth")(function* (snapshot: ReadSnapshot, { projection, oldGeneration, newGeneration }: ParityInput) {
  const old = yield* openSide(snapshot, projection, oldGeneration)
  const now = yield* openSide(snapshot, projection, newGeneration)
  const position = offsetsOf(old.checkpoints)
  yield* requireBarrier(position, now.checkpoints, (newOffset, oldOffset) => newOffset === oldOffset)
  const after = Object.keys(now.definition.measures)
  const common = Object.keys(old.definition.measures).filter((name) => after.includes(name))
  const comparing: Comparing = { snapshot, old, new: now, common, sameDefinition: old.record.definitionHash === now.record.definitionHash }
  return { comparing, position }
})

/** Work that the search for first diverging events may take: windows looked at, records read again of each side together. */
const SEARCH_MAX: Readonly<SearchBudget> = { windows: 1_000, records: 4_000_000n }
/** Windows that are named as faults; more of them say nothing new. */
const FAULTS_MAX = 20

type Tallies = readonly { readonly tenantId: string; readonly tally: TenantTally }[]

/** The two sides as they are folded again. Fails with `ComparisonGoneError` where this program cannot run a definition. */
export const sidesOf = Effect.fn("sidesOf")(function* ({ snapshot, sameDefinition, common, old, new: now }: Comparing) {
  const seed = hashSeedOf((yield* EventLog).identity.logId)
  const side = ({ record: { projection, generation }, definition }: Side) =>
    Effect.try({ try: (): FoldedSide => ({ projection, generation, compiled: compileDefinition(definition, seed), seed }), catch: () => new ComparisonGoneError({ projection, generation }) })
  return { snapshot, sameDefinition, common, old: yield* side(old), new: yield* side(now) } satisfies Sides
})

/** Looks for the event at which the sides part, of the first windows of each tenant. */
const searchTenants = Effect.fn("searchTenants")(function* (sides: Sides, tallies: Tallies, searchMax: Readonly<SearchBudget>) {
  let { windows, records } = searchMax
  for (const [at, { tally: { differences } }] of tallies.entries()) {
    const share = BigInt(tallies.length - at)
    const budget = { windows: Math.ceil(windows / (tallies.length - at)), records: (records + share - 1n) / share }
    const given = { ...budget }
    for (const [index, difference] of differences.entries()) differences[index] = { ...difference, ...(yield* findDivergence(sides, difference, budget)) }
    windows -= given.windows - budget.windows
    records -= given.records - budget.records
  }
})

const placeText = ({ tenantId, resolution, startMs, key }: WindowPlace): string => `${RESOLUTIONS[resolution].name} ${new Date(startMs).toISOString()}, key ${JSON.stringify(key)} of ${tenantId}`

/** Windows of another definition that are not what their events give: no note accepts these. */
const rowFaults = (tallies: Tallies): readonly string[] =>
  tallies.flatMap(({ tally }) => tally.differences).filter(({ noEvent }) => noEvent?.code === "ROWS_DIFFER").slice(0, FAULTS_MAX).map((difference) => `${placeText(difference)}: ${difference.noEvent?.detail ?? ""}`)

/** What is not what the log gives, or a sample that proves nothing: the log has lost the events of all of it since, or this program cannot run the definition. */
const sampleFaults = ({ windows, skipped, wholeRows, differing }: ParitySample): readonly string[] => [
  ...differing.slice(0, FAULTS_MAX), ...(windows === 0 && skipped > 0 && wholeRows === null ? [`nothing is proved: the log no longer holds the events of any of the ${skipped} windows that were chosen`] : [])
]

/** Tenant by tenant. Each may list its share of what is left, so one with many differences leaves room for the others. */
const compareTenants = Effect.fn("compareTenants")(function* (comparing: Comparing, tenants: readonly string[], differencesMax: number) {
  const tallies: { readonly tenantId: string; readonly tally: TenantTally }[] = []
  let room = differencesMax
  for (const [at, tenantId] of tenants.entries()) {
    const tally = new TenantTally(Math.ceil(room / (tenants.length - at)))
    yield* compareTenant(comparing, tenantId, tally)
    room -= tally.differences.length
    tallies.push({ tenantId, tally })
  }
  return tallies
})

const total = (tallies: Tallies, of: (tally: TenantTally) => number): number => tallies.reduce((sum, { tally }) => sum + of(tally), 0)

const compareBoth = Effect.fn("compareBoth")(function* (snapshot: ReadSnapshot, input: ParityInput) {
  const { comparing, position } = yield* openBoth(snapshot, input)
  const { old, new: now, sameDefinition } = comparing
  const [before, after] = [Object.keys(old.definition.measures), Object.keys(now.definition.measures)]
  const tenants = tenantsOf(input.tenants, [old, now])
  const tallies = yield* compareTenants(comparing, tenants, input.differencesMax)
  yield* searchTenants(yield* sidesOf(comparing), tallies, input.searchMax ?? SEARCH_MAX)
  const choice = new SampleChoice(input.seed ?? 0)
  const digests = yield* digestFaults(snapshot, now, tenants, choice)
  const sample = sameDefinition ? null : yield* recomputeSample({ snapshot, record: now.record, checkpoints: now.checkpoints, tenants }, choice, input.sampleBounds ?? SAMPLE_BOUNDS)
  const proof = sample === null ? laneFaults(old, now) : [...sharedFaults(old, now), ...rowFaults(tallies), ...sampleFaults(sample)]
  const faults = [...coverageFaults(old, now), ...proof, ...digests]
  const found: Parity = {
    projection: input.projection, oldGeneration: input.oldGeneration, newGeneration: input.newGeneration, sameDefinition, position, faults, sample, servedHalt: null,
    compared: total(tallies, ({ compared }) => compared), equal: total(tallies, ({ equal }) => equal), differ: total(tallies, ({ differ }) => differ),
    onlyOld: total(tallies, ({ onlyOld }) => onlyOld), onlyNew: total(tallies, ({ onlyNew }) => onlyNew), measures: measureCounts(tallies.map(({ tally }) => tally.measures)),
    lists: tallies.filter(({ tally }) => tally.differing > 0).map(({ tenantId, tally }) => ({ tenantId, counts: tally.counts(comparing), differences: tally.differences })),
    addedMeasures: after.filter((name) => !before.includes(name)), removedMeasures: before.filter((name) => !after.includes(name))
  }
  return found
})

/**
 * The old generation has halted, and the new one has passed it: no window can be compared, and this program may not even
 * be able to read the old one's definition. The new one is proved by the log alone, whatever its definition is.
 */
const proveBeside = Effect.fn("proveBeside")(function* (snapshot: ReadSnapshot, input: ParityInput, { code, detail }: Halt) {
  const { projection, oldGeneration, newGeneration } = input
  const old = yield* openStored(snapshot, projection, oldGeneration)
  const now = yield* openStored(snapshot, projection, newGeneration)
  const stands = offsetsOf(old.checkpoints)
  yield* requireBarrier(stands, now.checkpoints, (newOffset, oldOffset) => newOffset >= oldOffset)
  const tenants = tenantsOf(input.tenants, [old, now])
  const choice = new SampleChoice(input.seed ?? 0)
  const digests = yield* digestFaults(snapshot, now, tenants, choice)
  const sample = yield* recomputeSample({ snapshot, record: now.record, checkpoints: now.checkpoints, tenants }, choice, input.sampleBounds ?? SAMPLE_BOUNDS)
  const found: Parity = {
    projection, oldGeneration, newGeneration, sameDefinition: old.record.definitionHash === now.record.definitionHash, position: offsetsOf(now.checkpoints),
    faults: [...coverageFaults(old, now), ...sampleFaults(sample), ...digests], sample, servedHalt: { code, detail, position: stands },
    compared: 0, equal: 0, differ: 0, onlyOld: 0, onlyNew: 0, measures: [], lists: [], addedMeasures: [], removedMeasures: []
  }
  return found
})

/** Compares two generations in one snapshot; proves the new one by itself where the old one has halted. */
export const parity = Effect.fn("parity")(function* (input: ParityInput) {
  const store = yield* ReadModelStore
  return yield* Effect.scoped(Effect.gen(function* () {
    const snapshot = yield* store.snapshot
    const halt = haltIn(yield* snapshot.halts, { projection: input.projection, generation: input.oldGeneration })
    return yield* halt === undefined ? compareBoth(snapshot, input) : proveBeside(snapshot, input, halt)
  }))
})
