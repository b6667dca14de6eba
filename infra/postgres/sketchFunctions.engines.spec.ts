import { RANK_MAX } from "@tidemark/domain/measures/hyperloglog"
import { Quantiles } from "@tidemark/domain/measures/quantiles"
import { DENSE_FROM, EXACT_MAX, Uniques } from "@tidemark/domain/measures/uniques"
import fc from "fast-check"
import type { Client } from "pg"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { withStore } from "./specStore.ts"
import { dropNamespace, freshNamespace, withClient } from "./testDatabase.ts"

const namespace = freshNamespace()
const state = (of: { encode: () => Uint8Array }): Buffer => {
  const bytes = of.encode()
  const packed = Buffer.alloc(4 + bytes.length)
  packed.writeUInt32BE(bytes.length, 0)
  packed.set(bytes, 4)
  return packed
}

/** Well-mixed 64-bit hashes, a different set for every stream. */
const uniquesOf = (from: number, count: number): Uniques => {
  const uniques = new Uniques()
  for (let i = from; i < from + count; i++) {
    let hi = Math.imul(i ^ 0x9e3779b9, 0x85ebca6b)
    hi = Math.imul(hi ^ (hi >>> 13), 0xc2b2ae35)
    uniques.addHash((hi ^ (hi >>> 16)) >>> 0, Math.imul(i + 1, 0x27d4eb2f) >>> 0)
  }
  return uniques
}

const merged = <T extends { clone: () => T; merge: (other: T) => void }>(parts: readonly T[], empty: T): T => {
  const all = empty.clone()
  for (const part of parts) all.merge(part)
  return all
}

const askUniques = async (client: Client, states: readonly Buffer[]): Promise<number> => {
  const { rows } = await client.query<{ value: string }>(`SELECT "${namespace}".uniques($1::bytea[]) AS value`, [states])
  return Number(rows[0]?.value)
}

const askQuantile = async (client: Client, states: readonly Buffer[], q: number, scale: number): Promise<number | null> => {
  const { rows } = await client.query<{ value: number | null }>(`SELECT "${namespace}".quantile($1::bytea[], $2, $3) AS value`, [states, q, scale])
  return rows[0]?.value ?? null
}

describe("SQL functions over canonical measure bytes", () => {
  beforeAll(() => withStore(namespace, () => Effect.void))
  afterAll(() => dropNamespace(namespace))

  it("estimates uniques as the product does: exact, sparse, dense, and merges of them", async () => {
    const counts = [0, 1, 3, EXACT_MAX, EXACT_MAX + 1, 1_000, DENSE_FROM * 2, 60_000]
    const single = counts.map((count) => [uniquesOf(1, count)])
    const mixed = [[uniquesOf(1, 200), uniquesOf(100, 200)], [uniquesOf(1, 200), uniquesOf(100, 50)], [uniquesOf(1, 100), uniquesOf(50, 3_000), uniquesOf(2_000, 40_000)]]
    const edge = new Uniques()
    edge.addHash(0, 0)
    edge.addHash(0, 1)
    for (const parts of [...single, ...mixed, [edge, uniquesOf(5, 300)]]) {
      const expected = merged(parts, new Uniques()).estimate().value
      const found = await withClient((client) => askUniques(client, parts.map(state)))
      expect([parts.length, found]).toEqual([parts.length, expected])
    }
  })

  it("takes hashes of the largest rank, and no state at all", async () => {
    const full = uniquesOf(1, 300)
    for (let register = 0; register < 5; register++) full.addHash(register << 18, 0)
    expect(full.estimate().exact).toBe(false)
    expect(RANK_MAX).toBe(51)
    await withClient(async (client) => {
      expect(await askUniques(client, [state(full)])).toBe(full.estimate().value)
      expect(await askUniques(client, [])).toBe(0)
    })
  })

  it("property: any percentile of any merge is the product's double", async () => {
    const value = fc.oneof(fc.double({ min: -1e7, max: 1e7, noNaN: true }), fc.constantFrom(0, 1e-10, -1e-10, 0.001, 1, -1), fc.integer({ min: -1_000_000, max: 1_000_000 }))
    const part = fc.array(value, { maxLength: 40 })
    await withClient((client) => fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), fc.constantFrom(0, 0.001, 0.5, 0.95, 0.99, 1), fc.constantFrom(0, 3, 6), async (lists, q, scale) => {
        const parts = lists.map((list) => {
          const quantiles = new Quantiles(scale)
          for (const x of list) quantiles.add(x)
          return quantiles
        })
        expect(await askQuantile(client, parts.map(state), q, scale)).toBe(merged(parts, new Quantiles(scale)).quantile(q)?.value ?? null)
      }), { numRuns: 200 }))
  })

  it("clamps beyond the sketch's range as the product does, also where scaled values exceed 64 bits", async () => {
    for (const scale of [0, 6, 18]) {
      const huge = new Quantiles(scale)
      for (const x of [5e15, 2e12, -3e13, 7, -0.5]) huge.add(x)
      await withClient(async (client) => {
        for (const q of [0, 0.2, 0.5, 0.8, 1]) expect(await askQuantile(client, [state(huge), state(huge)], q, scale), `q ${q}, scale ${scale}`).toBe(huge.quantile(q)?.value)
      })
    }
  })

  it("counts buckets beyond 49 bits", async () => {
    const many = new Quantiles(0)
    many.add(3)
    for (let i = 0; i < 51; i++) many.merge(many.clone())
    many.add(900)
    await withClient(async (client) => {
      for (const q of [0, 0.999999, 1]) expect(await askQuantile(client, [state(many)], q, 0)).toBe(many.quantile(q)?.value)
    })
  })
})
