/** What the stored rows of a window say, over all lanes: counts and measures, to compare and to read. */
import type { ProjectionDefinition } from "@tidemark/domain/definitions/definition"
import { MeasureBytesError } from "@tidemark/domain/measures/encoding"
import { createAccumulator, decodeAccumulator, measureParts, measureScale, mergeAccumulators, readMeasure } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import { digestHex } from "./verifyRows.ts"

/** A measure's canonical bytes as text, and its figures. */
export interface MeasureState {
  readonly bytes: string
  /** Read when somebody asks: most windows are equal by their bytes. */
  readonly figures: () => readonly (readonly [part: string, text: string])[]
}

/** One measure over all partials; undefined when the definition does not have it. */
export const measureOf = ({ measures: specs }: ProjectionDefinition, name: string, rows: readonly StoredRow[]): MeasureState | undefined => {
  const index = Object.keys(specs).indexOf(name)
  const spec = specs[name]
  if (spec === undefined) return undefined
  const stored = rows.flatMap(({ measures }) => measures[index] ?? [])
  const merged = createAccumulator(spec)
  try {
    for (const bytes of stored) mergeAccumulators(merged, decodeAccumulator(spec, bytes))
  } catch (error) {
    // A row that was damaged differs from one that was not; it must not keep the rest from being compared.
    if (!(error instanceof MeasureBytesError)) throw error
    return { bytes: stored.map(digestHex).join(), figures: () => [[name, "unreadable"]] }
  }
  return { bytes: digestHex(merged.encode()), figures: () => figuresOf(name, spec, merged) }
}

/**
 * What two definitions' states of a measure are compared by: canonical bytes where both are encoded alike, figures where
 * the measure has become another one.
 */
export const comparedText = (spec: MeasureSpec | undefined, other: MeasureSpec | undefined, { bytes, figures }: MeasureState): string =>
  spec !== undefined && other !== undefined && spec.kind === other.kind && measureScale(spec) === measureScale(other) ? bytes : JSON.stringify(figures())

/** The measure's parts as text, "" for one without a value. */
export const figuresOf = (name: string, spec: MeasureSpec, state: Accumulator): readonly (readonly [part: string, text: string])[] =>
  measureParts(name, spec).map((part) => {
    const { text, value } = readMeasure(part, name, spec, state)
    return [part, text ?? (value === null ? "" : String(value))] as const
  })

const sum = (rows: readonly StoredRow[], of: (row: StoredRow) => bigint): bigint => rows.reduce((total, row) => total + of(row), 0n)
/** Of the events of all partials. */
export const fingerprint = (rows: readonly StoredRow[]): bigint => BigInt.asUintN(64, sum(rows, (row) => row.fingerprint))

/** Figures of the rows by name, null where there are none. */
export const rowFigures = (definition: ProjectionDefinition, rows: readonly StoredRow[]): Readonly<Record<string, string>> | null =>
  rows.length === 0 ? null : Object.fromEntries([
    ["events", String(sum(rows, ({ events }) => events))], ["lateEvents", String(sum(rows, ({ lateEvents }) => lateEvents))], ["backfillEvents", String(sum(rows, ({ backfillEvents }) => backfillEvents))],
    ...Object.keys(definition.measures).flatMap((name) => measureOf(definition, name, rows)?.figures() ?? [])
  ])

/** What is compared of the rows' counts: events, late, imported, fingerprint. */
export const countsOf = (rows: readonly StoredRow[]): string =>
  [sum(rows, ({ events }) => events), sum(rows, ({ lateEvents }) => lateEvents), sum(rows, ({ backfillEvents }) => backfillEvents), fingerprint(rows)].join()
