/**
 * Kafka's record batches (magic 2) as packed records.
 *
 * Own code instead of the client's decoder, because the fold wants bytes and ends, not an object per record, and
 * because a reader that must never skip needs what the decoder leaves out: the checksum, control batches, and
 * records that are missing between a batch's first and last offset. Records that are not compressed are packed where
 * they lie: the response is this reader's own, and packed they end before they began.
 */
import { compressionsAlgorithmsByBitmask, crc32c } from "@platformatic/kafka"
import { LogCorruptError } from "@tidemark/domain/ports/EventLog"

const LENGTH_AT = 8
const MAGIC_AT = 16
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const COUNT_AT = 57
const RECORDS_AT = 61
/** Bytes of a batch that its length does not count. */
const HEAD_BYTES = 12
const MAGIC = 2
const COMPRESSION_MASK = 0b111
const CONTROL_MASK = 0b10_0000

export interface PackedRecords {
  readonly bytes: Uint8Array
  readonly ends: Uint32Array
  readonly batches: number
  /** Where records are missing: the offset that would come next, and one from which on some may follow. */
  readonly gap?: { readonly wanted: bigint; readonly found: bigint }
}

interface Batch {
  readonly firstOffset: bigint
  /** Of the last record, from the header: holds for control batches and after compaction too. */
  readonly endOffset: bigint
  readonly control: boolean
  readonly count: number
  readonly records: Buffer
  /** Where `records` lie in the response; undefined when they were compressed. */
  readonly at: number | undefined
}

interface Packing {
  readonly partition: number
  /** The response, packed where it lies, until a compressed batch is met. */
  bytes: Buffer
  inPlace: boolean
  used: number
  ends: Uint32Array
  count: number
  /** Offset of the next record to keep. */
  next: bigint
}

const corrupt = (partition: number, offset: bigint, detail: string) => new LogCorruptError({ partition, offset, detail })

const recordsOf = (partition: number, firstOffset: bigint, attributes: number, stored: Buffer): Buffer => {
  const codec = attributes & COMPRESSION_MASK
  if (codec === 0) return stored
  try {
    const algorithm = compressionsAlgorithmsByBitmask[codec]
    if (algorithm === undefined) throw new Error("no such codec")
    return algorithm.decompressSync(stored)
  } catch (error) {
    throw corrupt(partition, firstOffset, `compressed with codec ${codec}, which cannot be undone here: ${(error as Error).message}`)
  }
}

/** The batch at `at`, or undefined when the response ends inside it. */
const batchAt = (partition: number, data: Buffer, at: number): { readonly batch: Batch; readonly after: number } | undefined => {
  if (data.length - at < RECORDS_AT) return undefined
  const after = at + HEAD_BYTES + data.readInt32BE(at + LENGTH_AT)
  if (after > data.length) return undefined
  const firstOffset = data.readBigInt64BE(at)
  if (data[at + MAGIC_AT] !== MAGIC) throw corrupt(partition, firstOffset, `batch format ${data[at + MAGIC_AT]} is not ${MAGIC}`)
  if (crc32c(data.subarray(at + ATTRIBUTES_AT, after)) !== data.readUInt32BE(at + CRC_AT)) throw corrupt(partition, firstOffset, "checksum differs")
  const attributes = data.readInt16BE(at + ATTRIBUTES_AT)
  const endOffset = firstOffset + BigInt(data.readInt32BE(at + ATTRIBUTES_AT + 2)) + 1n
  const control = (attributes & CONTROL_MASK) !== 0
  const stored = data.subarray(at + RECORDS_AT, after)
  const records = control ? Buffer.alloc(0) : recordsOf(partition, firstOffset, attributes, stored)
  return { batch: { firstOffset, endOffset, control, count: data.readInt32BE(at + COUNT_AT), records, at: records === stored ? at + RECORDS_AT : undefined }, after }
}

