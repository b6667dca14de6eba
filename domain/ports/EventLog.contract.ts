/** What every event log must do. Runs unchanged on each adapter. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import { describe, expect, it } from "vitest"
import { EventLog } from "./EventLog.ts"
import type { EventLogShape, LogBatch } from "./EventLog.ts"

export interface EventLogHarness {
  /** The same stored log each time it is opened. */
  readonly open: (partitions: number) => Layer.Layer<EventLog, unknown>
  /** The log's own clock, Unix ms. */
  readonly nowMs: () => number
  readonly dispose: () => Promise<void>
}

const encoder = new TextEncoder()
const record = (partition: number, value: string) => ({ partition, key: "k", value: encoder.encode(value) })

const valuesOf = (batches: readonly LogBatch[]): { partition: number; offset: bigint; value: string }[] =>
  batches.flatMap((batch) =>
    [...batch.ends].map((end, index) => ({
      partition: batch.partition,
      offset: batch.firstOffset + BigInt(index),
      value: new TextDecoder().decode(batch.bytes.subarray(index === 0 ? 0 : batch.ends[index - 1], end))
    })))

const readAll = (log: EventLogShape, partition: number, from: bigint, bytesMax = 1 << 20) =>
  log.read([{ partition, nextOffset: from }], { bytesMax, waitMaxMs: 0 }).pipe(Effect.map(valuesOf))

