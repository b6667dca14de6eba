import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { REJECTED_LIMITS } from "@tidemark/domain/ports/rejectedLimits"
import { RejectedLog } from "@tidemark/domain/ports/RejectedLog"
import type { RejectedEvent } from "@tidemark/domain/ports/RejectedLog"
import { rejectedLogContract } from "@tidemark/domain/ports/RejectedLog.contract"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { openRoot } from "./lmdbEnvironment.ts"
import { rejectedLogLmdb } from "./RejectedLogLmdb.ts"
import { putTogether, rejectedStores } from "./rejectedStores.ts"

const temporary = () => mkdtempSync(join(tmpdir(), "tidemark-rejected-"))

/** As a process that serves runs it: Node takes no TypeScript for the entry of a thread, so its build is used. */
const builtThread = new URL("./dist/rejectedThreadMain.js", import.meta.url)

for (const [name, writeThread] of [["LMDB", undefined], ["LMDB with a thread that writes", builtThread]] as const) {
  rejectedLogContract(name, () => {
    const directory = temporary()
    return { open: (limits) => rejectedLogLmdb({ directory, writeThread, limits }), dispose: async () => rmSync(directory, { recursive: true, force: true }) }
  })
}

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

  it("fails no put for the sake of another that is committed with it", async () => {
    const entry = (entryId: string): RejectedEvent =>
      ({ tenantId: "acme", entryId, receivedAtMs: 1, eventId: null, eventType: null, code: "C", pointer: "", detail: "", origin: null, body: "" })
    const asked = Effect.gen(function* () {
      const log = yield* RejectedLog
      const ids = ["a", "b", "c".repeat(5_000), "d", "e"]
      const exits = yield* Effect.forEach(ids, (id) => Effect.exit(log.put([entry(id)])), { concurrency: "unbounded" })
      return { stored: exits.map(({ _tag }) => _tag === "Success"), page: (yield* log.page("acme", 10)).map(({ entryId }) => entryId) }
    })
    expect(await Effect.runPromise(Effect.provide(asked, rejectedLogLmdb({ directory, writeThread: builtThread })))).toEqual({ stored: [true, true, false, true, true], page: ["e", "d", "b", "a"] })
  })

  it("writes nothing more once the disk did not sync what was put together", async () => {
    const root = openRoot(directory)
    let commits = 0
    const failing = rejectedStores(root, () => {
      commits += 1
      throw new Error("EIO")
    }, REJECTED_LIMITS)
    const failed = { kind: "failed", reason: "Error: EIO" }
    expect([putTogether(failing, [[], []], () => true), commits]).toEqual([[failed, failed], 1])
    expect([putTogether(failing, [[], []], () => false), commits]).toEqual([[failed, failed], 4])
    await root.close()
  })

  it("names the directory that cannot be opened", async () => {
    const file = join(directory, "file")
    writeFileSync(file, "")
    const opened = Effect.gen(function* () { return yield* RejectedLog }).pipe(Effect.provide(rejectedLogLmdb({ directory: join(file, "log") })), Effect.flip)
    expect(await Effect.runPromise(opened)).toMatchObject({ _tag: "EnvironmentOpenError", directory: join(file, "log") })
  })
})
