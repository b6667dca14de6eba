/**
 * Bytes of accumulators: a tag that names the form, then varints. Every value has exactly one
 * encoding: varints are minimal (LEB128), a signed integer carries its sign in the lowest bit.
 * Readers refuse anything else, so equal state and equal bytes mean the same thing.
 */
import * as Schema from "effect/Schema"

/** Stored bytes are not the canonical form of the accumulator asked for. Never retry: the store is damaged. */
export class MeasureBytesError extends Schema.TaggedError<MeasureBytesError>()("MeasureBytesError", {
  reason: Schema.String
}) {}

/** First byte of each canonical form. Part of the stored format: never reuse a number. */
export const Tag = {
  count: 1,
  sum: 2,
  min: 3,
  max: 4,
  uniquesSet: 5,
  uniquesSparse: 6,
  uniquesDense: 7,
  quantiles: 8
} as const

/** Memory that encodings are cut from: a typed array of more than 64 bytes of its own takes 1 µs to make, a piece of a slab a tenth of it. */
const SLAB_BYTES = 65_536
/** Larger encodings have memory of their own, so that little of a slab is kept alive by one of them. */
const PIECE_BYTES_MAX = 4_096
let slab = new Uint8Array(0)
let slabUsed = 0

/** Bytes that nobody else holds; not cleared, so every one of them has to be written. They may be part of a larger buffer. */
export const freshBytes = (length: number): Uint8Array => {
  if (length > PIECE_BYTES_MAX) return new Uint8Array(length)
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(SLAB_BYTES)
    slabUsed = 0
  }
  const piece = slab.subarray(slabUsed, slabUsed + length)
  slabUsed += length
  return piece
}

/** A byte buffer that grows while written to. */
export class ByteWriter {
  private static readonly shared = new ByteWriter()
  private bytes = new Uint8Array(1_024)
  private length = 0

  /** The one writer there is, empty. Whoever starts it finishes it before anybody else can start it: no value's encoding runs within another's. */
  static start(): ByteWriter {
    const { shared } = ByteWriter
    shared.length = 0
    return shared
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.grow()
    this.bytes[this.length++] = value
  }

  /** An integer ≥ 0. */
  unsigned(value: number | bigint): void {
    if (value <= 0x7f) {
      this.byte(Number(value))
      return
    }
    if (typeof value === "bigint") {
      let big = value
      while (big > 0x7fffffffn) {
        this.byte(Number(big & 0x7fn) | 0x80)
        big >>= 7n
      }
      this.unsigned(Number(big))
      return
    }
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.byte(rest)
  }

  /** Any integer, zigzag: 0, −1, 1, −2 … become 0, 1, 2, 3 … */
  signed(value: number | bigint): void {
    if (typeof value === "number" && Math.abs(value) < 2 ** 51) {
      this.unsigned(value < 0 ? -2 * value - 1 : 2 * value)
      return
    }
    const big = BigInt(value)
    this.unsigned(big < 0n ? -2n * big - 1n : 2n * big)
  }

  finish(): Uint8Array {
    const { bytes, length } = this
    const finished = freshBytes(length)
    for (let at = 0; at < length; at++) finished[at] = bytes[at]!
    return finished
  }

  private grow(): void {
    const larger = new Uint8Array(this.bytes.length * 2)
    larger.set(this.bytes)
    this.bytes = larger
  }
}

/** Reads what `ByteWriter` wrote. Every method throws `MeasureBytesError` on other bytes. */
export class ByteReader {
  private at = 0
  private readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  byte(): number {
    const value = this.bytes[this.at]
    if (value === undefined) throw new MeasureBytesError({ reason: "bytes end early" })
    this.at++
    return value
  }

  tag(expected: number): void {
    const found = this.byte()
    if (found !== expected) throw new MeasureBytesError({ reason: `tag ${found} where ${expected} was expected` })
  }

  /** An integer ≥ 0: a number when it is safe, else a bigint. */
  unsigned(): number | bigint {
    let value = 0
    let factor = 1
    for (let i = 0; i < 7; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (byte === 0 && i > 0) throw new MeasureBytesError({ reason: "varint is not minimal" })
        return value
      }
      factor *= 128
    }
    return this.unsignedBeyond(BigInt(value))
  }

  signed(): number | bigint {
    const zigzag = this.unsigned()
    if (typeof zigzag === "number") return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
    return narrowed((zigzag & 1n) === 0n ? zigzag >> 1n : -((zigzag + 1n) >> 1n))
  }

  /** An integer ≥ 0 that must be safe. */
  safeUnsigned(): number {
    const value = this.unsigned()
    if (typeof value === "bigint") throw new MeasureBytesError({ reason: "integer beyond 2^53 − 1" })
    return value
  }

  atEnd(): boolean {
    return this.at === this.bytes.length
  }

  end(): void {
    if (!this.atEnd()) throw new MeasureBytesError({ reason: "bytes after the end" })
  }

  private unsignedBeyond(low: bigint): number | bigint {
    let value = low
    let shift = 49n
    for (;;) {
      const byte = this.byte()
      value += BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0) throw new MeasureBytesError({ reason: "varint is not minimal" })
        return narrowed(value)
      }
      shift += 7n
    }
  }
}

const narrowed = (value: bigint): number | bigint =>
  value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value
