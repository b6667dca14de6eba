import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { EventStore } from "@tidemark/domain/ports/EventStore"
import type { CreateKey } from "@tidemark/domain/settings/key/decide"
import { createKey } from "../createKey.ts"
import { createTenant } from "../createTenant.ts"
import { revokeKey } from "../revokeKey.ts"
import { makeSettingsModel } from "../settingsModel.ts"
import type { SettingsModel } from "../settingsModel.ts"
import { makeFakeEventStore } from "./fakes.ts"

const NOW = 1_700_000_000_000
const act = { actor: "sha256_0a1b2c3d", reason: "a new shop" }
const acme = { tenantId: "acme", name: "Acme", strict: false }
const writeKey: CreateKey = { tenantId: "acme", role: "write", name: "web", allowedOrigins: [], expiresAtMs: null }

type Fake = ReturnType<typeof makeFakeEventStore>

const run = <A, E>(fake: Fake, effect: Effect.Effect<A, E, EventStore | Scope.Scope>): Promise<A> =>
  Effect.runPromise(TestClock.setTime(NOW).pipe(Effect.andThen(effect), Effect.scoped, Effect.provideService(EventStore, fake.shape), Effect.provide(TestClock.layer())))

const withModel = <A, E>(use: (model: SettingsModel, fake: Fake) => Effect.Effect<A, E, EventStore | Scope.Scope>, fake = makeFakeEventStore()): Promise<A> =>
  run(fake, Effect.gen(function* () {
    yield* createTenant(acme, act)
    return yield* use(yield* makeSettingsModel(), fake)
  }))

const followed = Effect.fn(function* (model: SettingsModel, { position }: { readonly position?: bigint | undefined }) {
  if (position !== undefined) yield* model.reached(position)
})

describe("createTenant", () => {
  it("appends one event with who did it and why, and refuses the same tenant a second time", async () => {
    const fake = makeFakeEventStore()
    await run(fake, createTenant(acme, act))
    expect(fake.stored).toMatchObject([{ stream: "acme-tenant-self", type: "tenant.created", data: acme, metadata: act }])
    expect(await run(fake, Effect.flip(createTenant(acme, act)))).toMatchObject({ _tag: "TenantExistsError" })
    expect(await run(fake, Effect.flip(createTenant({ ...acme, tenantId: "$all" }, act)))).toMatchObject({ _tag: "InvalidSettingError", pointer: "/tenantId" })
    expect(fake.stored).toHaveLength(1)
  })

  it("decides again when somebody created the tenant in between", async () => {
    const fake = makeFakeEventStore()
    fake.control.beforeAppend = Effect.asVoid(Effect.orDie(fake.shape.append("acme-tenant-self", [{ id: "other", type: "tenant.created", data: acme }], -1n)))
    expect(await run(fake, Effect.flip(createTenant(acme, act)))).toMatchObject({ _tag: "TenantExistsError" })
    expect(fake.stored).toHaveLength(1)
  })
})

describe("createKey", () => {
  it("makes keys of 256 random bits with the mark of their role, and stores nothing that gives the key away", () =>
    withModel((model, fake) => Effect.gen(function* () {
      for (const [role, mark] of [["write", "tm_wk_"], ["read", "tm_rk_"], ["admin", "tm_ak_"]] as const) {
        const { keyText, prefix } = yield* createKey({ ...writeKey, role }, act, model)
        expect(keyText).toMatch(new RegExp(`^${mark}[A-Za-z0-9_-]{43}$`))
        expect(keyText.startsWith(prefix)).toBe(true)
        expect(prefix).toHaveLength(12)
        expect(JSON.stringify(fake.stored.map(({ data, metadata, stream }) => ({ data, metadata, stream })))).not.toContain(keyText.slice(12))
      }
      expect(new Set(fake.stored.map(({ stream }) => stream)).size).toBe(4)
    })))

  it("takes a text of 24 characters given by hand and shows nothing of it", () =>
    withModel((model, fake) => Effect.gen(function* () {
      const keyText = "correct horse battery st"
      const created = yield* createKey({ ...writeKey, keyText }, act, model)
      yield* followed(model, created)
      expect(model.verifyKey(keyText)).toMatchObject({ role: "write", tenantId: "acme", prefix: created.prefix })
      expect(JSON.stringify(fake.stored.map(({ data }) => data))).not.toContain("correct")
    })))

  it("refuses a text that is too short, cannot stand in a header, or bears the mark of another role", () =>
    withModel((model) => Effect.gen(function* () {
      for (const keyText of ["x".repeat(23), "x".repeat(257), `${"x".repeat(24)}\n`, `é${"x".repeat(24)}`, `tm_ak_${"x".repeat(43)}`]) {
        const error = yield* Effect.flip(createKey({ ...writeKey, keyText }, act, model))
        expect(error).toMatchObject({ _tag: "InvalidSettingError", pointer: "/keyText" })
        expect(JSON.stringify(error)).not.toContain("xxxx")
      }
    })))

  it("refuses a tenant that does not exist and a text that is a key already, of whatever tenant", () =>
    withModel((model) => Effect.gen(function* () {
      expect(yield* Effect.flip(createKey({ ...writeKey, tenantId: "other" }, act, model))).toMatchObject({ _tag: "TenantMissingError" })
      const keyText = "k".repeat(24)
      yield* followed(model, yield* createKey({ ...writeKey, keyText }, act, model))
      yield* createTenant({ ...acme, tenantId: "other" }, act)
      for (const tenantId of ["acme", "other"]) expect(yield* Effect.flip(createKey({ ...writeKey, tenantId, keyText }, act, model))).toMatchObject({ _tag: "KeyExistsError" })
    })))

  it("leaves a text to the tenant that had it first when two took it at the same time", () =>
    withModel((model) => Effect.gen(function* () {
      yield* createTenant({ ...acme, tenantId: "other" }, act)
      const keyText = "k".repeat(24)
      const blind = { isKnown: () => false }
      yield* createKey({ ...writeKey, keyText }, act, blind)
      const second = yield* createKey({ ...writeKey, tenantId: "other", keyText }, act, blind)
      yield* followed(model, second)
      expect(model.verifyKey(keyText)?.tenantId).toBe("acme")
      yield* followed(model, yield* revokeKey({ tenantId: "other", keyId: second.keyId }, act))
      expect(model.verifyKey(keyText)?.tenantId).toBe("acme")
    })))
})

