/** What every partition index must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import type { DecodedRecord } from "../events/envelope.ts"
import { HORIZON_MS, PartitionState } from "../events/partitionState.ts"
import { CLOCKS_APART, PartitionIndex } from "./PartitionIndex.ts"
import type { PartitionIndexShape, PartitionSegment } from "./PartitionIndex.ts"

export interface PartitionIndexHarness {
  /** The same stored index each time it is opened. */
  readonly open: () => Layer.Layer<PartitionIndex, unknown>
  readonly dispose: () => Promise<void>
}

const DAY_MS = HORIZON_MS
const SEED = 7

const event = (id: string, receivedAtMs: number, backfill?: string): DecodedRecord => ({
  kind: "event",
  event: { id, source: "s", type: "x", timeMs: receivedAtMs - 5, receivedAtMs, tenantId: "t", partitionKey: "t:k", schemaVersion: 0, backfill, data: undefined }
})

/** A segment whose entry i has the hash (`hi`, offset) and the segment's R; imports at even offsets, live at odd ones. */
const segment = (from: number, to: number, over: Partial<PartitionSegment> = {}): PartitionSegment => {
  const offsets = (odd: number) => Array.from({ length: to - from }, (_, i) => from + i).filter((offset) => offset % 2 === odd)
  const receivedMaxMs = over.receivedMaxMs ?? 1_000
  const entries = (odd: number) => ({ hi: new Uint32Array(offsets(odd).length).fill(9), lo: Uint32Array.from(offsets(odd)), offset: Float64Array.from(offsets(odd)) })
  return {
    partition: 0,
    from: BigInt(from),
    to: BigInt(to),
    receivedMaxMs,
    heartbeatMaxMs: -Infinity,
    tenantMaxMs: new Map([["t", to]]),
    live: { ...entries(1), receivedMs: new Float64Array(offsets(1).length).fill(receivedMaxMs) },
    imports: entries(0),
    ...over
  }
}

const rangesOf = (segments: readonly PartitionSegment[]) => segments.map(({ from, to }) => [Number(from), Number(to)])

/** Deterministic hashes that spread over the whole range. */
const spread = (index: number): number => Math.imul(index + 1, 0x9e3779b1) >>> 0