/** Declares the suite for one adapter. */
export const eventLogContract = (name: string, makeHarness: () => EventLogHarness): void => {
  const session = (body: (run: <A>(use: (log: EventLogShape) => Effect.Effect<A, unknown>, partitions?: number) => Promise<A>, harness: EventLogHarness) => Promise<void>) => async () => {
    const harness = makeHarness()
    const run = <A>(use: (log: EventLogShape) => Effect.Effect<A, unknown>, partitions = 2): Promise<A> =>
      Effect.runPromise(Effect.gen(function* () { return yield* use(yield* EventLog) }).pipe(Effect.provide(harness.open(partitions))))
    try {
      await body(run, harness)
    } finally {
      await harness.dispose()
    }
  }

  describe(`EventLog on ${name}`, () => {
    it("starts every partition with its genesis record and keeps its identity and partition count", session(async (run) => {
      const first = await run((log) => Effect.gen(function* () { return { identity: log.identity, genesis: [yield* readAll(log, 0, 0n), yield* readAll(log, 1, 0n)] } }))
      expect(first.identity).toMatchObject({ partitions: 2 })
      for (const [partition, records] of first.genesis.entries()) {
        expect(records).toHaveLength(1)
        expect(JSON.parse(records[0]?.value ?? "")).toMatchObject({ type: "tidemark.log.created", data: { logId: first.identity.logId, partitions: 2, partition } })
      }
      expect(await run((log) => Effect.succeed(log.identity), 7)).toEqual(first.identity)
    }))

    it("answers dense offsets in order and reads back what it answered, after reopening too", session(async (run) => {
      const stored = await run((log) => log.append([record(0, "a"), record(1, "b"), record(0, "c")]))
      expect(stored).toMatchObject([{ partition: 0, offset: 1n }, { partition: 1, offset: 1n }, { partition: 0, offset: 2n }])
      expect(await run((log) => readAll(log, 0, 1n))).toEqual([{ partition: 0, offset: 1n, value: "a" }, { partition: 0, offset: 2n, value: "c" }])
      expect(await run((log) => log.append([record(0, "d")]))).toMatchObject([{ partition: 0, offset: 3n }])
      expect(await run((log) => log.bounds(0))).toEqual({ start: 0n, end: 4n })
    }))

    it("says when it took each record, by its own clock", session(async (run, { nowMs }) => {
      const fromMs = nowMs()
      const stored = await run((log) => log.append([record(0, "a"), record(1, "b")]))
      const toMs = nowMs()
      expect(stored).toHaveLength(2)
      for (const { appendedAtMs } of stored) {
        // An engine on the same machine may have a coarser clock.
        expect(appendedAtMs).toBeGreaterThanOrEqual(fromMs - 50)
        expect(appendedAtMs).toBeLessThanOrEqual(toMs + 50)
      }
    }))

    it("gives concurrent appends distinct dense offsets and keeps each batch in its order", session(async (run) => {
      const result = await run((log) =>
        Effect.gen(function* () {
          const batches = Array.from({ length: 50 }, (_, b) => Array.from({ length: 7 }, (_unused, i) => record((b + i) % 2, `${b}/${i}`)))
          const stored = yield* Effect.all(batches.map((batch) => log.append(batch)), { concurrency: "unbounded" })
          return { batches, stored, read: [yield* readAll(log, 0, 0n), yield* readAll(log, 1, 0n)] }
        }))
      for (const records of result.read) expect(records.map(({ offset }) => offset)).toEqual(records.map((_, index) => BigInt(index)))
      result.batches.forEach((batch, b) =>
        batch.forEach(({ value }, i) => {
          const at = result.stored[b]?.[i]
          expect(result.read[at?.partition ?? -1]?.[Number(at?.offset)]?.value).toBe(new TextDecoder().decode(value))
        }))
    }))

    it("says with every batch whether the partition holds more", session(async (run) => {
      const appended = await run((log) => log.append([record(0, "a".repeat(30_000)), record(1, "b")]).pipe(Effect.andThen(log.append([record(0, "c".repeat(30_000))])), Effect.andThen(log.append([record(0, "d")]))))
      const end = (appended[0]?.offset ?? 0n) + 1n
      const told = await run((log) => Effect.gen(function* () {
        const seen: { readonly reached: bigint; readonly more: boolean }[] = []
        for (let next = 0n; next < end;) {
          for (const batch of yield* log.read([{ partition: 0, nextOffset: next }], { bytesMax: 16_384, waitMaxMs: 1_000 })) {
            next = batch.firstOffset + BigInt(batch.ends.length)
            seen.push({ reached: next, more: batch.more })
          }
        }
        return seen
      }))
      expect(told.length).toBeGreaterThan(1)
      for (const { reached, more } of told) expect(more).toBe(reached < end)
    }))

    it("resumes exactly at any offset, within a block and across blocks, whatever the byte budget", session(async (run) => {
      await run((log) => Effect.gen(function* () {
        yield* log.append(Array.from({ length: 5 }, (_, i) => record(0, `v${i + 1}`)))
        yield* log.append(Array.from({ length: 5 }, (_, i) => record(0, `v${i + 6}`)))
      }))
      for (let from = 1; from <= 11; from++) {
        const [whole, some] = await run((log) => Effect.all([readAll(log, 0, BigInt(from)), readAll(log, 0, BigInt(from), 1)]))
        expect(whole.map(({ value }) => value)).toEqual(Array.from({ length: 11 - from }, (_, i) => `v${from + i}`))
        expect(some).toEqual(whole.slice(0, some.length))
        if (from < 11) expect(some.length).toBeGreaterThan(0)
      }
    }))

    it("refuses an offset beyond its end with both bounds and never jumps", session(async (run) => {
      const error = await run((log) => Effect.flip(readAll(log, 0, 5n)))
      expect(error).toMatchObject({ _tag: "OffsetOutOfRangeError", partition: 0, wanted: 5n, start: 0n, end: 1n })
    }))

    it("refuses a record of a partition it does not have and stores nothing of that batch", session(async (run) => {
      const exit = await run((log) => Effect.exit(log.append([record(0, "a"), record(2, "b")])))
      expect(Exit.isFailure(exit)).toBe(true)
      expect(await run((log) => log.bounds(0))).toEqual({ start: 0n, end: 1n })
    }))

    it("wakes a waiting reader with what was appended", session(async (run) => {
      const records = await run((log) =>
        Effect.gen(function* () {
          const [read] = yield* Effect.all([log.read([{ partition: 1, nextOffset: 1n }], { bytesMax: 1 << 20, waitMaxMs: 30_000 }), log.append([record(1, "late")])], { concurrency: 2 })
          return valuesOf(read)
        }))
      expect(records).toEqual([{ partition: 1, offset: 1n, value: "late" }])
    }))

    it("keeps a reader of one partition waiting while only others are appended to", session(async (run) => {
      const records = await run((log) =>
        Effect.gen(function* () {
          const appends = log.append([record(0, "other")]).pipe(Effect.andThen(log.append([record(1, "mine")])))
          const [read] = yield* Effect.all([log.read([{ partition: 1, nextOffset: 1n }], { bytesMax: 1 << 20, waitMaxMs: 30_000 }), appends], { concurrency: 2 })
          return valuesOf(read)
        }))
      expect(records).toEqual([{ partition: 1, offset: 1n, value: "mine" }])
    }))

    it("answers an empty list when nothing comes before the wait is over", session(async (run) => {
      expect(await run((log) => log.read([{ partition: 1, nextOffset: 1n }], { bytesMax: 1 << 20, waitMaxMs: 5 }))).toEqual([])
    }))

    it("verifies every record it stored", session(async (run) => {
      await run((log) => log.append([record(0, "a"), record(0, "b")]))
      await run((log) => log.append([record(0, "c")]))
      expect(await run((log) => log.verify(0))).toMatchObject({ records: 4n })
    }))

    it("verifies from an offset on", session(async (run) => {
      await run((log) => log.append([record(0, "a"), record(0, "b")]))
      await run((log) => log.append([record(0, "c")]))
      await run((log) => log.append([record(0, "d"), record(0, "e")]))
      expect(await run((log) => log.verify(0, 3n))).toMatchObject({ records: 3n })
    }))
  })
}
