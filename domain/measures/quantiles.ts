/**
 * Distribution of a decimal: DDSketch at 1 % relative error, with exact sum, count, min and max.
 *
 * Buckets never collapse, so the state is a pure function of the multiset of values. Bucket bounds
 * come from repeated multiplication, which IEEE 754 defines to the last bit; `Math.log` only guesses
 * where to look, so no engine's logarithm can change a byte.
 */
import type { Scaled } from "./decimal.ts"
import { divideHalfEven, powerOfTen, scaleRounded } from "./decimal.ts"
import { ByteReader, ByteWriter, MeasureBytesError, Tag } from "./encoding.ts"

/** Largest relative error of a quantile. */
export const RELATIVE_ACCURACY = 0.01
/** Values nearer to zero than this count as zero in the sketch (not in sum, min and max). */
export const ZERO_BELOW = 1e-9
/** Values beyond ± this count as ± this in the sketch (not in sum, min and max). */
export const CLAMP_AT = 1e12

const GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
const PER_LOG = 1 / Math.log(GAMMA)
/** Index of the bucket that holds 10^-9; bucket i is (γ^(i−1), γ^i]. */
const INDEX_MIN = -1_036
/** Index of the bucket that holds 10^12. */
const INDEX_MAX = 1_382
/** Added to a bucket's index to make its key ≥ 1, so that keys sort like values: negative, 0, positive. */
const KEY_OFFSET = 1 - INDEX_MIN
const KEY_MAX = INDEX_MAX + KEY_OFFSET

/** BOUNDS[key] = γ^(key − KEY_OFFSET), the upper bound of the bucket. BOUNDS[0] is the lowest lower bound. */
const BOUNDS = ((): Float64Array => {
  const bounds = new Float64Array(KEY_MAX + 1)
  bounds[KEY_OFFSET] = 1
  for (let key = KEY_OFFSET + 1; key <= KEY_MAX; key++) bounds[key] = bounds[key - 1]! * GAMMA
  for (let key = KEY_OFFSET - 1; key >= 0; key--) bounds[key] = bounds[key + 1]! / GAMMA
  return bounds
})()

/** Key of the bucket of `magnitude`, which is ≥ `ZERO_BELOW`. */
const keyOf = (magnitude: number): number => {
  if (magnitude >= CLAMP_AT) return KEY_MAX
  let key = Math.ceil(Math.log(magnitude) * PER_LOG) + KEY_OFFSET
  while (BOUNDS[key - 1]! >= magnitude) key--
  while (BOUNDS[key]! < magnitude) key++
  return key
}

/** The value within 1 % of everything in the bucket. */
const bucketValue = (key: number): number => (2 * BOUNDS[key]!) / (GAMMA + 1)

/** `value` in the measure's unit; the true quantile is within ± `errorBound` of it. */
export interface QuantileEstimate {
  readonly value: number
  readonly errorBound: number
}

/**
 * Monoid of multisets under union. Bytes: tag, count and, unless it is 0, sum, min, max, number of
 * buckets, then per bucket in key order the key (first signed, then the gap) and its count.
 */
export class Quantiles {
  readonly kind = "quantiles"
  /** Digits after the point to which values are rounded before they are added. */
  readonly scale: number
  /**
   * Number, sum and extremes of the values, held here and not in accumulators of their own: there is a `Quantiles` for
   * each key of each window, and four objects more in it were a quarter of what a fold kept alive until its flush.
   */
  private added = 0
  private sumSmall = 0
  private sumBig = 0n
  private least: Scaled | null = null
  private most: Scaled | null = null
  /** Bucket keys, rising; 0 is the zero bucket, −key the mirror image of key. */
  private keys: number[] = []
  /** Values in the bucket of the same place in `keys`. */
  private values: number[] = []
  private readonly power: number

  constructor(scale: number) {
    this.scale = scale
    this.power = powerOfTen(scale)
  }

  /** Adds `x` rounded half to even to the scale. Throws `RangeError` unless |x| ≤ 2^53 − 1. */
  add(x: number): void {
    const scaled = scaleRounded(x, this.scale)
    if (typeof scaled === "string") throw new RangeError(`${x} is no decimal: ${scaled}`)
    this.addScaled(scaled)
  }

