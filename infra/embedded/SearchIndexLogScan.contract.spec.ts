import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encodeEvent } from "@tidemark/domain/events/envelope"
import { EventLog, LogUnavailableError } from "@tidemark/domain/ports/EventLog"
import type { LogRecord } from "@tidemark/domain/ports/EventLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import { searchIndexContract } from "@tidemark/domain/ports/SearchIndex.contract"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { eventLogLmdb } from "./EventLogLmdb.ts"
import { searchIndexLogScan } from "./SearchIndexLogScan.ts"

const NOW_MS = 1_600_000_000_000

const logIn = (directory: string) => eventLogLmdb({ directory, role: "writer", partitions: 3, lanes: 1, nowMs: () => NOW_MS, newLogId: () => "log-1" })

searchIndexContract("a scan of the LMDB log", () => {
  const directory = mkdtempSync(join(tmpdir(), "tidemark-search-"))
  const filled = (records: readonly LogRecord[]) =>
    Layer.effect(EventLog, Effect.gen(function* () {
      const log = yield* EventLog
      for (let i = 0; i < records.length; i += 40) yield* log.append(records.slice(i, i + 40))
      return log
    })).pipe(Layer.provide(logIn(directory)))
  return {
    open: (records) => searchIndexLogScan.pipe(Layer.provide(filled(records))),
    dispose: async () => rmSync(directory, { recursive: true, force: true })
  }
})

describe("the log scan", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-search-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const eventAt = (i: number): LogRecord => ({
    partition: 0,
    key: "k",
    value: encodeEvent({ id: `e${i}`, source: "s", type: "x", timeMs: NOW_MS + i, receivedAtMs: NOW_MS + i, tenantId: "t", partitionKey: "k", schemaVersion: 0 }, undefined)
  })

  it("finds what was appended after it was opened, reads only the end for a short page, and holds its cursor while the log grows", async () => {
    const found = await Effect.runPromise(
      Effect.gen(function* () {
        const log = yield* EventLog
        const index = yield* SearchIndex
        yield* log.append(Array.from({ length: 2_000 }, (_, i) => eventAt(i)))
        const first = yield* index.searchEvents({ tenantId: "t" }, { limit: 2, scanMaxRecords: 10 })
        yield* log.append([eventAt(2_000)])
        const second = yield* index.searchEvents({ tenantId: "t" }, { limit: 1, scanMaxRecords: 10, before: first.next ?? [] })
        return { first, second }
      }).pipe(Effect.provide(searchIndexLogScan.pipe(Layer.provideMerge(logIn(directory)))))
    )
    expect(found.first.hits.map(({ offset }) => offset)).toEqual([2_000n, 1_999n])
    expect(found.first.scannedRecords).toBe(2)
    expect(found.second.hits.map(({ offset }) => offset)).toEqual([1_998n])
  })

  it("says that search is unavailable when the log does not answer", async () => {
    const silent = Layer.effect(EventLog, Effect.map(EventLog, (log) => ({ ...log, read: () => Effect.fail(new LogUnavailableError({ cause: new Error("no answer") })) }))).pipe(Layer.provide(logIn(directory)))
    const failed = Effect.gen(function* () { return yield* (yield* SearchIndex).searchEvents({ tenantId: "t" }, { limit: 1, scanMaxRecords: 10 }) }).pipe(Effect.flip, Effect.provide(searchIndexLogScan.pipe(Layer.provide(silent))))
    expect(await Effect.runPromise(failed)).toMatchObject({ _tag: "SearchUnavailableError", cause: { _tag: "LogUnavailableError" } })
  })
})