/** Declares the suite for one adapter. */
export const partitionIndexContract = (name: string, makeHarness: () => PartitionIndexHarness): void => {
  const session = (body: (run: <A>(use: (index: PartitionIndexShape) => Effect.Effect<A, unknown>) => Promise<A>) => Promise<void>) => async () => {
    const harness = makeHarness()
    const run = <A>(use: (index: PartitionIndexShape) => Effect.Effect<A, unknown>): Promise<A> =>
      Effect.runPromise(Effect.gen(function* () { return yield* use(yield* PartitionIndex) }).pipe(Effect.provide(harness.open())))
    try {
      await body(run)
    } finally {
      await harness.dispose()
    }
  }
  const saveAll = (index: PartitionIndexShape, segments: readonly PartitionSegment[]) => Effect.forEach(segments, index.save, { discard: true })

  describe(`PartitionIndex on ${name}`, () => {
    it("stores nothing at first", session(async (run) => {
      const found = await run((index) => index.load(0, 100n).pipe(Effect.map(({ nextOffset, segments, imports }) => [nextOffset, segments, imports.has(9, 0, 100)])))
      expect(found).toEqual([0n, [], false])
    }))

    it("gives back clocks and live entries as saved, after reopening too, partition by partition", session(async (run) => {
      const quiet = segment(0, 3, { receivedMaxMs: -Infinity, tenantMaxMs: new Map() })
      const saved = segment(3, 9, { receivedMaxMs: 5_000.5, heartbeatMaxMs: 4_000, tenantMaxMs: new Map([["t", 12.5], ["ü", -3]]) })
      await run((index) => saveAll(index, [quiet, saved, segment(0, 2, { partition: 1 })]))
      const { nextOffset, segments } = await run((index) => index.load(0, 9n))
      expect(nextOffset).toBe(9n)
      const { imports: _imports, ...expected } = saved
      expect(segments.at(-1)).toMatchObject(expected)
      expect((await run((index) => index.load(1, 9n))).segments).toMatchObject([{ partition: 1, to: 2n }])
      expect((await run((index) => index.load(0, 4n))).segments).toMatchObject([{ to: 3n, receivedMaxMs: -Infinity, heartbeatMaxMs: -Infinity }])
    }))

    it("answers the longest prefix at or below the offset asked for", session(async (run) => {
      await run((index) => saveAll(index, [segment(0, 10), segment(10, 20), segment(20, 30)]))
      const ends = await run((index) => Effect.forEach([9n, 10n, 29n, 30n, 1_000n], (atMost) => index.load(0, atMost).pipe(Effect.map(({ nextOffset }) => nextOffset))))
      expect(ends).toEqual([0n, 10n, 20n, 30n, 30n])
    }))

    it("ignores a stored segment, keeps only the new part of one it partly has, and refuses a gap", session(async (run) => {
      await run((index) => saveAll(index, [segment(0, 10), segment(10, 20), segment(0, 20), segment(3, 7), segment(5, 26)]))
      const { segments } = await run((index) => index.load(0, 100n))
      expect(rangesOf(segments)).toEqual([[0, 10], [10, 20], [20, 26]])
      expect([...(segments.at(-1)?.live.offset ?? [])]).toEqual([21, 23, 25])
      expect(segments.at(-1)?.tenantMaxMs).toEqual(new Map([["t", 26]]))
      expect(await run((index) => Effect.flip(index.save(segment(27, 30))))).toMatchObject({ _tag: "PartitionIndexError" })
      expect((await run((index) => index.load(0, 100n))).nextOffset).toBe(26n)
    }))

    it("begins anywhere, for a log may have lost its head, and is contiguous from there", session(async (run) => {
      await run((index) => saveAll(index, [segment(7, 10), segment(10, 12)]))
      expect(rangesOf((await run((index) => index.load(0, 100n))).segments)).toEqual([[7, 10], [10, 12]])
      expect((await run((index) => index.load(0, 9n))).nextOffset).toBe(0n)
      expect(await run((index) => Effect.flip(index.save(segment(13, 14))))).toMatchObject({ _tag: "PartitionIndexError" })
    }))

    it("returns every segment inside the horizon of the prefix asked for, and always the last one", session(async (run) => {
      await run((index) => saveAll(index, [segment(0, 2, { receivedMaxMs: 0 }), segment(2, 4, { receivedMaxMs: 1 }), segment(4, 6, { receivedMaxMs: DAY_MS }), segment(6, 8, { receivedMaxMs: DAY_MS + 1 }), segment(8, 10, { receivedMaxMs: 9 * DAY_MS })]))
      const load = (atMost: bigint) => run((index) => index.load(0, atMost)).then(({ segments }) => rangesOf(segments))
      expect(await load(6n)).toEqual([[0, 2], [2, 4], [4, 6]])
      expect(await load(8n)).toEqual([[2, 4], [4, 6], [6, 8]])
      expect(await load(10n)).toEqual([[8, 10]])
    }))

    it("knows an import entry for ever, only below the offset asked with, and those saved later too", session(async (run) => {
      const answers = await run((index) =>
        Effect.gen(function* () {
          yield* index.save(segment(0, 4, { receivedMaxMs: 0 }))
          const { imports } = yield* index.load(0, 4n)
          const before = imports.has(9, 6, 8)
          yield* index.save(segment(4, 8, { receivedMaxMs: 90 * DAY_MS }))
          return [before, imports.has(9, 6, 8), imports.has(9, 6, 7), imports.has(9, 6, 6), imports.has(9, 2, 8), imports.has(9, 3, 8), imports.has(8, 2, 8)]
        }))
      expect(answers).toEqual([false, true, true, false, true, false, false])
      const later = await run((index) => index.load(1, 8n).pipe(Effect.map(({ imports }) => imports.has(9, 6, 8))))
      expect(later).toBe(false)
    }))

    it("answers clocks of a prefix within the offset and the receive time asked for, long after its entries have gone", session(async (run) => {
      const apart = CLOCKS_APART.receivedMs + 1
      const segments = Array.from({ length: 100 }, (_, i) => segment(i * 10, i * 10 + 10, { receivedMaxMs: i === 0 ? -Infinity : i * apart * 20, heartbeatMaxMs: i - 0.5, tenantMaxMs: new Map([["ü", i]]) }))
      await run((index) => saveAll(index, [...segments, segment(0, 7, { partition: 1 })]))
      const clocks = (atMost: bigint, receivedMaxMs: number) => run((index) => index.clocks(0, atMost, receivedMaxMs))
      expect(await clocks(9n, Infinity)).toBe(undefined)
      expect(await clocks(10n, -Infinity)).toEqual({ partition: 0, nextOffset: 10n, receivedMaxMs: null, heartbeatMaxMs: -0.5, tenantMaxMs: new Map([["ü", 0]]) })
      for (const at of [1, 2, 50, 99]) {
        const expected = { partition: 0, nextOffset: BigInt(at * 10 + 10), receivedMaxMs: at * apart * 20, heartbeatMaxMs: at - 0.5, tenantMaxMs: new Map([["ü", at]]) }
        expect(await clocks(BigInt(at * 10 + 19), Infinity)).toEqual(expected)
        expect(await clocks(100_000n, at * apart * 20)).toEqual(expected)
        expect(await clocks(100_000n, (at + 1) * apart * 20 - 1)).toEqual(expected)
      }
    }))

    it("may forget clocks between near ones, and then answers those just before them", session(async (run) => {
      const near = CLOCKS_APART.receivedMs / 4
      await run((index) => saveAll(index, Array.from({ length: 200 }, (_, i) => segment(i * 10, i * 10 + 10, { receivedMaxMs: i * near }))))
      for (let at = 0; at < 200; at += 7) {
        const found = await run((index) => index.clocks(0, BigInt(at * 10 + 10), Infinity))
        expect((found?.receivedMaxMs ?? Infinity) - at * near).toBeLessThanOrEqual(0)
        expect(at * near - (found?.receivedMaxMs ?? -Infinity)).toBeLessThanOrEqual(CLOCKS_APART.receivedMs)
        expect(await run((index) => index.clocks(0, 10_000n, at * near))).toEqual(found)
      }
    }))

    it("finds each of many import entries saved in many segments, and none that was not saved", session(async (run) => {
      const sizes = Array.from({ length: 40 }, (_, i) => (i % 7 === 0 ? 900 : 37))
      const count = sizes.reduce((sum, size) => sum + size, 0)
      const missed = await run((index) =>
        Effect.gen(function* () {
          let from = 0
          for (const size of sizes) {
            const offsets = Array.from({ length: size }, (_, i) => from + i)
            yield* index.save(segment(from, from + size, { imports: { hi: Uint32Array.from(offsets, spread), lo: Uint32Array.from(offsets, (offset) => offset % 3), offset: Float64Array.from(offsets) } }))
            from += size
          }
          const { imports } = yield* index.load(0, BigInt(count))
          const wrong: number[] = []
          for (let i = 0; i < count; i++)
            if (!imports.has(spread(i), i % 3, i + 1) || imports.has(spread(i), i % 3, i) || imports.has(spread(i), (i % 3) + 1, count) || imports.has(spread(count + i), i % 3, count)) wrong.push(i)
          return wrong
        }))
      expect(missed).toEqual([])
    }))

    it("continues a partition exactly, its import entries out of memory", session(async (run) => {
      const records = Array.from({ length: 400 }, (_, i) => event(`e${(i * 7) % 90}`, i * (DAY_MS / 60), i % 3 === 0 ? "b" : undefined))
      const whole = new PartitionState(0, SEED)
      const expected = records.map((record) => whole.observe(record))
      for (const cut of [100, 101, 250, 399]) {
        const observed = await run((index) =>
          Effect.gen(function* () {
            const stored = yield* index.load(0, BigInt(cut))
            const state = PartitionState.fromSegments(0, SEED, stored.segments, stored.imports)
            const results = []
            for (let i = Number(stored.nextOffset); i < records.length; i++) {
              const record = records[i]
              if (record !== undefined) results.push([i, state.observe(record)])
              const taken = i % 10 === 0 ? state.takeSegment() : undefined
              if (taken === undefined) continue
              yield* index.save(taken)
              state.segmentSaved(taken)
            }
            return results
          }))
        expect(observed).toEqual(expected.map((result, i) => [i, result]).slice(records.length - observed.length))
        expect(observed.length).toBeGreaterThan(0)
      }
    }))
  })
}