describe("revokeKey", () => {
  it("ends a key for good, in every process that follows, and not a key of another tenant", () =>
    withModel((model, fake) => Effect.gen(function* () {
      const other = yield* makeSettingsModel()
      const created = yield* createKey(writeKey, act, model)
      yield* followed(other, created)
      expect(other.verifyKey(created.keyText)?.keyId).toBe(created.keyId)
      for (const command of [{ tenantId: "other", keyId: created.keyId }, { tenantId: "acme", keyId: "../../x" }]) expect(yield* Effect.flip(revokeKey(command, act))).toMatchObject({ _tag: "KeyMissingError" })
      yield* followed(other, yield* revokeKey({ tenantId: "acme", keyId: created.keyId }, act))
      expect(other.verifyKey(created.keyText)).toBeUndefined()
      const events = fake.stored.length
      expect(yield* revokeKey({ tenantId: "acme", keyId: created.keyId }, act)).toEqual({})
      expect(fake.stored).toHaveLength(events)
      expect(other.keys("acme")).toMatchObject([{ keyId: created.keyId, revokedAtMs: NOW }])
    })))
})

describe("the settings model", () => {
  it("knows at its start what was stored before, beyond one page", async () => {
    const fake = makeFakeEventStore()
    const keyText = "z".repeat(24)
    await withModel((model) => createKey({ ...writeKey, keyText }, act, model), fake)
    for (let n = 0; n < 1_500; n++) await Effect.runPromise(fake.shape.append("acme-other-1", [{ id: `o${n}`, type: "other.happened", data: n }], "any"))
    await run(fake, createTenant({ ...acme, tenantId: "last", strict: true }, act))
    await run(fake, Effect.gen(function* () {
      const model = yield* makeSettingsModel()
      expect(model.verifyKey(keyText)?.role).toBe("write")
      expect(model.tenant("last")?.strict).toBe(true)
      expect(model.tenants().map(({ tenantId }) => tenantId)).toEqual(["acme", "last"])
    }))
  })

  it("takes no text that is not exactly a key", () =>
    withModel((model) => Effect.gen(function* () {
      const created = yield* createKey(writeKey, act, model)
      yield* followed(model, created)
      const { keyText, keyId } = created
      for (const wrong of ["", " ", keyText.slice(0, -1), `${keyText} `, keyText.toLowerCase(), keyId, "x".repeat(10_000_000)]) expect(model.verifyKey(wrong)).toBeUndefined()
      expect(model.verifyKey(keyText)?.keyId).toBe(keyId)
    })))

  it("stops taking a key at the instant it expires", () =>
    withModel((model) => Effect.gen(function* () {
      const created = yield* createKey({ ...writeKey, expiresAtMs: NOW + 60_000 }, act, model)
      yield* followed(model, created)
      yield* TestClock.setTime(NOW + 59_999)
      expect(model.verifyKey(created.keyText)).toBeDefined()
      yield* TestClock.setTime(NOW + 60_000)
      expect(model.verifyKey(created.keyText)).toBeUndefined()
    })))

  it("reads on when the event store answers again", () =>
    withModel((model, fake) => Effect.gen(function* () {
      fake.control.readFaults = 3
      yield* createKey(writeKey, act, model)
      yield* TestClock.adjust(1_499)
      expect(fake.control.readFaultsMet).toBe(3)
      const created = yield* createKey(writeKey, act, model)
      expect(model.isKnown(created.keyText)).toBe(false)
      yield* TestClock.adjust(1)
      yield* followed(model, created)
      expect(model.verifyKey(created.keyText)).toBeDefined()
      expect(model.health()).toMatchObject({ corrupt: undefined })
    })))

  it("takes no key any more once it meets a settings event it cannot read, and does not start with one", () =>
    withModel((model, fake) => Effect.gen(function* () {
      const created = yield* createKey(writeKey, act, model)
      yield* followed(model, created)
      const { position } = yield* fake.shape.append(`acme-key-${created.keyId}`, [{ id: "bad", type: "key.revoked", data: {} }], "any")
      expect(yield* Effect.flip(model.reached(position))).toMatchObject({ _tag: "SettingsCorruptError" })
      expect(model.verifyKey(created.keyText)).toBeUndefined()
      expect(yield* Effect.flip(makeSettingsModel())).toMatchObject({ _tag: "SettingsCorruptError", type: "key.revoked" })
    })))

  it("does not follow an event that speaks of another stream's tenant", () =>
    withModel((model, fake) => Effect.gen(function* () {
      const data = { keyId: "0".repeat(32), tenantId: "other", hash: "0".repeat(64), prefix: "p", role: "admin", name: "", allowedOrigins: [], createdAtMs: 0, expiresAtMs: null }
      const { position } = yield* fake.shape.append(`acme-key-${data.keyId}`, [{ id: "bad", type: "key.created", data }], "any")
      expect(yield* Effect.flip(model.reached(position))).toMatchObject({ _tag: "SettingsCorruptError" })
      expect(model.keys("other")).toEqual([])
    })))
})
