import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import type { PartitionIndexShape, PartitionSegment } from "@tidemark/domain/ports/PartitionIndex"
import { partitionIndexContract } from "@tidemark/domain/ports/PartitionIndex.contract"
import { partitionIndexLmdb } from "@tidemark/infra-embedded/PartitionIndexLmdb"
import { sharedClocksPostgres } from "@tidemark/infra-postgres/SharedClocksPostgres"
import { databaseUrl, dropNamespace, freshNamespace } from "@tidemark/infra-postgres/testDatabase"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

const indexIn = (directory: string, namespace: string, logId: string) => sharedClocksPostgres({ url: databaseUrl(), namespace, logId }, partitionIndexLmdb({ directory, logId }))

partitionIndexContract("LMDB with clocks in Postgres", () => {
  const directory = mkdtempSync(join(tmpdir(), "tidemark-index-"))
  const namespace = freshNamespace()
  return {
    open: () => indexIn(directory, namespace, "log-1"),
    dispose: async () => {
      rmSync(directory, { recursive: true, force: true })
      await dropNamespace(namespace)
    }
  }
})

describe("clocks in Postgres", () => {
  let directories: readonly string[]
  let namespace: string
  beforeEach(() => {
    directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), "tidemark-index-")))
    namespace = freshNamespace()
  })
  afterEach(async () => {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
    await dropNamespace(namespace)
  })
  const use = <A, E>(at: number, action: (index: PartitionIndexShape) => Effect.Effect<A, E>, logId = "log-1"): Promise<A> =>
    Effect.runPromise(Effect.gen(function* () { return yield* action(yield* PartitionIndex) }).pipe(Effect.provide(indexIn(directories[at] ?? "", namespace, logId))))
  const none = { hi: new Uint32Array(), lo: new Uint32Array(), offset: new Float64Array() }
  const segment = (from: bigint, to: bigint, receivedMaxMs: number): PartitionSegment =>
    ({ partition: 0, from, to, receivedMaxMs, heartbeatMaxMs: -Infinity, tenantMaxMs: new Map([["t\u0000\ud800", 1.5]]), live: { ...none, receivedMs: new Float64Array() }, imports: none })

  it("are found by a process that has none of the segments, of the log asked for only, and stay as they were saved first", async () => {
    await use(0, (index) => index.save(segment(0n, 10n, 5)))
    const clocks = { partition: 0, nextOffset: 10n, receivedMaxMs: 5, heartbeatMaxMs: null, tenantMaxMs: new Map([["t\u0000\ud800", 1.5]]) }
    expect(await use(1, (index) => index.clocks(0, 12n, Infinity))).toEqual(clocks)
    expect((await use(1, (index) => index.load(0, 12n))).nextOffset).toBe(0n)
    expect(await use(1, (index) => index.clocks(0, 12n, Infinity), "log-2")).toBe(undefined)
    await use(1, (index) => index.save(segment(0n, 10n, 7)))
    expect(await use(0, (index) => index.clocks(0, 12n, Infinity))).toEqual(clocks)
  })
})
