/** A definition as running code: extract checks everything, apply cannot fail. */
import type { EventEnvelope } from "../events/event.ts"
import { ScannedEvent } from "../events/scannedEvent.ts"
import { upcast } from "../events/upcasters.ts"
import { scaleExactly, scaleRounded } from "../measures/decimal.ts"
import type { Scaled } from "../measures/decimal.ts"
import { hashUtf8 } from "../measures/hash.ts"
import { createAccumulator, measureScale } from "../measures/measure.ts"
import type { Accumulator, MeasureSpec } from "../measures/measure.ts"
import { definitionHash } from "./definition.ts"
import type { ProjectionDefinition } from "./definition.ts"
import { dimensionText } from "./dimensionText.ts"
import { UnsafeIntegerError } from "./eventPath.ts"
import type { Evaluate } from "./eventPath.ts"
import { compileExpression } from "./expression.ts"

/** Why an event cannot be folded. */
export type DeadCode = "EXPRESSION" | "MEASURE_MISSING" | "DECIMAL_SCALE" | "UNSAFE_INTEGER" | "UPCAST"

/** What one event adds; reused from event to event. `code` and `pointer` hold after "dead" only. */
export interface Extraction {
  readonly key: string[]
  /** Per measure: the scaled value, "" for uniques, whose hash is beside it, null when nothing is added. */
  readonly values: (Scaled | string | null)[]
  /** Per measure of kind uniques that adds something: the 64-bit hash of its text, in halves. */
  readonly hashHi: number[]
  readonly hashLo: number[]
  code: DeadCode
  pointer: string
}

/** Room for one event at a time. */
export const createExtraction = (): Extraction => ({ key: [], values: [], hashHi: [], hashLo: [], code: "EXPRESSION", pointer: "" })

/** A definition this binary runs. Names, and with them keys and accumulators, are in code-unit order. */
export interface CompiledProjection {
  readonly definition: ProjectionDefinition
  readonly hash: string
  readonly dimensionNames: readonly string[]
  readonly measureNames: readonly string[]
  /** Identities, in the order of `measureNames`. */
  readonly createAccumulators: () => Accumulator[]
  /** Fills `out`; never throws and touches no accumulator. What `out` holds counts after "ok" only. */
  readonly extract: (event: EventEnvelope, out: Extraction) => "ok" | "filtered" | "dead"
  /** Adds an extracted event to accumulators of `createAccumulators`. */
  readonly apply: (out: Extraction, accumulators: readonly Accumulator[]) => void
}

type MeasureValue = Scaled | "" | null
/** Told apart from every value of a measure. */
type DeadFault = DeadCode

const HASHED = ""

const truth = (evaluate: Evaluate, event: EventEnvelope, data: unknown): boolean => {
  const value = evaluate(event, data)
  if (typeof value !== "boolean" && value !== null) throw new TypeError("no boolean")
  return value === true
}

const scaledValue = (spec: MeasureSpec, value: unknown): Scaled | DeadCode =>
  spec.kind === "sum" ? scaleExactly(value, measureScale(spec)) : scaleRounded(value, measureScale(spec))

/** The expression of `of` that is hashed without making its text. */
const SUBJECT = "event.subject"
const scratch = new Uint32Array(4)

/** Hashes the value into place `at` of `out`; false for one that is no scalar. */
const hashValue = (value: unknown, seed: number, out: Extraction, at: number): boolean => {
  if (typeof value === "object") return false
  hashUtf8(String(value), seed, scratch)
  out.hashHi[at] = scratch[0]!
  out.hashLo[at] = scratch[1]!
  return true
}

/** Takes the subject's hash from a record as it lies; false when there is no subject. */
const hashSubject = (event: ScannedEvent, seed: number, out: Extraction, at: number): boolean => {
  if (!event.hashSubject(seed, scratch)) return false
  out.hashHi[at] = scratch[0]!
  out.hashLo[at] = scratch[1]!
  return true
}

type Measure = (event: EventEnvelope, data: unknown, out: Extraction, at: number) => MeasureValue | DeadFault

