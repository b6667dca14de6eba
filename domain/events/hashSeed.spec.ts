import { describe, expect, it } from "vitest"
import { hashHex } from "../measures/hash.ts"
import { hashSeedOf } from "./hashSeed.ts"

describe("hash seed of a log", () => {
  it("is the same for ever: another one would change every fingerprint and sketch", () => {
    expect(hashSeedOf("0197f3d2-7c11-7abc-8def-0123456789ab")).toBe(4_103_603_413)
  })

  it("is an unsigned 32-bit integer that follows from the log id", () => {
    const seeds = Array.from({ length: 200 }, (_, i) => hashSeedOf(`log-${i}`))
    for (const seed of seeds) expect(seed).toBe(seed >>> 0)
    expect(new Set(seeds).size).toBe(200)
    expect(hashHex("log-1", 0).startsWith(hashSeedOf("log-1").toString(16).padStart(8, "0"))).toBe(true)
  })
})
