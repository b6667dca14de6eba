import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import { rejectedLogContract } from "@tidemark/domain/ports/RejectedLog.contract"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { rejectedLogLmdb } from "./RejectedLogLmdb.ts"

const temporary = () => mkdtempSync(join(tmpdir(), "tidemark-rejected-"))

rejectedLogContract("LMDB", () => {
  const directory = temporary()
  return { open: () => rejectedLogLmdb({ directory }), dispose: async () => rmSync(directory, { recursive: true, force: true }) }
})

describe("the LMDB rejected log", () => {
  let directory: string
  beforeEach(() => {
    directory = temporary()
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it("stores nothing of a batch that fails", async () => {
    const entry: RejectedEvent = {
      tenantId: "acme", entryId: "a", receivedAtMs: 1, eventId: null, eventType: null, code: "C", pointer: "", detail: "", origin: null, body: ""
    }
    const unstorable = { ...entry, entryId: "b".repeat(5_000) }
    const result = await Effect.runPromise(
      Effect.gen(function* () {
        const log = yield* RejectedLog
        const error = yield* Effect.flip(log.put([entry, unstorable]))
        return { error, page: yield* log.page("acme", 10), after: yield* log.page("acme", 10, "a") }
      }).pipe(Effect.provide(rejectedLogLmdb({ directory }))))
    expect(result).toMatchObject({ error: { _tag: "RejectedLogError" }, page: [], after: [] })
  })

  it("names the directory that cannot be opened", async () => {
    const file = join(directory, "file")
    writeFileSync(file, "")
    const opened = Effect.gen(function* () { return yield* RejectedLog }).pipe(Effect.provide(rejectedLogLmdb({ directory: join(file, "log") })), Effect.flip)
    expect(await Effect.runPromise(opened)).toMatchObject({ _tag: "EnvironmentOpenError", directory: join(file, "log") })
  })
})
