import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeSettingsModel } from "@tidemark/commands/settingsModel"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { eventStoreLmdb } from "@tidemark/infra-embedded/EventStoreLmdb"
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ensureFirstKeys } from "./firstKeys.ts"

const given = { write: "w".repeat(24), read: "r".repeat(24), admin: "a".repeat(24) }
const wanted = [{ tenantId: "default", name: "Default", given }]

describe("the first keys", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-keys-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const run = <A>(program: Effect.Effect<A, unknown, EventStore | import("effect").Scope.Scope>): Promise<A> =>
    Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(eventStoreLmdb({ directory: join(directory, "settings"), nowMs: () => 1 }))))

  it("are created once when several processes start at once, and every process knows them", async () => {
    await run(Effect.gen(function* () {
      const models = yield* Effect.all(Array.from({ length: 4 }, () => makeSettingsModel()))
      const all = yield* Effect.all(models.map((model, at) => ensureFirstKeys(model, join(directory, String(at)), wanted)), { concurrency: "unbounded" })
      for (const { known } of all) expect(known["default"]).toEqual(given)
      const store = yield* EventStore
      const types = (yield* store.readAll(-1n, 100, 0)).map(({ type }) => type)
      expect(types).toHaveLength(4)
    }))
  })
})
