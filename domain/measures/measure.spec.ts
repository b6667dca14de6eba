import { describe, expect, it } from "vitest"
import { Count } from "./count.ts"
import { DecimalSum } from "./decimal-sum.ts"
import { Extreme } from "./extreme.ts"
import type { MeasureSpec } from "./measure.ts"
import { createAccumulator, measureParts, readMeasure } from "./measure.ts"
import { Quantiles } from "./quantiles.ts"
import { Uniques } from "./uniques.ts"

const duration: MeasureSpec = { kind: "quantiles", of: "event.data.durationMs", scale: 2 }
const amount: MeasureSpec = { kind: "sum", of: "event.data.amount" }

describe("measureParts", () => {
  it("asks for a measure by its name, for quantiles by their parts", () => {
    expect(measureParts("views", { kind: "count" })).toEqual(["views"])
    expect(measureParts("duration", duration)).toEqual([
      "duration.avg", "duration.p50", "duration.p95", "duration.p99", "duration.max", "duration.min", "duration.sum",
      "duration.count"
    ])
  })
})

describe("readMeasure", () => {
  it("reads counts, sums and extremes as exact decimal text", () => {
    const count = new Count()
    count.add(2n ** 60n)
    expect(readMeasure("views", "views", { kind: "count" }, count))
      .toEqual({ name: "views", value: 2 ** 60, text: "1152921504606846976", exact: true, errorBound: null })
    const sum = new DecimalSum()
    sum.addScaled(-12_340_000n)
    expect(readMeasure("revenue", "revenue", amount, sum))
      .toEqual({ name: "revenue", value: -12.34, text: "-12.34", exact: true, errorBound: null })
    const max = new Extreme("max")
    max.addScaled(150)
    expect(readMeasure("top", "top", { kind: "max", of: "event.data.x", scale: 2 }, max).text).toBe("1.5")
  })

  it("answers empty counts, sums and uniques with 0 and everything else with null", () => {
    const empty = (spec: MeasureSpec): (string | null)[] =>
      measureParts("m", spec).map((part) => {
        const { value, text } = readMeasure(part, "m", spec, createAccumulator(spec))
        expect(value === null ? null : String(value)).toBe(text)
        return text
      })
    expect(empty({ kind: "count" })).toEqual(["0"])
    expect(empty(amount)).toEqual(["0"])
    expect(empty({ kind: "uniques", of: "event.subject" })).toEqual(["0"])
    expect(empty({ kind: "min", of: "event.data.x" })).toEqual([null])
    expect(empty({ kind: "max", of: "event.data.x" })).toEqual([null])
    expect(empty(duration)).toEqual([null, null, null, null, null, null, "0", "0"])
  })

  it("reads quantiles: average to the scale and whether it was rounded, percentiles with their bound", () => {
    const quantiles = new Quantiles(2)
    for (const value of [10, 10, 15]) quantiles.add(value)
    const figure = (part: string) => readMeasure(`duration.${part}`, "duration", duration, quantiles)
    expect(figure("avg")).toEqual({ name: "duration.avg", value: 11.67, text: "11.67", exact: false, errorBound: 0.005 })
    quantiles.add(11)
    quantiles.add(9)
    expect(figure("avg")).toEqual({ name: "duration.avg", value: 11, text: "11", exact: true, errorBound: null })
    expect([figure("min").text, figure("max").text, figure("sum").text, figure("count").text]).toEqual(["9", "15", "55", "5"])
    const median = figure("p50")
    expect([median.text, median.exact]).toEqual([null, false])
    expect(Math.abs(median.value! - 10)).toBeLessThanOrEqual(median.errorBound!)
    expect(median.errorBound).toBeCloseTo(median.value! / 99, 10)
    expect(Math.abs(figure("p95").value! - 15)).toBeLessThanOrEqual(0.15)
    expect(Math.abs(figure("p99").value! - 15)).toBeLessThanOrEqual(0.15)
  })

  it("says of uniques whether they are counted or estimated", () => {
    const spec: MeasureSpec = { kind: "uniques", of: "event.subject" }
    const uniques = new Uniques()
    for (let i = 1; i <= 3; i++) uniques.addHash(i, i)
    expect(readMeasure("visitors", "visitors", spec, uniques))
      .toEqual({ name: "visitors", value: 3, text: "3", exact: true, errorBound: null })
    for (let i = 1; i <= 300; i++) uniques.addHash(Math.imul(i, 0x9e3779b1) >>> 0, i)
    const figure = readMeasure("visitors", "visitors", spec, uniques)
    expect([figure.text, figure.exact]).toEqual([null, false])
    expect(figure.errorBound).toBe(Math.ceil(figure.value! * 0.024375))
  })

  it("refuses parts a measure does not have, and the state of another measure", () => {
    const quantiles = new Quantiles(2)
    for (const part of ["duration", "duration.p42", "duration.constructor", "other.avg"]) {
      expect(() => readMeasure(part, "duration", duration, quantiles), part).toThrow(RangeError)
    }
    expect(() => readMeasure("views.avg", "views", { kind: "count" }, new Count())).toThrow(RangeError)
    expect(() => readMeasure("views", "views", { kind: "count" }, new DecimalSum())).toThrow(RangeError)
  })
})
