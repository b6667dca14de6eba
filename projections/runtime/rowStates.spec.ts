import { compileDefinition } from "@tidemark/domain/definitions/compile"
import { defineProjection } from "@tidemark/domain/definitions/definition"
import { keyIdOf } from "@tidemark/domain/definitions/rowKey"
import { describe, expect, it } from "vitest"
import { createDelta } from "./deltas.ts"
import { RowDigest } from "./rowDigest.ts"
import { RowStates } from "./rowStates.ts"
import { sumsOf } from "./rowSums.ts"

const MINUTE_MS = 60_000
const compiled = compileDefinition(defineProjection({ name: "n", version: 1, handles: [{ type: "a" }], key: {}, measures: { n: { kind: "count" } } }), 1)

/** One flush of one minute with so many keys, committed. */
const flush = (rows: RowStates, digest: RowDigest, minute: number, keys: number): void => {
  const windowStartMs = minute * MINUTE_MS
  for (let at = 0; at < keys; at++) {
    const keyId = keyIdOf("t", [String(at)])
    const delta = { ...createDelta({ keyId, key: [String(at)] }, compiled.createAccumulators()), events: 1, minOffset: 0, maxOffset: 0 }
    rows.encode(rows.adopt(rows.window(0, windowStartMs), { tenantId: "t", resolution: 0, windowStartMs, keyId }, sumsOf(delta, 0)), digest)
  }
  rows.trim()
}

describe("the cache of decoded rows", () => {
  it("forgets what no flush has touched for long, so that its size follows the traffic and not the time a lane has run", () => {
    const rows = new RowStates(compiled)
    const digest = RowDigest.decode(new Uint8Array(4_096))
    const sizes: number[] = []
    for (let minute = 0; minute < 400; minute++) {
      flush(rows, digest, minute, 20)
      sizes.push(rows.cachedBytes)
    }
    expect(sizes[399]).toBe(sizes[100])
    expect(rows.window(0, 0).size).toBe(0)
    expect(rows.window(0, 399 * MINUTE_MS).size).toBe(20)
  })

  it("keeps a window that flush after flush touches, however old it is", () => {
    const rows = new RowStates(compiled)
    const digest = RowDigest.decode(new Uint8Array(4_096))
    flush(rows, digest, 0, 20)
    for (let minute = 1; minute < 100; minute++) {
      rows.window(0, 0)
      flush(rows, digest, minute, 20)
    }
    expect(rows.window(0, 0).size).toBe(20)
  })

  it("never holds more than its limit after a flush", () => {
    const rows = new RowStates(compiled)
    const digest = RowDigest.decode(new Uint8Array(4_096))
    for (let minute = 0; minute < 20; minute++) {
      flush(rows, digest, minute, 5_000)
      expect(rows.cachedBytes).toBeLessThanOrEqual(24 << 20)
    }
    expect(rows.cachedBytes).toBeGreaterThan(0)
  })
})
