import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { HORIZON_MS } from "@tidemark/domain/events/partitionState"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"
import { partitionIndexContract } from "@tidemark/domain/ports/PartitionIndex.contract"
import * as Effect from "effect/Effect"
import { open } from "lmdb"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { partitionIndexLmdb } from "./PartitionIndexLmdb.ts"

partitionIndexContract("LMDB", () => {
  const directory = mkdtempSync(join(tmpdir(), "tidemark-index-"))
  return {
    open: () => partitionIndexLmdb({ directory, logId: "log-1" }),
    dispose: async () => rmSync(directory, { recursive: true, force: true })
  }
})

/** Segment number i: one live entry and one import entry, R = i hours. */
const hourly = (i: number): PartitionSegment => ({
  partition: 0,
  from: BigInt(2 * i),
  to: BigInt(2 * i + 2),
  receivedMaxMs: (i * HORIZON_MS) / 24,
  heartbeatMaxMs: -Infinity,
  tenantMaxMs: new Map(),
  live: { hi: Uint32Array.of(1), lo: Uint32Array.of(i), receivedMs: Float64Array.of((i * HORIZON_MS) / 24), offset: Float64Array.of(2 * i) },
  imports: { hi: Uint32Array.of(2), lo: Uint32Array.of(i), offset: Float64Array.of(2 * i + 1) }
})

describe("the LMDB partition index", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-index-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const use = <A, E>(action: (index: PartitionIndexShape) => Effect.Effect<A, E>, logId = "log-1"): Promise<A> =>
    Effect.runPromise(Effect.gen(function* () { return yield* action(yield* PartitionIndex) }).pipe(Effect.provide(partitionIndexLmdb({ directory, logId }))))
  const saveHours = (count: number) => use((index) => Effect.forEach(Array.from({ length: count }, (_, i) => hourly(i)), index.save, { discard: true }))
  const stored = async (name: string): Promise<number> => {
    const root = open({ path: directory, encoding: "binary", maxDbs: 8 })
    const count = root.openDB({ name, encoding: "binary", keyEncoding: "binary" }).getCount()
    await root.close()
    return count
  }

  it("drops live entries beyond the horizon of the last 64 prefixes, loads those prefixes whole, and replays the log for older ones", async () => {
    await saveHours(200)
    expect(await stored("segments")).toBe(64 + 24)
    const load = (atMost: bigint) => use((index) => index.load(0, atMost))
    const oldest = await load(2n * 137n)
    expect([oldest.nextOffset, oldest.segments.length, oldest.segments[0]?.from]).toEqual([274n, 25, 224n])
    expect(await load(2n * 136n)).toMatchObject({ nextOffset: 0n, segments: [] })
    const newest = await load(1_000n)
    expect([newest.nextOffset, newest.segments.length]).toEqual([400n, 25])
  })

  it("merges runs of imports, so that their number grows with the logarithm of the entries", async () => {
    await saveHours(300)
    expect(await stored("runs")).toBeLessThan(8)
    const known = await use((index) => index.load(0, 1_000n).pipe(Effect.map(({ imports }) => Array.from({ length: 301 }, (_, i) => imports.has(2, i, 1_000)))))
    expect(known).toEqual(Array.from({ length: 301 }, (_, i) => i < 300))
  })

  it("answers on after another reader of the directory has merged the runs away", async () => {
    const known = await use((index) =>
      Effect.gen(function* () {
        yield* index.save(hourly(0))
        const { imports } = yield* index.load(0, 2n)
        const before = imports.has(2, 0, 2)
        yield* Effect.promise(() => saveHours(10))
        yield* index.load(1, 0n)
        return [before, imports.has(2, 0, 2)]
      }))
    expect(known).toEqual([true, true])
  })

  it("refuses a damaged segment", async () => {
    await saveHours(1)
    const root = open({ path: directory, encoding: "binary", maxDbs: 8 })
    const segments = root.openDB<Buffer, Buffer>({ name: "segments", encoding: "binary", keyEncoding: "binary" })
    for (const { key, value } of Array.from(segments.getRange())) {
      const damaged = Buffer.from(value)
      damaged[20] = (damaged[20] ?? 0) ^ 1
      segments.putSync(key, damaged)
    }
    await root.close()
    expect(await use((index) => Effect.flip(index.load(0, 2n)))).toMatchObject({ _tag: "PartitionIndexError", cause: { message: expect.stringMatching(/checksum/) as string } })
  })

  it("starts empty for another log", async () => {
    await saveHours(3)
    const other = await use((index) => index.load(0, 6n), "log-2")
    expect(other.nextOffset).toBe(0n)
    expect(await stored("pages")).toBe(0)
    expect((await use((index) => index.load(0, 6n), "log-1")).nextOffset).toBe(0n)
  })
})
