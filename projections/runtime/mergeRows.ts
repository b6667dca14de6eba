/** The partials of one window and key, one a lane, merged into the row that a single lane would hold. */
import { createAccumulator, decodeAccumulator, mergeAccumulators } from "@tidemark/domain/measures/measure"
import type { Accumulator, MeasureSpec } from "@tidemark/domain/measures/measure"
import type { Row, StoredRow } from "@tidemark/domain/ports/ReadModelStore"

/** One measure of all partials in one accumulator. Throws `MeasureBytesError` when bytes are not canonical. */
export const mergeMeasure = (partials: readonly StoredRow[], index: number, spec: MeasureSpec): Accumulator => {
  let whole: Accumulator | undefined
  for (const { measures } of partials) {
    const bytes = measures[index]
    if (bytes === undefined) continue
    const part = decodeAccumulator(spec, bytes)
    if (whole === undefined) whole = part
    else mergeAccumulators(whole, part)
  }
  return whole ?? createAccumulator(spec)
}

/** What is counted of partials read in one snapshot, summed; the revision too. */
export const mergeCounts = ([first, ...others]: readonly [StoredRow, ...StoredRow[]]): Omit<Row, "measures" | "offsets"> => {
  let { events, lateEvents, backfillEvents, fingerprint, revision } = first
  for (const row of others) {
    events += row.events
    lateEvents += row.lateEvents
    backfillEvents += row.backfillEvents
    fingerprint += row.fingerprint
    revision += row.revision
  }
  const { tenantId, resolution, windowStartMs, keyId, key } = first
  return { tenantId, resolution, windowStartMs, keyId, key, events, lateEvents, backfillEvents, fingerprint: BigInt.asUintN(64, fingerprint), revision }
}

/**
 * Merges partials read in one snapshot; at least one. `specs`: the measures in the definition's order. Throws
 * `MeasureBytesError` when bytes are not canonical.
 */
export const mergeRows = (specs: readonly MeasureSpec[], partials: readonly [StoredRow, ...StoredRow[]]): Row => {
  if (partials.length === 1) return partials[0]
  const offsets = partials.flatMap((row) => row.offsets).sort((a, b) => a.partition - b.partition)
  return { ...mergeCounts(partials), offsets, measures: specs.map((spec, index) => mergeMeasure(partials, index, spec).encode()) }
}
