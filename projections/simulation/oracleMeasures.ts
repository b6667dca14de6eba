/**
 * The oracle's own numbers: decimals as bigints, sets as sets, buckets found by walking along their bounds, and the
 * canonical bytes of each. Rules: docs/semantics.md §5. Shares no code with the measures it checks.
 */
import { oracleHash64 } from "./oracleHash.ts"

/** An event that cannot be folded: code and pointer of its dead letter. */
export class Unfoldable extends Error {
  readonly code: string
  readonly pointer: string
  constructor(code: string, pointer: string) {
    super(`${code} ${pointer}`)
    this.code = code
    this.pointer = pointer
  }
}

/** Digits after the point of every measure here: the default scale. */
const SCALE = 6
const UNIQUES_EXACT_MAX = 256

const roundHalfEven = (digits: bigint, divisor: bigint): bigint => {
  const whole = digits / divisor
  const twice = (digits % divisor) * 2n
  return twice > divisor || (twice === divisor && whole % 2n === 1n) ? whole + 1n : whole
}

/** The decimal × 10^6; more digits are rounded half to even, or are a fault when `isExact`. */
export const oracleDecimal = (value: unknown, isExact: boolean, pointer: string): bigint => {
  if (typeof value !== "string" && typeof value !== "number") throw new Unfoldable("EXPRESSION", pointer)
  const text = String(value)
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) throw new Unfoldable("EXPRESSION", pointer)
  const isNegative = text.startsWith("-")
  const [mantissa = "", exponent = "0"] = (isNegative ? text.slice(1) : text).toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  const digits = BigInt(whole + fraction)
  const shift = Number(exponent) - fraction.length + SCALE
  let magnitude: bigint
  if (shift >= 0) magnitude = digits * 10n ** BigInt(shift)
  else {
    const divisor = 10n ** BigInt(-shift)
    if (isExact && digits % divisor !== 0n) throw new Unfoldable("DECIMAL_SCALE", pointer)
    magnitude = roundHalfEven(digits, divisor)
  }
  return isNegative ? -magnitude : magnitude
}

/** Decimal text of a value × 10^6. */
export const oracleDecimalText = (scaled: bigint): string => {
  const magnitude = scaled < 0n ? -scaled : scaled
  const fraction = (magnitude % 1_000_000n).toString().padStart(SCALE, "0").replace(/0+$/, "")
  return `${scaled < 0n ? "-" : ""}${magnitude / 1_000_000n}${fraction === "" ? "" : `.${fraction}`}`
}

const varint = (value: bigint): number[] => {
  const bytes: number[] = []
  let rest = value
  while (rest > 127n) {
    bytes.push(Number(rest % 128n) + 128)
    rest /= 128n
  }
  bytes.push(Number(rest))
  return bytes
}
const signedVarint = (value: bigint): number[] => varint(value < 0n ? -2n * value - 1n : 2n * value)

const GAMMA = (1 + 0.01) / (1 - 0.01)
/** Upper bounds γ^i by repeated multiplication upward from γ^0 = 1, and by division downward. */
const UPWARD: number[] = [1]
while (UPWARD.at(-1)! < 1e12) UPWARD.push(UPWARD.at(-1)! * GAMMA)
const DOWNWARD: number[] = [1]
while (DOWNWARD.at(-1)! > 1e-10) DOWNWARD.push(DOWNWARD.at(-1)! / GAMMA)
/** Key of the bucket whose upper bound is 1: keys count from the bucket of 10^-9, which has key 1. */
const KEY_OF_ONE = DOWNWARD.findIndex((bound) => bound < 1e-9)

const bucketKey = (scaled: bigint): bigint => {
  const magnitude = Math.min(Number(scaled < 0n ? -scaled : scaled) / 1e6, 1e12)
  if (magnitude < 1e-9) return 0n
  let exponent: number
  if (magnitude > 1) exponent = UPWARD.findIndex((bound) => bound >= magnitude)
  else {
    const below = DOWNWARD.findIndex((bound) => bound < magnitude)
    exponent = -(below - 1)
  }
  const key = BigInt(exponent + KEY_OF_ONE)
  return scaled < 0n ? -key : key
}

export type OracleKind = "count" | "sum" | "min" | "max" | "uniques" | "quantiles"

/** What one measure holds: every value it was given, kept as plainly as possible. */
export class OracleMeasure {
  private count = 0n
  private sum = 0n
  private least: bigint | undefined
  private most: bigint | undefined
  private readonly distinct = new Set<bigint>()
  private readonly buckets = new Map<bigint, bigint>()
  private encoded: Uint8Array | undefined
  private readonly kind: OracleKind
  private readonly seed: number

  constructor(kind: OracleKind, seed: number) {
    this.kind = kind
    this.seed = seed
  }

  /** A text for uniques, a decimal × 10^6 for the rest; null adds nothing. */
  add(value: bigint | string | null): void {
    if (value === null) return
    this.encoded = undefined
    this.count += 1n
    if (typeof value === "string") {
      this.distinct.add(oracleHash64(value, this.seed))
      return
    }
    this.sum += value
    if (this.least === undefined || value < this.least) this.least = value
    if (this.most === undefined || value > this.most) this.most = value
    if (this.kind !== "quantiles") return
    const key = bucketKey(value)
    this.buckets.set(key, (this.buckets.get(key) ?? 0n) + 1n)
  }

  /** Canonical bytes. Throws when there are more distinct values than are kept exactly. */
  bytes(): Uint8Array {
    this.encoded ??= this.encode()
    return this.encoded
  }

  private encode(): Uint8Array {
    switch (this.kind) {
      case "count":
        return Uint8Array.from([1, ...varint(this.count)])
      case "sum":
        return Uint8Array.from([2, ...signedVarint(this.sum)])
      case "min":
        return Uint8Array.from(this.least === undefined ? [3] : [3, ...signedVarint(this.least)])
      case "max":
        return Uint8Array.from(this.most === undefined ? [4] : [4, ...signedVarint(this.most)])
      case "uniques":
        return this.setBytes()
      case "quantiles":
        return this.bucketBytes()
    }
  }

  private setBytes(): Uint8Array {
    if (this.distinct.size > UNIQUES_EXACT_MAX) throw new RangeError(`the oracle counts at most ${UNIQUES_EXACT_MAX} distinct values`)
    const bytes = new Uint8Array(1 + this.distinct.size * 8)
    bytes[0] = 5
    const view = new DataView(bytes.buffer)
    let at = 1
    for (const hash of [...this.distinct].sort((a, b) => (a < b ? -1 : 1))) {
      view.setBigUint64(at, hash)
      at += 8
    }
    return bytes
  }

  private bucketBytes(): Uint8Array {
    if (this.least === undefined || this.most === undefined) return Uint8Array.from([8, 0])
    const bytes = [8, ...varint(this.count), ...signedVarint(this.sum), ...signedVarint(this.least), ...signedVarint(this.most), ...varint(BigInt(this.buckets.size))]
    let before: bigint | undefined
    for (const [key, count] of [...this.buckets].sort(([a], [b]) => (a < b ? -1 : 1))) {
      bytes.push(...(before === undefined ? signedVarint(key) : varint(key - before)), ...varint(count))
      before = key
    }
    return Uint8Array.from(bytes)
  }
}
