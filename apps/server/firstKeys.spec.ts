import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { revokeKey } from "@tidemark/commands/revokeKey"
import { makeSettingsModel } from "@tidemark/commands/settingsModel"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import { eventStoreLmdb } from "@tidemark/infra-embedded/EventStoreLmdb"
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { ensureFirstKeys } from "./firstKeys.ts"

const given = { write: "w".repeat(24), read: "r".repeat(24), admin: "a".repeat(24) }
const wanted = [{ tenantId: "default", name: "Default", operates: true, given }]

describe("the first keys", () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tidemark-keys-"))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const run = <A>(program: Effect.Effect<A, unknown, EventStore | Scope>): Promise<A> =>
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

  it("given by hand are added by each start that names new ones; those of earlier starts stay until revoked, and a revoked one does not come back", async () => {
    const other = { write: "W".repeat(24), read: given.read, admin: given.admin }
    await run(Effect.gen(function* () {
      const model = yield* makeSettingsModel()
      yield* ensureFirstKeys(model, directory, wanted)
      const second = yield* ensureFirstKeys(model, directory, [{ tenantId: "default", name: "Default", operates: true, given: other }])
      expect(second).toEqual({ known: { default: other }, generated: { default: {} } })
      expect([given.write, other.write].map((text) => model.verifyKey(text)?.role)).toEqual(["write", "write"])
      const first = model.keys("default").find(({ keyId }) => keyId === model.verifyKey(given.write)?.keyId)
      if (first === undefined) throw new Error("the first key is not listed")
      const { position } = yield* revokeKey({ tenantId: "default", keyId: first.keyId }, { actor: "test", reason: "lost" })
      if (position !== undefined) yield* model.reached(position)
      const third = yield* ensureFirstKeys(model, directory, wanted)
      expect(third.known["default"]?.write).toBeUndefined()
      expect(model.verifyKey(given.write)).toBeUndefined()
    }))
  })

  it("make the admin key of the tenant that operates act for all, the one of an earlier version too, and no other", async () => {
    const demo = { tenantId: "demo", name: "Demo", operates: false, given: { write: "x".repeat(24), read: "y".repeat(24), admin: "z".repeat(24) } }
    await run(Effect.gen(function* () {
      const model = yield* makeSettingsModel()
      const operators = () => [given.write, given.read, given.admin, demo.given.admin].map((text) => model.verifyKey(text)?.operator)
      yield* ensureFirstKeys(model, directory, [...wanted.map((tenant) => ({ ...tenant, operates: false })), demo])
      expect(operators()).toEqual([false, false, false, false])
      for (let times = 0; times < 2; times++) {
        yield* ensureFirstKeys(model, directory, [...wanted, demo])
        expect(operators()).toEqual([false, false, true, false])
      }
      expect((yield* (yield* EventStore).readAll(-1n, 100, 0)).filter(({ type }) => type === "key.operates")).toHaveLength(1)
    }))
    const fresh = { ...given, admin: "b".repeat(24) }
    await run(Effect.gen(function* () {
      const model = yield* makeSettingsModel()
      yield* ensureFirstKeys(model, directory, [{ tenantId: "default", name: "Default", operates: true, given: fresh }])
      expect(model.verifyKey(fresh.admin)?.operator).toBe(true)
    }))
  })
})
