import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { divideHalfEven, formatDecimal, parseDecimal, roundToScale, scaleExactly, scaleRounded } from "./decimal.ts"

/** Plain reading of [-]digits[.digits][e±n] as numerator and denominator, by BigInt alone. */
const fractionOf = (text: string): { numerator: bigint; denominator: bigint } => {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e")
  const [whole = "", part = ""] = mantissa.split(".")
  const power = Number(exponent) - part.length
  const digits = BigInt(whole.replace("-", "") + part)
  const numerator = whole.startsWith("-") ? -digits : digits
  return power >= 0
    ? { numerator: numerator * 10n ** BigInt(power), denominator: 1n }
    : { numerator, denominator: 10n ** BigInt(-power) }
}

const decimalText = fc.tuple(
  fc.constantFrom("", "-"), fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.stringMatching(/^[0-9]{0,12}$/),
  fc.constantFrom("", "e3", "E-4", "e+2")
).map(([sign, whole, part, exponent]) => `${sign}${whole}${part === "" ? "" : `.${part}`}${exponent}`)

const jsonNumber = fc.oneof(
  fc.double({ min: -1e12, max: 1e12, noNaN: true }),
  fc.maxSafeInteger(),
  fc.tuple(fc.integer(), fc.integer({ min: 0, max: 9 })).map(([n, places]) => n / 10 ** places),
  fc.double({ min: -1, max: 1, noNaN: true })
)

describe("parseDecimal", () => {
  it("property: agrees with BigInt arithmetic on texts and on shortest forms of numbers", () => {
    fc.assert(fc.property(fc.oneof(decimalText, jsonNumber), fc.integer({ min: 0, max: 18 }), (input, scale) => {
      const { numerator, denominator } = fractionOf(String(input))
      const scaled = numerator * 10n ** BigInt(scale)
      const expected = scaled % denominator === 0n ? scaled / denominator : "DECIMAL_SCALE"
      expect(parseDecimal(input, scale)).toBe(expected)
    }), { numRuns: 5_000 })
  })

  it("reads a JSON number by its shortest decimal form", () => {
    expect(parseDecimal(0.1, 6)).toBe(100_000n)
    expect(parseDecimal(1.005, 3)).toBe(1_005n)
    expect(parseDecimal(1e-7, 7)).toBe(1n)
    expect(parseDecimal(0.1 + 0.2, 6)).toBe("DECIMAL_SCALE")
    expect(parseDecimal(-0, 6)).toBe(0n)
  })

  it("refuses more digits than the scale, but not trailing zeros", () => {
    expect(parseDecimal("1.2345678", 6)).toBe("DECIMAL_SCALE")
    expect(parseDecimal(1e-7, 6)).toBe("DECIMAL_SCALE")
    expect(parseDecimal("1.50000000", 6)).toBe(1_500_000n)
    expect(parseDecimal("1234.5e-1", 2)).toBe(12_345n)
  })

  it("refuses numbers beyond ±(2^53 − 1), whose digits JSON has already lost", () => {
    expect(parseDecimal(Number.MAX_SAFE_INTEGER, 6)).toBe(9_007_199_254_740_991_000_000n)
    expect(parseDecimal(2 ** 53, 6)).toBe("UNSAFE_INTEGER")
    expect(parseDecimal(-(2 ** 53), 6)).toBe("UNSAFE_INTEGER")
    expect(parseDecimal("9007199254740993", 0)).toBe(9_007_199_254_740_993n)
  })

  it("refuses what is no decimal", () => {
    const inputs = ["", " 1", "1 ", "+1", ".5", "1.", "1e", "0x10", "NaN", "1,5", "1e999999999", NaN, Infinity, true, null, {}]
    for (const input of inputs) expect(parseDecimal(input, 6), String(input)).toBe("EXPRESSION")
  })
})

describe("roundToScale", () => {
  it("rounds halves to the even neighbour", () => {
    expect(["0.5", "1.5", "2.5", "-0.5", "-1.5", "2.500001"].map((text) => roundToScale(text, 0)))
      .toEqual([0n, 2n, 2n, 0n, -2n, 3n])
    expect(roundToScale(1.005, 2)).toBe(100n)
    expect(roundToScale(1.015, 2)).toBe(102n)
  })

  it("property: is the nearest count of 10^-scale, the even one when two are equally near", () => {
    fc.assert(fc.property(fc.oneof(decimalText, jsonNumber), fc.integer({ min: 0, max: 18 }), (input, scale) => {
      const { numerator, denominator } = fractionOf(String(input))
      const rounded = roundToScale(input, scale)
      if (typeof rounded !== "bigint") throw new Error(rounded)
      const twiceError = 2n * (rounded * denominator - numerator * 10n ** BigInt(scale))
      const magnitude = twiceError < 0n ? -twiceError : twiceError
      expect(magnitude < denominator || (magnitude === denominator && rounded % 2n === 0n)).toBe(true)
    }), { numRuns: 5_000 })
  })

  it("keeps UNSAFE_INTEGER and EXPRESSION", () => {
    expect(roundToScale(1e16, 6)).toBe("UNSAFE_INTEGER")
    expect(roundToScale("ten", 6)).toBe("EXPRESSION")
  })
})

describe("scaled decimals", () => {
  it("property: are numbers exactly when they are safe integers", () => {
    fc.assert(fc.property(fc.oneof(decimalText, jsonNumber), (input) => {
      for (const scaled of [scaleExactly(input, 6), scaleRounded(input, 6)]) {
        if (typeof scaled === "bigint") expect(Number.isSafeInteger(Number(scaled))).toBe(false)
        if (typeof scaled === "number") expect(Number.isSafeInteger(scaled) && !Object.is(scaled, -0)).toBe(true)
      }
    }))
  })
})

describe("formatDecimal", () => {
  it("writes neither exponent, trailing zeros nor a negative zero", () => {
    expect(formatDecimal(0n, 6)).toBe("0")
    expect(formatDecimal(-1n, 6)).toBe("-0.000001")
    expect(formatDecimal(1_500_000n, 6)).toBe("1.5")
    expect(formatDecimal(-12_000_000n, 6)).toBe("-12")
    expect(formatDecimal(1_200n, 0)).toBe("1200")
    expect(formatDecimal(10n ** 30n, 6)).toBe("1000000000000000000000000")
  })

  it("property: parseDecimal reads back what formatDecimal wrote", () => {
    fc.assert(fc.property(fc.bigInt(), fc.integer({ min: 0, max: 18 }), (scaled, scale) => {
      const text = formatDecimal(scaled, scale)
      expect(parseDecimal(text, scale)).toBe(scaled)
      expect(text).not.toMatch(/e|^-0$|\.$|\.\d*0$/)
    }))
  })
})

describe("divideHalfEven", () => {
  it("rounds an average half to even on both sides of zero", () => {
    expect([1n, 3n, 5n, -1n, -3n].map((dividend) => divideHalfEven(dividend, 2n))).toEqual([0n, 2n, 2n, 0n, -2n])
    expect(divideHalfEven(10n, 3n)).toBe(3n)
    expect(divideHalfEven(11n, 3n)).toBe(4n)
  })
})
