/** Exact count of events. A number while it is safe, a bigint beyond. */
import { ByteReader, ByteWriter, Tag } from "./encoding.ts"

/** Monoid of counts under addition. Bytes: tag, varint. */
export class Count {
  readonly kind = "count"
  private small = 0
  private big = 0n

  /** Adds `n`, an integer ≥ 0. */
  add(n: number | bigint): void {
    if (typeof n === "number") {
      const sum = this.small + n
      if (sum <= Number.MAX_SAFE_INTEGER) {
        this.small = sum
        return
      }
    }
    this.big += BigInt(n)
  }

  value(): bigint {
    return this.big + BigInt(this.small)
  }

  merge(other: Count): void {
    const { small, big } = other
    this.add(small)
    if (big !== 0n) this.add(big)
  }

  clone(): Count {
    const copy = new Count()
    copy.merge(this)
    return copy
  }

  encode(): Uint8Array {
    const writer = ByteWriter.start()
    writer.byte(Tag.count)
    writer.unsigned(this.big === 0n ? this.small : this.value())
    return writer.finish()
  }

  /** Throws `MeasureBytesError` unless `bytes` came from `encode`. */
  static decode(bytes: Uint8Array): Count {
    const reader = new ByteReader(bytes)
    reader.tag(Tag.count)
    const count = new Count()
    count.add(reader.unsigned())
    reader.end()
    return count
  }
}