  /** Adds `scaled` × 10^-scale. A number must be a safe integer. */
  addScaled(scaled: Scaled): void {
    this.added += 1
    this.addToSum(scaled)
    this.widen(scaled, scaled)
    const x = Number(scaled) / this.power
    const magnitude = Math.abs(x)
    const key = magnitude < ZERO_BELOW ? 0 : x < 0 ? -keyOf(magnitude) : keyOf(magnitude)
    this.addToBucket(key, 1)
  }

  private addToSum(scaled: Scaled): void {
    const sum = typeof scaled === "number" ? this.sumSmall + scaled : NaN
    if (sum <= Number.MAX_SAFE_INTEGER && sum >= -Number.MAX_SAFE_INTEGER) this.sumSmall = sum
    else this.sumBig += BigInt(scaled)
  }

  private widen(least: Scaled, most: Scaled): void {
    if (this.least === null || least < this.least) this.least = least
    if (this.most === null || most > this.most) this.most = most
  }

  private addToBucket(key: number, added: number): void {
    const { keys, values } = this
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (keys[middle]! < key) low = middle + 1
      else high = middle
    }
    if (keys[low] === key) {
      values[low]! += added
      return
    }
    keys.push(key)
    values.push(added)
    for (let at = keys.length - 1; at > low; at--) {
      keys[at] = keys[at - 1]!
      values[at] = values[at - 1]!
    }
    keys[low] = key
    values[low] = added
  }

  /**
   * The value of nearest rank ⌈q × count⌉ (at least 1), for 0 ≤ q ≤ 1 in steps of 10^-6; null when
   * empty. Never outside min and max.
   */
  quantile(q: number): QuantileEstimate | null {
    const { least, most } = this
    if (least === null || most === null) return null
    const rank = (BigInt(Math.round(q * 1e6)) * BigInt(this.added) + 999_999n) / 1_000_000n
    const key = this.keyAtRank(rank < 1n ? 1 : Number(rank))
    const low = Number(least) / this.power
    const high = Number(most) / this.power
    const middle = key === 0 ? 0 : key > 0 ? bucketValue(key) : -bucketValue(-key)
    const value = Math.min(Math.max(middle, low), high)
    return { value, errorBound: errorBoundOf(key, value, low, high) }
  }

  /** Number of values. */
  count(): bigint {
    return BigInt(this.added)
  }

  /** Sum of the values × 10^scale. */
  sum(): bigint {
    return this.sumBig + BigInt(this.sumSmall)
  }

  /** The smallest value × 10^scale; null when empty. */
  min(): bigint | null {
    return this.least === null ? null : BigInt(this.least)
  }

  /** The largest value × 10^scale; null when empty. */
  max(): bigint | null {
    return this.most === null ? null : BigInt(this.most)
  }

  /** Exact average × 10^scale, rounded half to even; null when empty. */
  averageScaled(): bigint | null {
    return this.added === 0 ? null : divideHalfEven(this.sum(), BigInt(this.added))
  }

  /** Throws `RangeError` when the scales differ. */
  merge(other: Quantiles): void {
    if (other.scale !== this.scale) throw new RangeError(`cannot merge scale ${other.scale} into ${this.scale}`)
    const { least, most, added, sumSmall, sumBig } = other
    if (least === null || most === null) return
    this.added += added
    this.addToSum(sumSmall)
    if (sumBig !== 0n) this.sumBig += sumBig
    this.widen(least, most)
    this.mergeBuckets(other)
  }

  /** Few into many one by one, else both lists in order; in place, since most keys are there already. */
  private mergeBuckets(other: Quantiles): void {
    if (other.keys.length * 8 < this.keys.length) {
      for (let at = 0; at < other.keys.length; at++) this.addToBucket(other.keys[at]!, other.values[at]!)
      return
    }
    const fresh = this.addToKnown(other)
    if (fresh > 0) this.insertFresh(other, fresh)
  }

  /** Adds the buckets whose keys are there; answers how many are not. */
  private addToKnown(other: Quantiles): number {
    const { keys, values } = this
    let ours = 0
    let fresh = 0
    for (let theirs = 0; theirs < other.keys.length; theirs++) {
      const key = other.keys[theirs]!
      while (ours < keys.length && keys[ours]! < key) ours++
      if (keys[ours] === key) values[ours]! += other.values[theirs]!
      else fresh++
    }
    return fresh
  }

  /** Inserts the buckets whose keys are not there, `fresh` of them, from the last on. */
  private insertFresh(other: Quantiles, fresh: number): void {
    const { keys, values } = this
    let ours = keys.length - 1
    let theirs = other.keys.length - 1
    for (let i = 0; i < fresh; i++) {
      keys.push(0)
      values.push(0)
    }
    for (let [at, left] = [keys.length - 1, fresh]; left > 0; at--) {
      const our = ours < 0 ? -Infinity : keys[ours]!
      const their = other.keys[theirs]!
      if (our < their) {
        keys[at] = their
        values[at] = other.values[theirs--]!
        left--
        continue
      }
      keys[at] = our
      values[at] = values[ours--]!
      if (our === their) theirs--
    }
  }

  clone(): Quantiles {
    const copy = new Quantiles(this.scale)
    copy.added = this.added
    copy.sumSmall = this.sumSmall
    copy.sumBig = this.sumBig
    copy.least = this.least
    copy.most = this.most
    copy.keys = this.keys.slice()
    copy.values = this.values.slice()
    return copy
  }

  encode(): Uint8Array {
    const writer = ByteWriter.start()
    writer.byte(Tag.quantiles)
    writer.unsigned(this.added)
    const { keys, values, least, most } = this
    if (least === null || most === null) return writer.finish()
    writer.signed(this.sumBig === 0n ? this.sumSmall : this.sum())
    writer.signed(least)
    writer.signed(most)
    writer.unsigned(keys.length)
    for (let at = 0; at < keys.length; at++) {
      if (at === 0) writer.signed(keys[at]!)
      else writer.unsigned(keys[at]! - keys[at - 1]!)
      writer.unsigned(values[at]!)
    }
    return writer.finish()
  }

  /** Throws `MeasureBytesError` unless `bytes` came from `encode` at the same scale. */
  static decode(bytes: Uint8Array, scale: number): Quantiles {
    const reader = new ByteReader(bytes)
    reader.tag(Tag.quantiles)
    const quantiles = new Quantiles(scale)
    const count = reader.safeUnsigned()
    if (count !== 0) {
      quantiles.added = count
      quantiles.addToSum(reader.signed())
      quantiles.least = reader.signed()
      quantiles.most = reader.signed()
      if (quantiles.readBuckets(reader) !== count) throw new MeasureBytesError({ reason: "bucket counts differ from count" })
    }
    reader.end()
    return quantiles
  }

  /** Returns the number of values in all buckets. */
  private readBuckets(reader: ByteReader): number {
    let key = 0
    let total = 0
    const size = reader.safeUnsigned()
    for (let i = 0; i < size; i++) {
      const step = i === 0 ? Number(reader.signed()) : reader.safeUnsigned()
      const values = reader.safeUnsigned()
      key += step
      if (Math.abs(key) > KEY_MAX || (i > 0 && step === 0) || values === 0) throw new MeasureBytesError({ reason: "bucket" })
      this.keys.push(key)
      this.values.push(values)
      total += values
    }
    return total
  }

  private keyAtRank(rank: number): number {
    let seen = 0
    let last = 0
    for (const [at, key] of this.keys.entries()) {
      seen += this.values[at]!
      last = key
      if (seen >= rank) break
    }
    return last
  }
}

/**
 * Half-width of the interval that surely holds the true quantile: 1 % of the true value is
 * 1 / (1 − 1 %) as much of the estimate; zero bucket and clamped values have bounds of their own.
 */
const errorBoundOf = (key: number, value: number, low: number, high: number): number => {
  if (low === high) return 0
  if (key === 0) return Math.min(ZERO_BELOW, Math.max(-low, high))
  const relative = (Math.abs(value) * RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
  if (key === KEY_MAX) return Math.max(relative, high - value)
  if (key === -KEY_MAX) return Math.max(relative, value - low)
  return relative
}
