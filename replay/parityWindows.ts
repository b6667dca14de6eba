/** The windows of two generations side by side, in one snapshot: which differ, in what, and how many. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { StoreUnavailableError } from "@tidemark/domain/ports/ReadModelStore"
import type { GenerationRecord, LaneCheckpoint, ReadSnapshot, ResolutionCode, RowKey, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { DifferenceCounts, MeasureCount, WindowDifference } from "@tidemark/domain/settings/rebuild/differences"
import { RESOLUTIONS } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { digestHex } from "./verifyRows.ts"
import { comparedText, countsOf, fingerprint, measureOf, rowFigures } from "./windowFigures.ts"

/** A generation is gone. */
export class ComparisonGoneError extends Schema.TaggedError<ComparisonGoneError>()("ComparisonGoneError", { projection: Schema.String, generation: Schema.Int }) {}

const PAGE = 500

/** What is stored of one generation beside its rows. */
export interface StoredSide {
  readonly record: GenerationRecord
  readonly checkpoints: readonly LaneCheckpoint[]
}

/** One generation of a comparison. */
export interface Side extends StoredSide {
  readonly definition: ProjectionDefinition
}

export interface Comparing {
  readonly snapshot: ReadSnapshot
  readonly old: Side
  readonly new: Side
  readonly sameDefinition: boolean
  /** Measures of both definitions. */
  readonly common: readonly string[]
}

/** What is found of one tenant: everything counted, at most `listedMax` windows listed. */
export class TenantTally {
  compared = 0
  equal = 0
  differ = 0
  onlyOld = 0
  onlyNew = 0
  readonly measures = new Map<string, number>()
  readonly differences: WindowDifference[] = []
  readonly listedMax: number

  constructor(listedMax: number) {
    this.listedMax = listedMax
  }

  get differing(): number {
    return this.differ + this.onlyOld + this.onlyNew
  }

  counts({ old, new: now }: Comparing): DifferenceCounts {
    const { compared, equal, differ, onlyOld, onlyNew, measures, differences } = this
    return {
      compared, equal, differ, onlyOld, onlyNew, measures: measureCounts([measures]), listed: differences.length,
      oldDimensions: Object.keys(old.definition.key), newDimensions: Object.keys(now.definition.key)
    }
  }
}

/** The counts of all tallies together, by measure. */
export const measureCounts = (tallies: readonly ReadonlyMap<string, number>[]): readonly MeasureCount[] => {
  const sums = new Map<string, number>()
  for (const tally of tallies) for (const [measure, windows] of tally) sums.set(measure, (sums.get(measure) ?? 0) + windows)
  return [...sums].map(([measure, windows]) => ({ measure, windows })).sort((a, b) => (a.measure < b.measure ? -1 : 1))
}

/** Fails with `ComparisonGoneError` where the generation is not stored any more. */
export const openStored = Effect.fn("openStored")(function* (snapshot: ReadSnapshot, projection: string, generation: number) {
  const record = yield* snapshot.generation(projection, generation)
  if (record === undefined || record.isDropped === true) return yield* new ComparisonGoneError({ projection, generation })
  const stored: StoredSide = { record, checkpoints: yield* snapshot.checkpoints(projection, generation) }
  return stored
})

export const openSide = Effect.fn("openSide")(function* (snapshot: ReadSnapshot, projection: string, generation: number) {
  const stored = yield* openStored(snapshot, projection, generation)
  const definition = yield* Effect.try({ try: () => parseDefinition(stored.record.definition), catch: () => new ComparisonGoneError({ projection, generation }) })
  const side: Side = { ...stored, definition }
  return side
})

/** Everything of a partial but its revision, which depends on flush boundaries. */
const rowText = ({ lane, key, events, lateEvents, backfillEvents, fingerprint: print, offsets, measures }: StoredRow): string =>
  JSON.stringify([lane, key, [events, lateEvents, backfillEvents, print].map(String), offsets.map(({ partition, min, max }) => [partition, String(min), String(max)]), measures.map(digestHex)])

/** What differs of a window that is in both: names of measures, "events" for what counts them, "rows" for what no figure shows. */
const differing = ({ old, new: now, common, sameDefinition }: Comparing, before: readonly StoredRow[], after: readonly StoredRow[]): readonly string[] => {
  if (sameDefinition && before.length === after.length && before.every((row, at) => after[at] !== undefined && rowText(row) === rowText(after[at]))) return []
  const names = common.filter((name) => {
    const [own, other] = [old.definition.measures[name], now.definition.measures[name]]
    const [a, b] = [measureOf(old.definition, name, before), measureOf(now.definition, name, after)]
    return a === undefined || b === undefined || comparedText(own, other, a) !== comparedText(other, own, b)
  })
  const found = countsOf(before) === countsOf(after) ? names : ["events", ...names]
  return found.length === 0 && sameDefinition ? ["rows"] : found
}

const NOT_SEARCHED = { code: "NOT_SEARCHED", detail: "the search looks at the first windows of the list only" } as const

const note = (comparing: Comparing, tally: TenantTally, { tenantId, resolution, windowStartMs: startMs }: RowKey, old: readonly StoredRow[], now: readonly StoredRow[]): void => {
  if (tally.differences.length >= tally.listedMax) return
  const key = (old[0] ?? now[0])?.key ?? []
  const isLogic = !comparing.sameDefinition && old.length > 0 && now.length > 0 && fingerprint(old) === fingerprint(now)
  tally.differences.push({ tenantId, resolution, startMs, key, old: rowFigures(comparing.old.definition, old), new: rowFigures(comparing.new.definition, now), cause: isLogic ? "LOGIC" : "INPUT", firstDivergingEvent: null, noEvent: NOT_SEARCHED })
}

const compareWindow = (comparing: Comparing, tally: TenantTally, window: RowKey, old: readonly StoredRow[], now: readonly StoredRow[]): void => {
  if (now.length === 0) tally.onlyOld += 1
  else if (old.length === 0) tally.onlyNew += 1
  else {
    tally.compared += 1
    const names = differing(comparing, old, now)
    if (names.length === 0) {
      tally.equal += 1
      return
    }
    tally.differ += 1
    for (const name of names) tally.measures.set(name, (tally.measures.get(name) ?? 0) + 1)
  }
  note(comparing, tally, window, old, now)
}

/** All windows of the old generation against the new one's, then those that only the new one has; the shorter windows first. */
export const compareTenant = Effect.fn("compareTenant")(function* (comparing: Comparing, tenantId: string, tally: TenantTally) {
  for (const { code } of RESOLUTIONS) yield* compareWindows(comparing, tenantId, code, tally)
})

const compareWindows = Effect.fn("compareWindows")(function* (comparing: Comparing, tenantId: string, resolution: ResolutionCode, tally: TenantTally) {
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

