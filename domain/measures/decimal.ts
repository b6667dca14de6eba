/**
 * Exact decimals: a decimal text or a JSON number as an integer count of 10^-scale.
 *
 * A JSON number means its shortest decimal form ("0.1" is one tenth, not the double nearest to it).
 * No floating-point arithmetic decides a digit: the fast paths are taken only where they are exact.
 * Scales are integers from 0 to `SCALE_MAX`.
 */

/** Scale of a measure that names none: six digits after the point. */
export const SCALE_DEFAULT = 6
/** Largest scale; 10^18 and every smaller power of ten is a double without rounding. */
export const SCALE_MAX = 18
/** A text that expands to more digits than this is no decimal. Covers every double. */
export const DECIMAL_DIGITS_MAX = 400

/** Decimal scaled by 10^scale: a number when it is a safe integer, else (or also) a bigint. */
export type Scaled = number | bigint

/**
 * Why an input is no decimal at the scale: `DECIMAL_SCALE` more digits than the scale,
 * `UNSAFE_INTEGER` a number beyond ±(2^53 − 1), `EXPRESSION` not a decimal at all.
 */
export type DecimalFault = "DECIMAL_SCALE" | "UNSAFE_INTEGER" | "EXPRESSION"

/** Faults of inputs that are rounded to the scale. */
export type RoundingFault = Exclude<DecimalFault, "DECIMAL_SCALE">

const POWERS = Array.from({ length: SCALE_MAX + 1 }, (_, scale) => Number(`1e${scale}`))
const BIG_POWERS = Array.from({ length: SCALE_MAX + 1 }, (_, scale) => 10n ** BigInt(scale))
/** Below this, two decimals at one scale never share a double: at most 15 significant digits. */
const EXACT_BELOW = 1e15
const DECIMAL_TEXT = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?$/

/** 10^scale as a double, exact. */
export const powerOfTen = (scale: number): number => {
  const power = POWERS[scale]
  if (power === undefined) throw new RangeError(`scale must be an integer from 0 to ${SCALE_MAX}, not ${scale}`)
  return power
}

/** 10^scale as a bigint. */
export const bigPowerOfTen = (scale: number): bigint => {
  const power = BIG_POWERS[scale]
  if (power === undefined) throw new RangeError(`scale must be an integer from 0 to ${SCALE_MAX}, not ${scale}`)
  return power
}

/**
 * `input` times 10^scale without rounding. A decimal text may carry an exponent and trailing zeros;
 * a bigint is an integer. Anything else is `EXPRESSION`.
 */
export const scaleExactly = (input: unknown, scale: number): Scaled | DecimalFault => {
  if (typeof input !== "number") return scaleOther(input, scale, false)
  const fast = scaleFast(input, scale)
  return fast === fast ? fast : scaleSlowNumber(input, scale, false)
}

/** `input` times 10^scale, digits beyond the scale rounded half to even. */
export const scaleRounded = (input: unknown, scale: number): Scaled | RoundingFault => {
  if (typeof input === "number") {
    const fast = scaleFast(input, scale)
    if (fast === fast) return fast
  }
  const scaled = typeof input === "number" ? scaleSlowNumber(input, scale, true) : scaleOther(input, scale, true)
  // Rounding leaves no digits over, so this fault cannot come back; the types do not know it.
  return scaled === "DECIMAL_SCALE" ? "EXPRESSION" : scaled
}

/** `scaleExactly` with a bigint result. */
export const parseDecimal = (input: unknown, scale: number): bigint | DecimalFault => {
  const scaled = scaleExactly(input, scale)
  return typeof scaled === "number" ? BigInt(scaled) : scaled
}

/** `scaleRounded` with a bigint result. */
export const roundToScale = (input: unknown, scale: number): bigint | RoundingFault => {
  const scaled = scaleRounded(input, scale)
  return typeof scaled === "number" ? BigInt(scaled) : scaled
}

/** Decimal text of `scaled` × 10^-scale: no exponent, no trailing zeros, no "-0". */
export const formatDecimal = (scaled: bigint, scale: number): string => {
  if (scale === 0) return scaled.toString()
  const negative = scaled < 0n
  const digits = (negative ? -scaled : scaled).toString().padStart(scale + 1, "0")
  const point = digits.length - scale
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === 48) end--
  const text = end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`
  return negative ? `-${text}` : text
}

/** `dividend / divisor` rounded half to even; `divisor` > 0. */
export const divideHalfEven = (dividend: bigint, divisor: bigint): bigint => {
  const negative = dividend < 0n
  const magnitude = negative ? -dividend : dividend
  let quotient = magnitude / divisor
  const twice = (magnitude - quotient * divisor) * 2n
  if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) quotient += 1n
  return negative ? -quotient : quotient
}

/**
 * `input` × 10^scale where doubles give it exactly, else NaN. The division is correctly rounded, so
 * `scaled / power === input` says that `input` is the double of that decimal; with at most 15
 * significant digits no other such decimal has this double, hence it is the shortest form.
 */
const scaleFast = (input: number, scale: number): number => {
  const power = powerOfTen(scale)
  const scaled = Math.round(input * power)
  return scaled < EXACT_BELOW && scaled > -EXACT_BELOW && scaled / power === input ? scaled + 0 : NaN
}

const scaleSlowNumber = (input: number, scale: number, round: boolean): Scaled | DecimalFault => {
  if (!Number.isFinite(input)) return "EXPRESSION"
  if (Math.abs(input) > Number.MAX_SAFE_INTEGER) return "UNSAFE_INTEGER"
  if (Number.isInteger(input)) return narrow(BigInt(input) * bigPowerOfTen(scale))
  return scaleText(String(input), scale, round)
}

const scaleOther = (input: unknown, scale: number, round: boolean): Scaled | DecimalFault => {
  if (typeof input === "string") return scaleText(input, scale, round)
  if (typeof input === "bigint") return narrow(input * bigPowerOfTen(scale))
  return "EXPRESSION"
}

const scaleText = (text: string, scale: number, round: boolean): Scaled | DecimalFault => {
  if (text.length > DECIMAL_DIGITS_MAX) return "EXPRESSION"
  const match = DECIMAL_TEXT.exec(text)
  if (match === null) return "EXPRESSION"
  const fraction = match[3] ?? ""
  const digits = (match[2]! + fraction).replace(/^0+/, "")
  if (digits === "") return 0
  /** Decimal places the digits are to be shifted left to become an integer at the scale. */
  const shift = Number(match[4] ?? "0") - fraction.length + scale
  if (Math.abs(shift) + digits.length > 2 * DECIMAL_DIGITS_MAX) return "EXPRESSION"
  const magnitude = shiftDigits(BigInt(digits), shift, round)
  if (magnitude === null) return "DECIMAL_SCALE"
  return narrow(match[1] === "-" ? -magnitude : magnitude)
}

/** `digits` × 10^shift as an integer; null when that would cut digits and `round` is false. */
const shiftDigits = (digits: bigint, shift: number, round: boolean): bigint | null => {
  if (shift >= 0) return digits * 10n ** BigInt(shift)
  const divisor = 10n ** BigInt(-shift)
  if (round) return divideHalfEven(digits, divisor)
  return digits % divisor === 0n ? digits / divisor : null
}

const narrow = (scaled: bigint): Scaled =>
  scaled >= -9007199254740991n && scaled <= 9007199254740991n ? Number(scaled) : scaled
