/** Figures of canonical measure bytes that fit a typed column: what BI tools add up without knowing the bytes. */
import { formatDecimal } from "@tidemark/domain/measures/decimal"
import { ByteReader, Tag } from "@tidemark/domain/measures/encoding"
import type { MeasureColumns } from "./columns.ts"

/** A count is a bigint; a decimal is a text, null when nothing was added. */
export type Figure = bigint | string | null

const text = (scaled: number | bigint, scale: number): string => formatDecimal(BigInt(scaled), scale)

/** One figure per part column, in order. Throws `MeasureBytesError` when the bytes are not this measure's. */
export const figuresOf = ({ kind, scale }: MeasureColumns, bytes: Uint8Array): readonly Figure[] => {
  if (kind === "uniques") return []
  const reader = new ByteReader(bytes)
  reader.tag(Tag[kind])
  if (kind === "count") return [BigInt(reader.unsigned())]
  if (kind === "sum") return [text(reader.signed(), scale)]
  if (kind === "quantiles") {
    const count = BigInt(reader.unsigned())
    if (count === 0n) return [0n, "0", null, null]
    return [count, text(reader.signed(), scale), text(reader.signed(), scale), text(reader.signed(), scale)]
  }
  return [reader.atEnd() ? null : text(reader.signed(), scale)]
}
