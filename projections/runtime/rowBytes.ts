/**
 * The canonical bytes of a row, over which its hash is taken. Everything big endian:
 *
 * tenant (u32 length, UTF-8) · resolution u8 · window start i64 · number of dimensions u16, each (u32 length, UTF-8) ·
 * events, late events, backfill events, fingerprint u64 · number of offset ranges u16, each partition u32, min u64,
 * max u64 · number of measures u16, each (u32 length, bytes). No revision: it depends on flush boundaries.
 */
import { hashRange, writeUtf8 } from "@tidemark/domain/measures/hash"
import type { Row } from "@tidemark/domain/ports/ReadModelStore"

const FIXED_BYTES = 64
const RANGE_BYTES = 20

/** Writes rows into one buffer that is used again and again. */
export class RowBytes {
  private bytes = new Uint8Array(16_384)
  private view = new DataView(this.bytes.buffer)

  /** 128-bit hash of the row's bytes into `out[0..3]`. */
  hash(row: Row, out: Uint32Array): void {
    const length = this.encode(row)
    hashRange(this.view, 0, length, 0, out)
  }

  /** Length of the row's bytes, which stand in `bytes` until the next call. */
  private encode(row: Row): number {
    const { tenantId, key, offsets, measures } = row
    let length = FIXED_BYTES + 3 * tenantId.length + RANGE_BYTES * offsets.length
    for (const text of key) length += 4 + 3 * text.length
    for (const measure of measures) length += 4 + measure.length
    if (length > this.bytes.length) {
      this.bytes = new Uint8Array(2 * length)
      this.view = new DataView(this.bytes.buffer)
    }
    return this.write(row)
  }

  private write(row: Row): number {
    const { view, bytes } = this
    const { key, offsets, measures } = row
    let at = this.text(row.tenantId, 0)
    view.setUint8(at, row.resolution)
    view.setBigInt64(at + 1, BigInt(row.windowStartMs))
    view.setUint16(at + 9, key.length)
    at += 11
    for (const text of key) at = this.text(text, at)
    view.setBigUint64(at, row.events)
    view.setBigUint64(at + 8, row.lateEvents)
    view.setBigUint64(at + 16, row.backfillEvents)
    view.setBigUint64(at + 24, row.fingerprint)
    view.setUint16(at + 32, offsets.length)
    at += 34
    for (const { partition, min, max } of offsets) {
      view.setUint32(at, partition)
      view.setBigUint64(at + 4, min)
      view.setBigUint64(at + 12, max)
      at += RANGE_BYTES
    }
    view.setUint16(at, measures.length)
    at += 2
    for (const measure of measures) {
      view.setUint32(at, measure.length)
      bytes.set(measure, at + 4)
      at += 4 + measure.length
    }
    return at
  }

  private text(text: string, at: number): number {
    const length = writeUtf8(text, this.bytes, at + 4)
    this.view.setUint32(at, length)
    return at + 4 + length
  }
}
