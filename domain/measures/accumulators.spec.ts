import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Count } from "./count.ts"
import { DecimalSum } from "./decimal-sum.ts"
import { MeasureBytesError } from "./encoding.ts"
import { Extreme } from "./extreme.ts"
import type { Accumulator, MeasureSpec } from "./measure.ts"
import { createAccumulator, decodeAccumulator, mergeAccumulators } from "./measure.ts"

/** A value as number and as bigint: both forms must leave the same bytes. */
const scaledValue = fc.oneof(
  fc.integer({ min: -1_000, max: 1_000 }),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n })
)

const addTo = (accumulator: Accumulator, value: number | bigint): void => {
  switch (accumulator.kind) {
    case "count":
      return accumulator.add(value < 0 ? -value : value)
    case "uniques": {
      const bits = BigInt.asUintN(64, BigInt(value) * 0x9e3779b97f4a7c15n)
      return accumulator.addHash(Number(bits >> 32n), Number(bits & 0xffffffffn))
    }
    default:
      return accumulator.addScaled(value)
  }
}

const SPECS: readonly MeasureSpec[] = [
  { kind: "count" },
  { kind: "sum", of: "event.data.x" },
  { kind: "min", of: "event.data.x" },
  { kind: "max", of: "event.data.x" },
  { kind: "uniques", of: "event.data.x" },
  { kind: "quantiles", of: "event.data.x", scale: 12 }
]

/** Up to three lists, of which some cross the limits at which uniques change form. */
const values = fc.oneof(
  { weight: 4, arbitrary: fc.array(scaledValue, { maxLength: 40 }) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(6_000), fc.nat(6_000)).map(([from, size]) =>
    Array.from({ length: size }, (_, i) => from + i)) },
  { weight: 2, arbitrary: fc.nat(400).map((size) => Array.from({ length: size }, (_, i) => i)) }
)

describe.each(SPECS)("accumulator of $kind", (spec) => {
  const of = (list: readonly (number | bigint)[]): Accumulator => {
    const accumulator = createAccumulator(spec)
    for (const value of list) addTo(accumulator, value)
    return accumulator
  }
  const merged = (...parts: readonly Accumulator[]): Accumulator => {
    const into = createAccumulator(spec)
    for (const part of parts) mergeAccumulators(into, part)
    return into
  }

  it("property: merge is associative and commutative, has an identity, and leaves its argument alone", () => {
    fc.assert(fc.property(values, values, values, (a, b, c) => {
      const [x, y, z] = [of(a), of(b), of(c)]
      const before = y.encode()
      expect(merged(merged(x, y), z).encode()).toEqual(merged(x, merged(y, z)).encode())
      expect(merged(x, y).encode()).toEqual(merged(y, x).encode())
      expect(merged(x).encode()).toEqual(x.encode())
      const same = x.clone()
      mergeAccumulators(same, createAccumulator(spec))
      expect(same.encode()).toEqual(x.encode())
      expect(y.encode()).toEqual(before)
    }), { numRuns: 60 })
  })

  it("property: bytes depend neither on order nor on how the events were split", () => {
    fc.assert(fc.property(values, fc.infiniteStream(fc.nat(0xffff)), fc.integer({ min: 1, max: 5 }), (list, random, parts) => {
      const numbers = list.map(() => random.next().value)
      const order = list.map((_, i) => i).sort((i, j) => numbers[i]! - numbers[j]!)
      const split = Array.from({ length: parts }, () => createAccumulator(spec))
      for (const i of order) addTo(split[i % parts]!, list[i]!)
      expect(merged(...split).encode()).toEqual(of(list).encode())
    }), { numRuns: 60 })
  })

  it("property: decode reads back what encode wrote, and the copy goes on alike", () => {
    fc.assert(fc.property(values, scaledValue, (list, next) => {
      const original = of(list)
      const bytes = original.encode()
      const copy = decodeAccumulator(spec, bytes)
      expect(copy.encode()).toEqual(bytes)
      addTo(original, next)
      addTo(copy, next)
      expect(copy.encode()).toEqual(original.encode())
    }), { numRuns: 60 })
  })

  it("property: a number and the bigint equal to it leave the same bytes", () => {
    fc.assert(fc.property(fc.array(fc.maxSafeInteger(), { maxLength: 20 }), (list) => {
      expect(of(list.map(BigInt)).encode()).toEqual(of(list).encode())
    }))
  })

  it("a clone goes its own way", () => {
    const original = of([1, 2, 3])
    const bytes = original.encode()
    const copy = original.clone()
    addTo(copy, -7_777)
    addTo(copy, 8_888)
    expect(original.encode()).toEqual(bytes)
    expect(copy.encode()).not.toEqual(bytes)
  })

  it("property: other bytes are refused, or are themselves canonical", () => {
    fc.assert(fc.property(values, fc.nat(), fc.nat(255), fc.nat(3), (list, at, byte, cut) => {
      const bytes = of(list).encode()
      const damaged = bytes.slice(0, bytes.length - Math.min(cut, bytes.length))
      if (damaged.length > 0) damaged[at % damaged.length] = byte
      try {
        expect(decodeAccumulator(spec, damaged).encode()).toEqual(damaged)
      } catch (error) {
        expect(error).toBeInstanceOf(MeasureBytesError)
      }
    }), { numRuns: 200 })
  })

  it("refuses the bytes of every other measure", () => {
    for (const other of SPECS) {
      const bytes = createAccumulator(other).encode()
      if (other.kind !== spec.kind) expect(() => decodeAccumulator(spec, bytes)).toThrow(MeasureBytesError)
    }
  })

  it("refuses to merge with every other measure", () => {
    for (const other of SPECS) {
      if (other.kind === spec.kind) continue
      expect(() => mergeAccumulators(createAccumulator(spec), createAccumulator(other))).toThrow(RangeError)
    }
  })
})

