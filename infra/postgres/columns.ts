/**
 * Columns of a generation's table, from its definition.
 *
 * Names are the customer's, as far as they are free and short enough; the layout is stored with the generation, so any
 * binary finds them again without deriving them.
 */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { measureScale } from "@tidemark/domain/measures/measure"
import type { MeasureSpec } from "@tidemark/domain/measures/measure"
import { IDENTIFIER_BYTES_MAX } from "./sqlText.ts"

/** How partials of a typed column merge. */
export type Additive = "count" | "sum" | "min" | "max"

export interface PartColumn {
  readonly column: string
  readonly additive: Additive
}

export interface MeasureColumns {
  readonly name: string
  readonly kind: MeasureSpec["kind"]
  /** Digits after the point. */
  readonly scale: number
  /** The canonical bytes, from which partials are merged. */
  readonly state: string
  /** Typed figures for BI tools. */
  readonly parts: readonly PartColumn[]
}

export interface TableLayout {
  readonly table: string
  /** Length of the base window. */
  readonly windowMs: number
  /** One column per dimension, in the definition's order. */
  readonly dimensions: readonly string[]
  /** In the definition's order. */
  readonly measures: readonly MeasureColumns[]
}

/** Columns every table has, columns of Postgres itself, and those that only the view has. */
const TAKEN = [
  "tenant_id", "resolution", "window_start", "key_id", "lane", "events", "late_events", "backfill_events", "fingerprint", "offset_ranges", "revision",
  "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"
]
const QUANTILE_PARTS: readonly Additive[] = ["count", "sum", "min", "max"]
/** Leaves room for suffixes of ledgers, indexes and generation numbers. */
const STEM_MAX = 36

const makeNamer = () => {
  const taken = new Set(TAKEN)
  return (wanted: string): string => {
    let name = wanted.slice(0, IDENTIFIER_BYTES_MAX)
    for (let n = 2; taken.has(name); n++) name = `${wanted.slice(0, IDENTIFIER_BYTES_MAX - 4)}_${n}`
    taken.add(name)
    return name
  }
}

const partsOf = (name: string, kind: MeasureSpec["kind"], nameColumn: (wanted: string) => string): PartColumn[] => {
  if (kind === "uniques") return []
  if (kind === "quantiles") return QUANTILE_PARTS.map((additive) => ({ column: nameColumn(`${name}_${additive}`), additive }))
  return [{ column: nameColumn(name), additive: kind }]
}

/** FNV-1a of the name, 8 hex characters: tells long names with one beginning apart. */
const shortHash = (name: string): string => {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, "0")
}

/** The projection's name as part of table names: dashes become underscores, a long name is cut and gets a hash. */
export const projectionStem = (projection: string): string => {
  const stem = projection.replaceAll("-", "_")
  return stem.length <= STEM_MAX && /^[a-z][a-z0-9_]*$/.test(stem) && !projection.includes("_") ? stem : `${stem.replace(/[^a-z0-9_]/g, "_").slice(0, STEM_MAX - 9)}_${shortHash(projection)}`
}

/** Table of a generation. */
export const generationTable = (projection: string, generation: number): string => `${projectionStem(projection)}_g${generation}`

/** Layout of a new generation. Throws `RangeError` or `SyntaxError` when the text is no definition. */
export const layoutOf = (projection: string, generation: number, definitionJson: string): TableLayout => {
  const definition = parseDefinition(definitionJson)
  const nameColumn = makeNamer()
  const dimensions = Object.keys(definition.key).map(nameColumn)
  const measures = Object.entries(definition.measures).map(([name, spec]) => ({
    name, kind: spec.kind, scale: measureScale(spec), parts: partsOf(name, spec.kind, nameColumn), state: nameColumn(`${name}_state`)
  }))
  return { table: generationTable(projection, generation), windowMs: definition.window.sizeMs, dimensions, measures }
}
