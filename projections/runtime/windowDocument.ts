/** The search document of a window and key: its partials merged over all lanes. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { createAccumulator, decodeAccumulator, measureParts, mergeAccumulators, readMeasure } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { GenerationRecord, OffsetRange, Row, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { WindowDocument, WindowModel } from "@tidemark/domain/ports/WindowIndex"
import { rowHashHex } from "./rowDigest.ts"

interface Measure {
  readonly name: string
  readonly spec: MeasureSpec
  readonly parts: readonly string[]
}

/** A generation as its documents need it. */
export interface DocumentModel extends WindowModel {
  readonly measures: readonly Measure[]
}


/** Reads the pinned definition. Throws `RangeError` or `SyntaxError` when this binary cannot. */
export const documentModel = ({ projection, generation, definition }: GenerationRecord, incarnation: string): DocumentModel => {
  const { key, measures } = parseDefinition(definition)
  const named = Object.entries(measures).map(([name, spec]) => ({ name, spec, parts: measureParts(name, spec) }))
  return { projection, generation, incarnation, dimensions: Object.keys(key), figures: named.flatMap(({ parts }) => parts), measures: named }
}

const byPartition = (a: OffsetRange, b: OffsetRange): number => a.partition - b.partition

const merged = (rows: readonly StoredRow[], index: number, spec: MeasureSpec): Accumulator => {
  const accumulator = createAccumulator(spec)
  for (const { measures } of rows) {
    const bytes = measures[index]
    if (bytes !== undefined) mergeAccumulators(accumulator, decodeAccumulator(spec, bytes))
  }
  return accumulator
}

/**
 * Merges the partials of one window and key, all read in one snapshot; at least one. Throws `MeasureBytesError` when
 * bytes are not canonical. The revision is no part of the content hash, and neither is how many lanes there are.
 */
export const windowDocument = (model: DocumentModel, partials: readonly [StoredRow, ...StoredRow[]]): WindowDocument => {
  const [first] = partials
  const { tenantId, resolution, windowStartMs, keyId, key } = first
  const sums = { events: 0n, lateEvents: 0n, backfillEvents: 0n, fingerprint: 0n, revision: 0n }
  const offsets: OffsetRange[] = []
  for (const row of partials) {
    sums.events += row.events
    sums.lateEvents += row.lateEvents
    sums.backfillEvents += row.backfillEvents
    sums.fingerprint += row.fingerprint
    sums.revision += row.revision
    offsets.push(...row.offsets)
  }
  sums.fingerprint = BigInt.asUintN(64, sums.fingerprint)
  const figures: (number | null)[] = []
  const measures = model.measures.map(({ name, spec, parts }, index) => {
    const accumulator = merged(partials, index, spec)
    for (const part of parts) figures.push(readMeasure(part, name, spec, accumulator).value)
    return accumulator.encode()
  })
  const content: Row = { tenantId, resolution, windowStartMs, keyId, key, measures, ...sums, offsets: offsets.sort(byPartition) }
  return { tenantId, resolution, windowStartMs, keyId, key, figures, ...sums, contentHash: rowHashHex(content) }
}
