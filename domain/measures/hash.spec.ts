import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { hashBytes, hashHex, hashUtf8 } from "./hash.ts"

const VECTORS: readonly (readonly [string, number, string])[] = [
  ["", 0x0, "00000000000000000000000000000000"],
  ["", 0x1, "88c4adec54d201b954d201b954d201b9"],
  ["", 0xffffffff, "051e08a9989d49f7989d49f7989d49f7"],
  ["a", 0x9747b28c, "084ef94421a1186e21a1186e21a1186e"],
  ["foo", 0x0, "577c1b2560b6256560b6256560b62565"],
  ["Hello, world!", 0x9747b28c, "756d5460bb872216b7d48b7c53c8c636"],
  ["The quick brown fox jumps over the lazy dog", 0x9747b28c, "8ad4d55e4cb861718ea73a9ccdb6793e"],
  ["0123456789abcdef", 0x2a, "786271aa342cc4911a291f4ce8714dc9"],
  ["0123456789abcdefghijklmnopqrstu", 0xdeadbeef, "f25f2b20a4303543d41ba940ee438808"],
  ["grüße aus Köln", 0x7, "bc6705714672d90ff47189bdc5eeb405"],
  ["日本語のページ", 0x75bcd15, "20474385f1704f2610728f0fb29b24ae"],
  ["😀 pile of 💩 and 𝄞", 0x80000001, "1af88bbbdc81e58bd583b3829dfcf7f4"]
]

describe("MurmurHash3 x86 128", () => {
  it("agrees with the reference implementation on texts of every tail length and script", () => {
    for (const [text, seed, hex] of VECTORS) expect(hashHex(text, seed), text).toBe(hex)
  })

  it("passes the verification test of the reference suite (SMHasher, 0xB3ECE62A)", () => {
    const out = new Uint32Array(4)
    const hashes = new DataView(new ArrayBuffer(256 * 16))
    for (let i = 0; i < 256; i++) {
      hashBytes(Uint8Array.from({ length: i }, (_, at) => at), 256 - i, out)
      out.forEach((word, at) => hashes.setUint32(i * 16 + at * 4, word, true))
    }
    hashBytes(new Uint8Array(hashes.buffer), 0, out)
    expect(out[0]).toBe(0xb3ece62a)
  })

  it("property: the hash of a text is the hash of its UTF-8, lone surrogates as U+FFFD", () => {
    const encoder = new TextEncoder()
    const fromText = new Uint32Array(4)
    const fromBytes = new Uint32Array(4)
    const units = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) })
    fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), units), fc.nat(0xffffffff), (text, seed) => {
      hashUtf8(text, seed, fromText)
      hashBytes(encoder.encode(text), seed, fromBytes)
      expect(fromText).toEqual(fromBytes)
      expect(hashHex(text, seed)).toBe(hashHex(encoder.encode(text), seed))
    }), { numRuns: 1_000 })
  })

  it("hashes a text longer than any before it", () => {
    const text = "ü€😀x".repeat(20_000)
    expect(hashHex(text, 5)).toBe(hashHex(new TextEncoder().encode(text), 5))
  })

  it("shows the 64-bit hash as the first sixteen hex characters", () => {
    const out = new Uint32Array(4)
    hashUtf8("page", 9, out)
    const hash = (BigInt(out[0] ?? 0) << 32n) | BigInt(out[1] ?? 0)
    expect(hashHex("page", 9).slice(0, 16)).toBe(hash.toString(16).padStart(16, "0"))
  })
})
