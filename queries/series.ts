/** Windows of one projection over time, filtered or broken down by its dimensions. */
import type { MeasureFigure } from "@tidemark/domain/measures/measure"
import type { ReadModelStore, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { ResolutionName } from "@tidemark/domain/time/window"
import * as Effect from "effect/Effect"
import { chooseKeys, dimensionIndex, isOther, scansOf } from "./dimensions.ts"
import type { Dimension, DimensionFilter, KeyChoice } from "./dimensions.ts"
import { LimitError, ModelUnreadableError } from "./errors.ts"
import type { QueryError } from "./errors.ts"
import { BUCKETS_MAX, pageSize } from "./limits.ts"
import { MergedPartials, wantedParts } from "./mergePartials.ts"
import type { WantedPart } from "./mergePartials.ts"
import { openModel, provenanceOf } from "./openModel.ts"
import type { Provenance, ReadableModel } from "./openModel.ts"
import { alignedRange, resolutionOf } from "./resolution.ts"
import type { Resolution } from "./resolution.ts"
import { correctionsOf, windowState } from "./windowState.ts"
import type { PositionPart, WindowState } from "./windowState.ts"

export interface SeriesInput {
  readonly projection: string
  /** Parts of measures: `views`, `duration.p95`. */
  readonly measures: readonly string[]
  /** Windows that [fromMs, toMs) touches. */
  readonly fromMs: number
  readonly toMs: number
  readonly resolution: ResolutionName
  readonly where?: readonly DimensionFilter[]
  readonly breakdownBy?: string
  /** Groups of a break-down, those with the most events first. */
  readonly first?: number
  /** Add the windows without data. */
  readonly fill?: boolean
}

export interface SeriesPoint {
  readonly startMs: number
  readonly endMs: number
  readonly state: WindowState
  readonly revision: bigint
  readonly corrections: bigint
  readonly events: bigint
  readonly measures: readonly MeasureFigure[]
}

export interface SeriesGroup {
  /** Empty when nothing is broken down. */
  readonly key: readonly Dimension[]
  readonly points: readonly SeriesPoint[]
}

export interface Series extends Provenance {
  readonly groups: readonly SeriesGroup[]
  /** A break-down has more groups than `first`: those with fewer events were left out. */
  readonly truncated: boolean
}

/** A series request that was checked against the definition. */
export interface SeriesPlan {
  readonly wanted: readonly WantedPart[]
  readonly resolution: Resolution
  readonly fromMs: number
  readonly toMs: number
  readonly keys: KeyChoice
  readonly groupName: string | undefined
  readonly groupIndex: number
  readonly groupsMax: number
  readonly fill: boolean
}

const GROUPS_DEFAULT = 100

/** Checks names and limits; nothing is read from rows. */
export const planSeries = Effect.fn("planSeries")(function* (model: ReadableModel<unknown>, input: SeriesInput) {
  const { projection, definition, dimensions } = model
  const wanted = yield* wantedParts(definition, input.measures)
  const resolution = resolutionOf(input.resolution, definition)
  const range = yield* alignedRange(input.fromMs, input.toMs, resolution.sizeMs)
  const windows = (range.toMs - range.fromMs) / resolution.sizeMs
  if (windows > BUCKETS_MAX) return yield* Effect.fail(new LimitError({ limit: "buckets", max: BUCKETS_MAX, wanted: windows }))
  const broken = input.breakdownBy
  const filled = input.fill === true
  const groupsMax = yield* pageSize(input.first, filled ? Math.max(1, Math.min(GROUPS_DEFAULT, Math.floor(BUCKETS_MAX / windows))) : GROUPS_DEFAULT)
  // Without filling only windows with data are points: most are few of what the range would hold, so those are counted.
  if (broken !== undefined && filled && groupsMax * windows > BUCKETS_MAX) {
    return yield* Effect.fail(new LimitError({ limit: "buckets", max: BUCKETS_MAX, wanted: groupsMax * windows }))
  }
  const plan: SeriesPlan = {
    wanted,
    resolution,
    ...range,
    keys: yield* chooseKeys(model, input.where ?? []),
    groupName: broken,
    groupIndex: broken === undefined ? -1 : yield* dimensionIndex(projection, dimensions, broken),
    groupsMax,
    fill: filled
  }
  return plan
})

interface Gathered {
  /** Group text → window start → merged partials. */
  readonly groups: Map<string, Map<number, MergedPartials>>
  /** Starts of windows with keys beyond the cap. */
  readonly incomplete: Set<number>
  /** Group text → starts of windows changed since the position asked for. */
  readonly changed: Map<string, Set<number>>
}

const touchedSince = (row: StoredRow, since: ReadonlyMap<number, bigint>): boolean =>
  row.offsets.some(({ partition, max }) => max >= (since.get(partition) ?? 0n))

const gather = (plan: SeriesPlan, into: Gathered, { kept, since: parts }: SeriesReading) => {
  const since = parts === undefined ? undefined : new Map(parts.map(({ partition, nextOffset }) => [partition, nextOffset] as const))
  const only = kept !== undefined && plan.groupIndex >= 0 && kept.size >= plan.groupsMax ? kept : undefined
  return (rows: readonly StoredRow[]): void => {
    for (const row of rows) {
      if (isOther(row.key)) into.incomplete.add(row.windowStartMs)
      if (!plan.keys.keep(row.key)) continue
      const group = plan.groupIndex < 0 ? "" : (row.key[plan.groupIndex] ?? "")
      if (only !== undefined && !only.has(group)) continue
      let windows = into.groups.get(group)
      if (windows === undefined) into.groups.set(group, (windows = new Map<number, MergedPartials>()))
      let merged = windows.get(row.windowStartMs)
      if (merged === undefined) windows.set(row.windowStartMs, (merged = new MergedPartials(plan.wanted)))
      merged.add(row)
      if (since === undefined || !touchedSince(row, since)) continue
      const starts = into.changed.get(group)
      if (starts === undefined) into.changed.set(group, new Set([row.windowStartMs]))
      else starts.add(row.windowStartMs)
    }
  }
}

const pointOf = (model: Provenance, plan: SeriesPlan, startMs: number, merged: MergedPartials, complete: boolean): SeriesPoint => {
  const endMs = startMs + plan.resolution.sizeMs
  const state = windowState(endMs, model.watermarkMs, merged)
  return { startMs, endMs, state, revision: merged.revision, corrections: correctionsOf(state, merged), events: merged.events, measures: merged.figures(complete) }
}

const eventsOf = (windows: ReadonlyMap<number, MergedPartials>): bigint => {
  let events = 0n
  for (const merged of windows.values()) events += merged.events
  return events
}

const groupOrder = (a: readonly [string, ReadonlyMap<number, MergedPartials>], b: readonly [string, ReadonlyMap<number, MergedPartials>]): number => {
  const [left, right] = [eventsOf(a[1]), eventsOf(b[1])]
  if (left !== right) return left > right ? -1 : 1
  return a[0] < b[0] ? -1 : 1
}

const startsOf = (plan: SeriesPlan, { fromMs, toMs }: SeriesReading, windows: ReadonlyMap<number, MergedPartials>): readonly number[] => {
  const { sizeMs } = plan.resolution
  return plan.fill ? Array.from({ length: (toMs - fromMs) / sizeMs }, (_, index) => fromMs + index * sizeMs) : [...windows.keys()].sort((a, b) => a - b)
}

/** Whole windows of the plan. */
export interface SeriesReading {
  readonly fromMs: number
  readonly toMs: number
  /** Of a break-down: these groups come first, and others take only the places they leave. */
  readonly kept?: ReadonlySet<string>
  /** Next offset by partition: tells the windows with a record at or beyond it. */
  readonly since?: readonly PositionPart[]
}

export interface ReadGroups {
  readonly groups: readonly SeriesGroup[]
  readonly truncated: boolean
  /** Group text → starts of its windows with a record at or beyond `since`; empty without it. */
  readonly changed: ReadonlyMap<string, ReadonlySet<number>>
}

type Found = readonly (readonly [string, ReadonlyMap<number, MergedPartials>])[]

const chosen = ({ groupIndex, groupsMax }: SeriesPlan, kept: ReadonlySet<string> | undefined, found: Found): Found => {
  const sorted = [...found].sort(groupOrder)
  if (groupIndex < 0) return sorted
  if (kept === undefined) return sorted.slice(0, groupsMax)
  return [...sorted.filter(([text]) => kept.has(text)), ...sorted.filter(([text]) => !kept.has(text)).slice(0, Math.max(0, groupsMax - kept.size))]
}

/** Groups of the plan within a range of its windows, from the model's snapshot. */
export const readGroups = Effect.fn("readGroups")(function* <E>(model: ReadableModel<E>, plan: SeriesPlan, reading: SeriesReading) {
  const { projection, generation, tenantId } = model
  const gathered: Gathered = { groups: new Map(), incomplete: new Set(), changed: new Map() }
  const fromMs = Math.max(reading.fromMs, model.retainedFromMs)
  const scan = { projection, generation, tenantId, resolution: plan.resolution.code, fromMs, toMs: reading.toMs }
  let unreadable: unknown
  const visit = gather(plan, gathered, reading)
  const guarded = (rows: readonly StoredRow[]): void => {
    try {
      if (unreadable === undefined) visit(rows)
    } catch (cause) {
      unreadable = cause
    }
  }
  for (const one of scansOf(scan, plan.keys)) yield* model.rows.scan(one, guarded)
  if (unreadable !== undefined) return yield* Effect.fail(new ModelUnreadableError({ projection, generation, cause: unreadable }))
  // Groups that have windows, if only empty ones.
  const standing = plan.groupIndex < 0 ? [""] : plan.fill ? (reading.kept ?? []) : []
  for (const text of standing) if (!gathered.groups.has(text)) gathered.groups.set(text, new Map())
  const groups: SeriesGroup[] = []
  let pointCount = 0
  for (const [text, windows] of chosen(plan, reading.kept, [...gathered.groups])) {
    const points = startsOf(plan, reading, windows).map((startMs) =>
      pointOf(model, plan, startMs, windows.get(startMs) ?? new MergedPartials(plan.wanted), !gathered.incomplete.has(startMs)))
    pointCount += points.length
    if (pointCount > BUCKETS_MAX) return yield* Effect.fail(new LimitError({ limit: "buckets", max: BUCKETS_MAX, wanted: pointCount }))
    groups.push({ key: plan.groupName === undefined ? [] : [{ name: plan.groupName, value: text }], points })
  }
  const { changed } = gathered
  return { groups, truncated: plan.groupIndex >= 0 && gathered.groups.size > plan.groupsMax, changed } satisfies ReadGroups as ReadGroups
})

/** Windows over time of a model that is open. One group with an empty key when nothing is broken down. */
export const seriesOf = <E>(model: ReadableModel<E>, input: SeriesInput): Effect.Effect<Series, QueryError | E> =>
  Effect.gen(function* () {
    const plan = yield* planSeries(model, input)
    const { groups, truncated } = yield* readGroups(model, plan, plan)
    return { ...provenanceOf(model), groups, truncated }
  })

/** Windows over time as they are. */
export const series = (input: SeriesInput, tenantId: string): Effect.Effect<Series, QueryError, ReadModelStore> =>
  Effect.scoped(Effect.flatMap(openModel(input.projection, tenantId), (model) => seriesOf(model, input)))
