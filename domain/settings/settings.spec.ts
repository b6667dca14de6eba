import { describe, expect, it } from "vitest"
import { decideCreateKey, decideOperates, decideRevokeKey, validateCreateKey } from "./key/decide.ts"
import type { CreateKey } from "./key/decide.ts"
import { readKeyEvent } from "./key/events.ts"
import { evolveKey, isKeyValid } from "./key/evolve.ts"
import type { KeyRecord } from "./key/evolve.ts"
import { isTenantId, keyStream, tenantStream } from "./streams.ts"
import { decideCreateTenant, validateCreateTenant } from "./tenant/decide.ts"
import { readTenantEvent } from "./tenant/events.ts"
import { evolveTenant } from "./tenant/evolve.ts"
import type { Tenant } from "./tenant/evolve.ts"

const NOW = 1_700_000_000_000
const createKey: CreateKey = { tenantId: "acme", role: "write", name: "web", allowedOrigins: ["https://shop.example"], expiresAtMs: NOW + 1_000 }
const hashed = { keyId: "ab12", hash: "ab12cd34", prefix: "tm_wk_abcdef" }

const created = (command: CreateKey = createKey): KeyRecord => {
  const events = decideCreateKey(undefined, command, hashed, NOW)
  if (!Array.isArray(events)) throw new Error("refused")
  const key = events.reduce<KeyRecord | undefined>(evolveKey, undefined)
  if (key === undefined) throw new Error("no key")
  return key
}

describe("a tenant", () => {
  const command = { tenantId: "acme", name: "Acme", strict: true }

  it("is created once and remembers what it was created with", () => {
    const events = decideCreateTenant(undefined, command)
    if (!Array.isArray(events)) throw new Error("refused")
    const tenant = events.reduce<Tenant | undefined>(evolveTenant, undefined)
    expect(tenant).toEqual(command)
    expect(decideCreateTenant(tenant, command)).toMatchObject({ _tag: "TenantExistsError", tenantId: "acme" })
  })

  it("has an id of lower-case letters, digits and inner hyphens, and a name", () => {
    for (const id of ["a", "acme", "acme-shop-2", "a".repeat(64)]) expect(isTenantId(id)).toBe(true)
    for (const id of ["", "-a", "a-", "A", "a_b", "a/b", "a b", "$all", "a\n", "é", "a".repeat(65)]) expect(isTenantId(id)).toBe(false)
    expect(validateCreateTenant(command)).toBeUndefined()
    expect(validateCreateTenant({ ...command, tenantId: "../x" })).toMatchObject({ pointer: "/tenantId" })
    expect(validateCreateTenant({ ...command, name: " " })).toMatchObject({ pointer: "/name" })
  })

  it("acts for all tenants where it was issued so or was let to, once, and only as an admin key", () => {
    const admin: CreateKey = { ...createKey, role: "admin", allowedOrigins: [] }
    const place = { tenantId: "acme", keyId: "ab12" }
    expect(created({ ...admin, operator: true }).operator).toBe(true)
    expect(validateCreateKey({ ...admin, operator: true }, NOW)).toBeUndefined()
    expect(validateCreateKey({ ...admin, role: "read", operator: true }, NOW)).toMatchObject({ pointer: "/operator" })
    const events = decideOperates(created(admin), place, NOW)
    if (!Array.isArray(events)) throw new Error("refused")
    expect(events.map(({ type, data }) => readKeyEvent(type, data))).toEqual(events)
    const operator = events.reduce<KeyRecord | undefined>(evolveKey, created(admin))
    expect(operator).toMatchObject({ operator: true, revokedAtMs: null, role: "admin" })
    expect(decideOperates(operator, place, NOW)).toEqual([])
    expect(decideOperates(created(), place, NOW)).toMatchObject({ _tag: "InvalidSettingError" })
    expect(decideOperates(undefined, place, NOW)).toMatchObject({ _tag: "KeyMissingError" })
    // A key of an earlier version says nothing of it: its tenant's.
    const { operator: _operator, revokedAtMs: _revoked, ...earlier } = created(admin)
    const read = readKeyEvent("key.created", earlier)
    expect(typeof read === "string" ? read : evolveKey(undefined, read)?.operator).toBe(false)
  })

  it("reads its own events, leaves others alone and says when one is corrupt", () => {
    expect(readTenantEvent("tenant.created", command)).toEqual({ type: "tenant.created", data: command })
    expect(readTenantEvent("key.created", command)).toBe("other")
    expect(readTenantEvent("tenant.created", { tenantId: "acme" })).toBe("corrupt")
  })
})

