/**
 * Measures of a projection: what a definition says, the accumulator that holds it, the figures read
 * from it. A measure is asked for by its parts: `views`, or `duration.avg`, `duration.p95` …
 */
import { Count } from "./count.ts"
import { DecimalSum } from "./decimal-sum.ts"
import { formatDecimal, SCALE_DEFAULT } from "./decimal.ts"
import { Extreme } from "./extreme.ts"
import { Quantiles } from "./quantiles.ts"
import { Uniques } from "./uniques.ts"

/** Fields that any measure may have. Expressions are CEL. */
export interface MeasureConditions {
  /** Only events for which this is true add to the measure. */
  readonly where?: string
  /** The measured expression must not be null: an event without it is a dead letter, `MEASURE_MISSING`. */
  readonly required?: boolean
}

/** Number of events; with `of`, of those for which it is not null. */
export interface CountSpec extends MeasureConditions {
  readonly kind: "count"
  readonly of?: string
}

/** Exact decimal sum. */
export interface SumSpec extends MeasureConditions {
  readonly kind: "sum"
  readonly of: string
  /** Events for which this is true are subtracted. */
  readonly negateWhere?: string
  /** Digits after the point, 0 to 18; 6 when absent. */
  readonly scale?: number
}

/** Smallest or largest value, rounded half to even to the scale. */
export interface ExtremeSpec extends MeasureConditions {
  readonly kind: "min" | "max"
  readonly of: string
  /** Digits after the point, 0 to 18; 6 when absent. */
  readonly scale?: number
}

/** Number of distinct texts. */
export interface UniquesSpec extends MeasureConditions {
  readonly kind: "uniques"
  readonly of: string
}

/** Percentiles, average, sum, count, min and max; values are rounded half to even to the scale. */
export interface QuantilesSpec extends MeasureConditions {
  readonly kind: "quantiles"
  readonly of: string
  /** Digits after the point, 0 to 18; 6 when absent. */
  readonly scale?: number
}

/** A measure as it stands in a definition. */
export type MeasureSpec = CountSpec | SumSpec | ExtremeSpec | UniquesSpec | QuantilesSpec

/** State of a measure; `kind` tells which. */
export type Accumulator = Count | DecimalSum | Extreme | Uniques | Quantiles

/** One answered number. `errorBound` is absolute, in the measure's unit; null when exact. */
export interface MeasureFigure {
  readonly name: string
  /** The nearest double; null when there is no value. */
  readonly value: number | null
  /** Exact decimal text; null for estimates and when there is no value. */
  readonly text: string | null
  readonly exact: boolean
  readonly errorBound: number | null
}

/** Digits after the point of the measure's decimals; 0 for counts and uniques. */
export const measureScale = (spec: MeasureSpec): number =>
  spec.kind === "count" || spec.kind === "uniques" ? 0 : (spec.scale ?? SCALE_DEFAULT)

/** The identity of the measure's monoid. */
export const createAccumulator = (spec: MeasureSpec): Accumulator => {
  switch (spec.kind) {
    case "count":
      return new Count()
    case "sum":
      return new DecimalSum()
    case "min":
    case "max":
      return new Extreme(spec.kind)
    case "uniques":
      return new Uniques()
    case "quantiles":
      return new Quantiles(measureScale(spec))
  }
}

/** Reverse of `encode`. Throws `MeasureBytesError` when `bytes` are not canonical for this measure. */
export const decodeAccumulator = (spec: MeasureSpec, bytes: Uint8Array): Accumulator => {
  switch (spec.kind) {
    case "count":
      return Count.decode(bytes)
    case "sum":
      return DecimalSum.decode(bytes)
    case "min":
    case "max":
      return Extreme.decode(bytes, spec.kind)
    case "uniques":
      return Uniques.decode(bytes)
    case "quantiles":
      return Quantiles.decode(bytes, measureScale(spec))
  }
}

/** Adds `from` to `into`; `from` stays as it was. Throws `RangeError` when they are of different measures. */
export const mergeAccumulators = (into: Accumulator, from: Accumulator): void => {
  if (into.kind === "count" && from.kind === "count") into.merge(from)
  else if (into.kind === "sum" && from.kind === "sum") into.merge(from)
  else if (into.kind === "uniques" && from.kind === "uniques") into.merge(from)
  else if (into.kind === "quantiles" && from.kind === "quantiles") into.merge(from)
  else if (into instanceof Extreme && from instanceof Extreme) into.merge(from)
  else throw new RangeError(`cannot merge ${from.kind} into ${into.kind}`)
}

const QUANTILE_PARTS = ["avg", "p50", "p95", "p99", "max", "min", "sum", "count"] as const
const PERCENTILES: ReadonlyMap<string, number> = new Map([["p50", 0.5], ["p95", 0.95], ["p99", 0.99]])

/** Names under which the figures of measure `name` are asked for. */
export const measureParts = (name: string, spec: MeasureSpec): string[] =>
  spec.kind === "quantiles" ? QUANTILE_PARTS.map((part) => `${name}.${part}`) : [name]

/**
 * The figure `partName` (one of `measureParts(name, spec)`) of `accumulator`.
 * Throws `RangeError` for another part, or an accumulator of another measure.
 */
export const readMeasure = (
  partName: string, name: string, spec: MeasureSpec, accumulator: Accumulator
): MeasureFigure => {
  if (accumulator.kind !== spec.kind) throw new RangeError(`${accumulator.kind} is no state of ${spec.kind} ${name}`)
  if (accumulator.kind === "quantiles" && partName.startsWith(`${name}.`)) {
    return readQuantiles(partName, partName.slice(name.length + 1), accumulator)
  }
  if (accumulator.kind === "quantiles" || partName !== name) throw new RangeError(`${name} has no part ${partName}`)
  if (accumulator.kind !== "uniques") return exactFigure(name, accumulator.value(), measureScale(spec))
  const { value, exact, errorBound } = accumulator.estimate()
  return { name, value, text: exact ? String(value) : null, exact, errorBound: exact ? null : errorBound }
}

const readQuantiles = (partName: string, part: string, quantiles: Quantiles): MeasureFigure => {
  switch (part) {
    case "count":
      return exactFigure(partName, quantiles.count(), 0)
    case "sum":
    case "min":
    case "max":
      return exactFigure(partName, quantiles[part](), quantiles.scale)
    case "avg":
      return averageFigure(partName, quantiles)
  }
  const q = PERCENTILES.get(part)
  if (q === undefined) throw new RangeError(`no such part: ${partName}`)
  const estimate = quantiles.quantile(q)
  return {
    name: partName,
    value: estimate?.value ?? null,
    text: null,
    exact: false,
    errorBound: estimate?.errorBound ?? null
  }
}

/** Exact where the sum can be divided within the scale, else rounded half to even and off by half a unit of it at most. */
const averageFigure = (name: string, quantiles: Quantiles): MeasureFigure => {
  const scaled = quantiles.averageScaled()
  const figure = exactFigure(name, scaled, quantiles.scale)
  if (scaled === null || scaled * quantiles.count() === quantiles.sum()) return figure
  return { ...figure, exact: false, errorBound: 0.5 * 10 ** -quantiles.scale }
}

const exactFigure = (name: string, scaled: bigint | null, scale: number): MeasureFigure => {
  const text = scaled === null ? null : formatDecimal(scaled, scale)
  return { name, value: text === null ? null : Number(text), text, exact: true, errorBound: null }
}