const compileMeasure = (spec: MeasureSpec, seed: number): Measure => {
  const where = spec.where === undefined ? undefined : compileExpression(spec.where)
  const of = spec.of === undefined ? undefined : compileExpression(spec.of)
  const negate = spec.kind === "sum" && spec.negateWhere !== undefined ? compileExpression(spec.negateWhere) : undefined
  const isSubject = spec.kind === "uniques" && spec.of === SUBJECT
  return (event, data, out, at) => {
    if (where !== undefined && !truth(where, event, data)) return null
    if (isSubject && event instanceof ScannedEvent) return hashSubject(event, seed, out, at) ? HASHED : spec.required === true ? "MEASURE_MISSING" : null
    const value = of === undefined ? 1 : of(event, data)
    if (value === null) return spec.required === true ? "MEASURE_MISSING" : null
    if (spec.kind === "count") return 1
    if (spec.kind === "uniques") return hashValue(value, seed, out, at) ? HASHED : "EXPRESSION"
    const scaled = scaledValue(spec, value)
    if (typeof scaled === "string") return scaled
    const negative = negate !== undefined && truth(negate, event, data)
    return negative && scaled !== 0 ? -scaled : scaled
  }
}

const applyMeasure = (accumulator: Accumulator, out: Extraction, at: number): void => {
  const value = out.values[at] ?? null
  if (value === null) return
  if (typeof value === "string") {
    if (accumulator.kind === "uniques") accumulator.addHash(out.hashHi[at]!, out.hashLo[at]!)
  } else if (accumulator.kind === "count") accumulator.add(1)
  else if (accumulator.kind !== "uniques") accumulator.addScaled(value)
}

/** Compiles a definition; `seed` is the log's hash seed. Throws `DefinitionMissingError` or `ExpressionSyntaxError`. */
export const compileDefinition = (definition: ProjectionDefinition, seed: number): CompiledProjection => {
  const handled = new Map(definition.handles.map((handle) => [handle.type, handle]))
  const filter = definition.filter === undefined ? undefined : compileExpression(definition.filter)
  const dimensions = Object.entries(definition.key).map(([name, text]) => ({ pointer: `/key/${name}`, evaluate: compileExpression(text) }))
  const measures = Object.entries(definition.measures).map(([name, spec]) => ({ pointer: `/measures/${name}`, spec, measure: compileMeasure(spec, seed) }))

  const fill = (event: EventEnvelope, out: Extraction): "ok" | "filtered" | "dead" => {
    const handle = handled.get(event.type) ?? handled.get("*")
    if (handle === undefined) return "filtered"
    let data: unknown = event instanceof ScannedEvent ? event : event.data
    out.code = "UPCAST"
    out.pointer = "/data"
    const { schemaVersion } = event
    if (handle.upcastTo !== undefined && schemaVersion > 0 && schemaVersion < handle.upcastTo) data = upcast(event.type, event.data, event.schemaVersion, handle.upcastTo)
    out.code = "EXPRESSION"
    out.pointer = "/filter"
    if (filter !== undefined && !truth(filter, event, data)) return "filtered"
    let at = 0
    for (const { pointer, evaluate } of dimensions) {
      out.pointer = pointer
      const text = dimensionText(evaluate(event, data), definition.textBytesMax, seed)
      if (text === undefined) return "dead"
      out.key[at++] = text
    }
    at = 0
    for (const { pointer, measure } of measures) {
      out.pointer = pointer
      const measured = measure(event, data, out, at)
      if (typeof measured === "string" && measured !== HASHED) {
        out.code = measured
        return "dead"
      }
      out.values[at++] = measured
    }
    return "ok"
  }

  return {
    definition,
    hash: definitionHash(definition),
    dimensionNames: Object.keys(definition.key),
    measureNames: Object.keys(definition.measures),
    createAccumulators: () => measures.map(({ spec }) => createAccumulator(spec)),
    extract: (event, out) => {
      if (out.key.length !== dimensions.length) out.key.length = dimensions.length
      if (out.values.length !== measures.length) out.values.length = measures.length
      try {
        return fill(event, out)
      } catch (cause) {
        if (cause instanceof UnsafeIntegerError) out.code = "UNSAFE_INTEGER"
        return "dead"
      }
    },
    apply: (out, accumulators) => {
      for (let at = 0; at < accumulators.length; at++) applyMeasure(accumulators[at]!, out, at)
    }
  }
}
