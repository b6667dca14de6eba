import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { PartitionIndex } from "@tidemark/domain/ports/PartitionIndex"
import { PubSub } from "@tidemark/domain/ports/PubSub"
import { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import { SearchIndex } from "@tidemark/domain/ports/SearchIndex"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { readConfiguration } from "./configuration.ts"
import { engines } from "./engines.ts"

describe("the embedded engines", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-engines-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const configuration = () => readConfiguration({ flags: new Map(), environment: { TIDEMARK_PARTITIONS: "3" }, workingDirectory: directory, terminal: false })

  it("refuse a log that was created with other partitions or lanes than somebody names now, and take it when nobody does", async () => {
    const open = (environment: Record<string, string>) =>
      Effect.runPromise(Effect.flip(Effect.provide(Effect.flatMap(Effect.gen(function* () { return yield* EventLog }), ({ identity }) => Effect.fail(identity)), engines(readConfiguration({ flags: new Map(), environment, workingDirectory: directory, terminal: false })))))
    expect(await open({ TIDEMARK_PARTITIONS: "3" })).toMatchObject({ partitions: 3, lanes: 3 })
    expect(await open({ TIDEMARK_PARTITIONS: "5" })).toMatchObject({ _tag: "LogIdentityError", what: "partitions", stored: 3, wanted: 5 })
    expect(await open({ TIDEMARK_LANES: "2" })).toMatchObject({ _tag: "LogIdentityError", what: "lanes", stored: 3, wanted: 2 })
    expect(await open({})).toMatchObject({ partitions: 3 })
  })

  it("open together, every port once, close and open again on the same log", async () => {
    const logId = () =>
      Effect.runPromise(
        Effect.gen(function* () {
          for (const port of [EventStore, PartitionIndex, PubSub, ReadModelStore, RejectedLog, SearchIndex]) yield* Effect.gen(function* () { return yield* port })
          const log = yield* EventLog
          expect(log.identity).toMatchObject({ partitions: 3, lanes: 3 })
          return log.identity.logId
        }).pipe(Effect.provide(engines(configuration())))
      )
    const first = await logId()
    expect(await logId()).toBe(first)
  })
})
