/** Exact sum of decimals, as an integer count of 10^-scale. The scale belongs to the measure, not to the bytes. */
import type { Scaled } from "./decimal.ts"
import { ByteReader, ByteWriter, Tag } from "./encoding.ts"

/** Monoid of scaled decimals under addition. Bytes: tag, signed varint. */
export class DecimalSum {
  readonly kind = "sum"
  private small = 0
  private big = 0n

  /** Adds `scaled` × 10^-scale. A number must be a safe integer. */
  addScaled(scaled: Scaled): void {
    if (typeof scaled === "number") this.addScaledNumber(scaled)
    else this.big += scaled
  }

  /** `addScaled` for a safe integer: no bigint is made while the running sum is safe too. */
  addScaledNumber(scaled: number): void {
    const sum = this.small + scaled
    if (sum <= Number.MAX_SAFE_INTEGER && sum >= -Number.MAX_SAFE_INTEGER) this.small = sum
    else this.big += BigInt(scaled)
  }

  /** The sum × 10^scale. */
  value(): bigint {
    return this.big + BigInt(this.small)
  }

  merge(other: DecimalSum): void {
    const { small, big } = other
    this.addScaledNumber(small)
    if (big !== 0n) this.big += big
  }

  clone(): DecimalSum {
    const copy = new DecimalSum()
    copy.merge(this)
    return copy
  }

  encode(): Uint8Array {
    const writer = ByteWriter.start()
    writer.byte(Tag.sum)
    writer.signed(this.big === 0n ? this.small : this.value())
    return writer.finish()
  }

  /** Throws `MeasureBytesError` unless `bytes` came from `encode`. */
  static decode(bytes: Uint8Array): DecimalSum {
    const reader = new ByteReader(bytes)
    reader.tag(Tag.sum)
    const sum = new DecimalSum()
    sum.addScaled(reader.signed())
    reader.end()
    return sum
  }
}
