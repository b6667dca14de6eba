/** Smallest or largest decimal seen, as an integer count of 10^-scale. */
import type { Scaled } from "./decimal.ts"
import { ByteReader, ByteWriter, Tag } from "./encoding.ts"

/** Monoid of min or max; no value is the identity. Bytes: tag, then a signed varint if there is a value. */
export class Extreme {
  readonly kind: "min" | "max"
  private extreme: Scaled | null = null

  constructor(kind: "min" | "max") {
    this.kind = kind
  }

  /** Takes `scaled` × 10^-scale into account. A number must be a safe integer. */
  addScaled(scaled: Scaled): void {
    const current = this.extreme
    if (current === null || (this.kind === "max" ? scaled > current : scaled < current)) this.extreme = scaled
  }

  /** The extreme × 10^scale; null when nothing was added. */
  value(): bigint | null {
    return this.extreme === null ? null : BigInt(this.extreme)
  }

  /** Throws `RangeError` when a min meets a max. */
  merge(other: Extreme): void {
    if (other.kind !== this.kind) throw new RangeError(`cannot merge ${other.kind} into ${this.kind}`)
    if (other.extreme !== null) this.addScaled(other.extreme)
  }

  clone(): Extreme {
    const copy = new Extreme(this.kind)
    copy.extreme = this.extreme
    return copy
  }

  encode(): Uint8Array {
    const writer = ByteWriter.start()
    writer.byte(Tag[this.kind])
    if (this.extreme !== null) writer.signed(this.extreme)
    return writer.finish()
  }

  /** Throws `MeasureBytesError` unless `bytes` came from `encode` of the same kind. */
  static decode(bytes: Uint8Array, kind: "min" | "max"): Extreme {
    const reader = new ByteReader(bytes)
    reader.tag(Tag[kind])
    const extreme = new Extreme(kind)
    if (!reader.atEnd()) extreme.extreme = reader.signed()
    reader.end()
    return extreme
  }
}