describe("exactness", () => {
  it("property: count and sum equal BigInt addition beyond 2^53", () => {
    fc.assert(fc.property(fc.array(scaledValue), (list) => {
      const sum = new DecimalSum()
      const count = new Count()
      for (const value of list) {
        sum.addScaled(value)
        count.add(value < 0 ? -value : value)
      }
      expect(sum.value()).toBe(list.reduce<bigint>((total, value) => total + BigInt(value), 0n))
      expect(count.value()).toBe(list.reduce<bigint>((total, value) => total + BigInt(value < 0 ? -value : value), 0n))
    }))
  })

  it("property: min and max equal the ends of the sorted values", () => {
    fc.assert(fc.property(fc.array(scaledValue, { minLength: 1 }), (list) => {
      const min = new Extreme("min")
      const max = new Extreme("max")
      for (const value of list) {
        min.addScaled(value)
        max.addScaled(value)
      }
      const sorted = list.map(BigInt).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
      expect([min.value(), max.value()]).toEqual([sorted[0], sorted.at(-1)])
    }))
  })

  it("the stored form of known states never changes", () => {
    const hex = (accumulator: Accumulator): string => Buffer.from(accumulator.encode()).toString("hex")
    const known = SPECS.map((spec) => {
      const accumulator = createAccumulator(spec)
      for (const value of [5, -300, 10n ** 20n]) addTo(accumulator, value)
      return hex(accumulator)
    })
    expect(known).toMatchInlineSnapshot(`
      [
        "01b182c098d6c5d7e3eb0a",
        "02b2fbffb0ac8bafc7d715",
        "03d704",
        "04808080b1ac8bafc7d715",
        "051715609f7c746c694ccc4854e050000096fd5a9ed4b69764",
        "0803b2fbffb0ac8bafc7d715d704808080b1ac8bafc7d715020002a70f01",
      ]
    `)
  })
})

describe("encodings", () => {
  it("share memory and no byte of it: each stays as it is while thousands of others are made", () => {
    const uniques = createAccumulator({ kind: "uniques", of: "event.data.x" })
    const made: (readonly [Uint8Array, string])[] = []
    for (let i = 0; i < 3_000; i++) {
      addTo(uniques, i)
      for (const encoded of [uniques.encode(), createAccumulator({ kind: "count" }).encode()]) made.push([encoded, Buffer.from(encoded).toString("hex")])
    }
    for (const [encoded, hex] of made) if (Buffer.from(encoded).toString("hex") !== hex) expect.fail(`an encoding of ${encoded.length} bytes has changed`)
    expect(new Set(made.map(([{ buffer }]) => buffer)).size).toBeLessThan(made.length)
  })
})
