import { describe, expect, it } from "vitest"
import { int2Array, int4Array, int8Array, textArray, timeArray, timeParameter } from "./arrayParameters.ts"
import { packHints, unpackHints } from "./stateText.ts"

const EPOCH_MS = Date.UTC(2000, 0, 1)

/** Element type and elements of an array parameter; a null is undefined. */
const elementsOf = (array: Buffer): { readonly type: number; readonly elements: readonly (Buffer | undefined)[] } => {
  const type = array.readInt32BE(8)
  if (array.readInt32BE(0) === 0) return { type, elements: [] }
  expect([array.readInt32BE(0), array.readInt32BE(16)]).toEqual([1, 1])
  const elements: (Buffer | undefined)[] = []
  for (let at = 20; at < array.length;) {
    const length = array.readInt32BE(at)
    elements.push(length < 0 ? undefined : array.subarray(at + 4, at + 4 + length))
    at += 4 + Math.max(0, length)
  }
  expect(elements.length).toBe(array.readInt32BE(12))
  return { type, elements }
}

describe("binary array parameters", () => {
  it("hold integers of their width, big endian, and refuse wider ones", () => {
    expect(elementsOf(int2Array([0, -1, 32_767, -32_768])).elements.map((bytes) => bytes?.readInt16BE())).toEqual([0, -1, 32_767, -32_768])
    expect(elementsOf(int4Array([0, -1, 2 ** 31 - 1, -(2 ** 31)])).elements.map((bytes) => bytes?.readInt32BE())).toEqual([0, -1, 2 ** 31 - 1, -(2 ** 31)])
    const wide = [0n, -1n, 1n << 40n, (1n << 63n) - 1n, -(1n << 63n)]
    expect(elementsOf(int8Array(wide)).elements.map((bytes) => bytes?.readBigInt64BE())).toEqual(wide)
    for (const make of [() => int2Array([32_768]), () => int4Array([2 ** 31]), () => int8Array([1n << 63n]), () => int8Array([-(1n << 63n) - 1n])]) expect(make).toThrow(RangeError)
    expect(elementsOf(int8Array([]))).toEqual({ type: 20, elements: [] })
  })

  it("hold texts and nulls", () => {
    expect(elementsOf(textArray(["", "ä😀", null, "x"])).elements.map((bytes) => bytes?.toString())).toEqual(["", "ä😀", undefined, "x"])
  })

  it("hold times as microseconds, to the last one far from the epoch and before it", () => {
    const times = [EPOCH_MS, EPOCH_MS - 1, 0, Date.UTC(2026, 10, 24), EPOCH_MS + 9_007_199_254_740, EPOCH_MS + 9_007_199_254_741, EPOCH_MS - 9_007_199_254_741, 8_640_000_000_000_000, -210_866_803_200_000]
    const expected = times.map((ms) => (BigInt(ms) - BigInt(EPOCH_MS)) * 1000n)
    expect(elementsOf(timeArray(times)).elements.map((bytes) => bytes?.readBigInt64BE())).toEqual(expected)
    expect(times.map((ms) => timeParameter(ms).readBigInt64BE())).toEqual(expected)
    expect([Infinity, -Infinity].map((ms) => timeParameter(ms))).toEqual([timeParameter(8_640_000_000_000_000), timeParameter(-210_866_803_200_000)])
  })
})

describe("packed hints", () => {
  it("are read as they were written, windows before 1970 too", () => {
    const hints = [-62_135_596_800_000, -1, 0, 1, 2 ** 32, 8_640_000_000_000_000 - 1].map((windowStartMs, at) => ({
      tenantId: at % 2 === 0 ? "t" : "ü", resolution: (at % 3) as 0 | 1 | 2, windowStartMs, keyId: String(at).repeat(32), revision: (1n << 64n) - BigInt(at + 1)
    }))
    expect(unpackHints(packHints(hints))).toEqual(hints)
  })
})