const room = (packing: Packing, { at, count: records, records: { length: bytes } }: Batch): void => {
  const leavesPlace = packing.inPlace && at === undefined
  if (leavesPlace || packing.used + bytes > packing.bytes.length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(packing.bytes.length * 2, packing.used + bytes))
    packing.bytes.copy(larger, 0, 0, packing.used)
    packing.bytes = larger
    packing.inPlace = false
  }
  if (packing.count + records > packing.ends.length) {
    const larger = new Uint32Array(Math.max(packing.ends.length * 2, packing.count + records))
    larger.set(packing.ends)
    packing.ends = larger
  }
}

let cursor = 0

/** Zigzag varint at `cursor`, which moves past it. Lengths, offset deltas: 32 bits. */
const readVarint = (data: Buffer): number => {
  let shift = 0
  let value = 0
  for (;;) {
    const byte = data[cursor++]
    if (byte === undefined || shift > 28) throw new RangeError("a number does not end")
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    shift += 7
  }
}

/** Moves `cursor` past a varint of any length. */
const skipVarint = (data: Buffer): void => {
  while ((data[cursor++] ?? 0) >= 0x80);
}

/** Adds the batch's records from the `skip`th on, up to the first hole; answers how many offsets are covered then. */
const pack = (packing: Packing, batch: Batch, skip: number): number => {
  const { partition } = packing
  const { firstOffset, count, records, at = 0 } = batch
  room(packing, batch)
  let expected = skip
  cursor = 0
  for (let i = 0; i < count; i++) {
    const length = readVarint(records)
    const after = cursor + length
    if (length < 0 || after > records.length) throw corrupt(partition, firstOffset, "a record reaches beyond its batch")
    cursor += 1
    skipVarint(records)
    const delta = readVarint(records)
    if (delta >= skip) {
      if (delta !== expected) return expected
      const keyLength = readVarint(records)
      if (keyLength > 0) cursor += keyLength
      const valueLength = readVarint(records)
      if (cursor + Math.max(valueLength, 0) > after) throw corrupt(partition, firstOffset, "a value reaches beyond its record")
      if (valueLength > 0) {
        if (packing.inPlace) packing.bytes.copyWithin(packing.used, at + cursor, at + cursor + valueLength)
        else records.copy(packing.bytes, packing.used, cursor, cursor + valueLength)
        packing.used += valueLength
      }
      packing.ends[packing.count++] = packing.used
      expected += 1
    }
    cursor = after
  }
  return expected
}

/** Packs one batch; answers the end of a hole in it. */
const packBatch = (packing: Packing, batch: Batch): bigint | undefined => {
  const { firstOffset, endOffset } = batch
  if (firstOffset > packing.next) return firstOffset
  if (batch.control) return endOffset
  try {
    packing.next = firstOffset + BigInt(pack(packing, batch, Number(packing.next - firstOffset)))
  } catch (error) {
    throw error instanceof RangeError ? corrupt(packing.partition, firstOffset, error.message) : error
  }
  return packing.next < endOffset ? endOffset : undefined
}

/**
 * The records of a fetch response from offset `from` on, in order and without a hole; stops at the first hole.
 *
 * Throws `LogCorruptError`. A batch that the response cuts off at its end is left for the next fetch. `data` is used up:
 * the answer may lie in it.
 */
export const packRecords = (partition: number, data: Buffer, from: bigint): PackedRecords => {
  const packing: Packing = { partition, bytes: data, inPlace: true, used: 0, ends: new Uint32Array(1024), count: 0, next: from }
  let batches = 0
  let found: bigint | undefined
  for (let at = 0; found === undefined;) {
    const read = batchAt(partition, data, at)
    if (read === undefined) break
    at = read.after
    const { batch } = read
    // The broker sends whole batches: the first may begin, or even end, below the wanted offset.
    if (batch.endOffset <= packing.next) continue
    found = packBatch(packing, batch)
    batches += 1
  }
  const packed = { bytes: packing.bytes.subarray(0, packing.used), ends: packing.ends.subarray(0, packing.count), batches }
  return found === undefined ? packed : { ...packed, gap: { wanted: packing.next, found } }
}