describe("a key", () => {
  it("is created once and keeps the hash, never a text", () => {
    const key = created()
    expect(key).toEqual({ ...hashed, ...createKey, operator: false, createdAtMs: NOW, revokedAtMs: null })
    expect(decideCreateKey(key, createKey, hashed, NOW)).toMatchObject({ _tag: "KeyExistsError", keyId: "ab12" })
  })

  it("is taken until the instant it expires", () => {
    expect(isKeyValid(created(), NOW + 999)).toBe(true)
    expect(isKeyValid(created(), NOW + 1_000)).toBe(false)
    expect(isKeyValid(created({ ...createKey, expiresAtMs: null }), Number.MAX_SAFE_INTEGER)).toBe(true)
  })

  it("is not taken once revoked, whatever the clock says, and is revoked once", () => {
    const events = decideRevokeKey(created(), { tenantId: "acme", keyId: "ab12" }, NOW + 5)
    if (!Array.isArray(events)) throw new Error("refused")
    const revoked = events.reduce<KeyRecord | undefined>(evolveKey, created())
    expect(revoked?.revokedAtMs).toBe(NOW + 5)
    if (revoked !== undefined) expect(isKeyValid(revoked, NOW - 1)).toBe(false)
    expect(decideRevokeKey(revoked, { tenantId: "acme", keyId: "ab12" }, NOW + 9)).toEqual([])
    expect(decideRevokeKey(undefined, { tenantId: "acme", keyId: "ab12" }, NOW)).toMatchObject({ _tag: "KeyMissingError" })
  })

  it("is refused with an expiry that has passed, with origins that are none, and with origins on a key that browsers must not have", () => {
    expect(validateCreateKey(createKey, NOW)).toBeUndefined()
    expect(validateCreateKey(createKey, NOW + 1_000)).toMatchObject({ pointer: "/expiresAtMs" })
    expect(validateCreateKey({ ...createKey, expiresAtMs: 1.5 + NOW }, NOW)).toMatchObject({ pointer: "/expiresAtMs" })
    expect(validateCreateKey({ ...createKey, allowedOrigins: ["https://a.example", "https://a.example/path"] }, NOW)).toMatchObject({ pointer: "/allowedOrigins/1" })
    expect(validateCreateKey({ ...createKey, role: "admin" }, NOW)).toMatchObject({ pointer: "/allowedOrigins" })
  })

  it("reads its own events, leaves others alone and says when one is corrupt", () => {
    const { revokedAtMs: _revoked, ...data } = created()
    expect(readKeyEvent("key.created", data)).toEqual({ type: "key.created", data })
    expect(readKeyEvent("key.created", { ...data, role: "root" })).toBe("corrupt")
    expect(readKeyEvent("key.revoked", { keyId: "ab12" })).toBe("corrupt")
    expect(readKeyEvent("tenant.created", data)).toBe("other")
  })
})

describe("stream names", () => {
  it("never let a tenant's name reach into another tenant's streams", () => {
    const hex = "0123456789abcdef0123456789abcdef"
    const tenants = ["a", "b", "a-key", "a-tenant", `a-key-${hex}`, "a-tenant-self", "a-tenant-self-tenant"]
    const names = tenants.flatMap((tenantId) => [tenantStream(tenantId), keyStream(tenantId, hex)])
    expect(new Set(names).size).toBe(names.length)
  })
})
