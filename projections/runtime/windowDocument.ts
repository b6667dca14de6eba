/** The search document of a window and key: its partials merged over all lanes. */
import { parseDefinition } from "@tidemark/domain/definitions/definition"
import { hashHex, writeUtf8 } from "@tidemark/domain/measures/hash"
import { readMeasure } from "@tidemark/domain/measures/measure"
import type { MeasureSpec } from "@tidemark/domain/measures/measure"
import type { GenerationRecord, StoredRow } from "@tidemark/domain/ports/ReadModelStore"
import type { WindowDocument, WindowModel } from "@tidemark/domain/ports/WindowIndex"
import { mergeCounts, mergeMeasure } from "./mergeRows.ts"

/** A measure that counts, and its place in the definition. */
interface Measure {
  readonly name: string
  readonly spec: MeasureSpec
  readonly index: number
}

/** A generation as its documents need it. */
export interface DocumentModel extends WindowModel {
  readonly retentionDays: number | undefined
  readonly counts: readonly Measure[]
}

/** Reads the pinned definition. Throws `RangeError` or `SyntaxError` when this binary cannot. */
export const documentModel = ({ projection, generation, definition }: GenerationRecord, incarnation: string): DocumentModel => {
  const { key, measures, retentionDays } = parseDefinition(definition)
  // Of other measures a document proves nothing: they do not add up, or may fall. Answers merge them from the store's rows.
  const counts = Object.entries(measures).flatMap(([name, spec], index) => (spec.kind === "count" ? [{ name, spec, index }] : []))
  return { projection, generation, incarnation, retentionDays, dimensions: Object.keys(key), figures: counts.map(({ name }) => name), counts }
}

/** Where contents are put together to be hashed; grows to the longest. */
let scratch = new Uint8Array(4_096)

/**
 * Of what the partials hold, in the order of their lanes. Revisions never fall in any lane, so the sum of them stands for
 * one state of each: equal sums with different hashes are two histories.
 */
const contentHash = (partials: readonly StoredRow[], numbers: readonly bigint[]): string => {
  const head = numbers.join(" ")
  let length = head.length * 3
  for (const { measures } of partials) for (const bytes of measures) length += bytes.length
  if (length > scratch.length) scratch = new Uint8Array(length * 2)
  let at = writeUtf8(head, scratch, 0)
  for (const { measures } of partials) {
    for (const bytes of measures) {
      scratch.set(bytes, at)
      at += bytes.length
    }
  }
  return hashHex(scratch.subarray(0, at), 0)
}

/**
 * Merges the partials of one window and key, all read in one snapshot, in the order of their lanes; at least one. Throws `MeasureBytesError` when
 * bytes are not canonical. The revision is no part of the content hash.
 */
export const windowDocument = (model: DocumentModel, partials: readonly [StoredRow, ...StoredRow[]]): WindowDocument => {
  const { events, lateEvents, backfillEvents, fingerprint, revision, tenantId, resolution, windowStartMs, keyId, key } = mergeCounts(partials)
  const figures = model.counts.map(({ name, spec, index }) => readMeasure(name, name, spec, mergeMeasure(partials, index, spec)).value ?? 0)
  const hash = contentHash(partials, [events, lateEvents, backfillEvents, fingerprint])
  return { tenantId, resolution, windowStartMs, keyId, key, figures, events, lateEvents, backfillEvents, fingerprint, revision, contentHash: hash }
}
