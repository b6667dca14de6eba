/**
 * Tenants and keys that a start must find: tenant `default`, with the demo also tenant `demo`, each with one key of
 * every role.
 *
 * Generated keys go to the local key file before they are created, so a start that breaks off between the two is
 * finished by the next. A key that was ever created is never created again, revoked or not. Whoever starts the server
 * operates it: the admin key of tenant `default` that the start is given or makes acts for all tenants. Rules:
 * docs/security.md §1, §2.
 */
import { createKey } from "@tidemark/commands/createKey"
import { createTenant } from "@tidemark/commands/createTenant"
import { letKeyOperate } from "@tidemark/commands/letKeyOperate"
import { generateKeyText } from "@tidemark/commands/settings/keyText"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import * as Effect from "effect/Effect"
import { readKeyFile, writeKeyFile } from "./keyFile.ts"
import type { KeyFile, TenantKeys } from "./keyFile.ts"

const ROLES = ["write", "read", "admin"] as const

type Role = (typeof ROLES)[number]

export interface WantedTenant {
  readonly tenantId: string
  readonly name: string
  /** Its admin key acts for all tenants. */
  readonly operates: boolean
  /** Keys given by hand. */
  readonly given: Readonly<Record<Role, string | undefined>>
}

export interface FirstKeys {
  /** Every key text known here that is taken: given by hand or from the key file. */
  readonly known: KeyFile
  /** Those made by this start, to be shown once. */
  readonly generated: KeyFile
}

const act = { actor: "start", reason: "first start" }

/** A generated text for each role that has neither a given key, nor one in the file, nor any in the settings. */
const missingKeys = (model: SettingsModel, { tenantId, given }: WantedTenant, filed: TenantKeys): TenantKeys => {
  const present = new Set(model.keys(tenantId).map(({ role }) => role))
  const roles = ROLES.filter((role) => given[role] === undefined && filed[role] === undefined && !present.has(role))
  return Object.fromEntries(roles.map((role) => [role, generateKeyText(role)]))
}

const LOOK_EVERY_MS = 20
const LOOKS_MAX = 500

/** Another process that starts now was quicker: what it stored comes with the next look at the event store. */
const followed = Effect.fn(function* (isThere: () => boolean) {
  for (let look = 0; look < LOOKS_MAX && !isThere(); look++) yield* Effect.sleep(LOOK_EVERY_MS)
  return isThere()
})

const ensureTenant = Effect.fn(function* (model: SettingsModel, { tenantId, name }: WantedTenant) {
  const isThere = () => model.tenant(tenantId) !== undefined
  if (isThere()) return
  yield* createTenant({ tenantId, name, strict: false }, act).pipe(
    Effect.flatMap(({ position }) => (position === undefined ? Effect.void : model.reached(position))),
    Effect.catchTag("TenantExistsError", (error) => Effect.flatMap(followed(isThere), (there) => (there ? Effect.void : Effect.fail(error))))
  )
})

const ensureKeys = Effect.fn(function* (model: SettingsModel, { tenantId, operates }: WantedTenant, texts: TenantKeys) {
  for (const role of ROLES) {
    const keyText = texts[role]
    if (keyText === undefined || model.isKnown(keyText)) continue
    const operator = operates && role === "admin"
    const isOurs = () => model.keys(tenantId).some((key) => key.role === role) && model.isKnown(keyText)
    yield* createKey({ tenantId, role, operator, name: `first ${role} key`, allowedOrigins: [], expiresAtMs: null, keyText }, act, model).pipe(
      Effect.flatMap(({ position }) => (position === undefined ? Effect.void : model.reached(position))),
      Effect.catchTag("KeyExistsError", (error) => Effect.flatMap(followed(isOurs), (ours) => (ours ? Effect.void : Effect.fail(error))))
    )
  }
})

/** An admin key of an earlier version, given or filed, acts for all tenants like those that are made now. */
const ensureOperator = Effect.fn(function* (model: SettingsModel, { tenantId }: WantedTenant, keyText: string | undefined) {
  const key = keyText === undefined ? undefined : model.verifyKey(keyText)
  if (key === undefined || key.tenantId !== tenantId || key.role !== "admin" || key.operator) return
  const { position } = yield* letKeyOperate({ tenantId, keyId: key.keyId }, act)
  if (position !== undefined) yield* model.reached(position)
})

const taken = (model: SettingsModel, tenantId: string, texts: TenantKeys): TenantKeys =>
  Object.fromEntries(ROLES.flatMap((role) => {
    const text = texts[role]
    return text !== undefined && model.verifyKey(text)?.tenantId === tenantId ? [[role, text]] : []
  }))

/** Brings tenants and keys into being; repeatable. Fails when a given key cannot be taken. */
export const ensureFirstKeys = Effect.fn(function* (model: SettingsModel, dataDir: string, wanted: readonly WantedTenant[]) {
  const filed = readKeyFile(dataDir)
  const generated: KeyFile = Object.fromEntries(wanted.map((tenant) => [tenant.tenantId, missingKeys(model, tenant, filed[tenant.tenantId] ?? {})]))
  const isNew = Object.values(generated).some((keys) => Object.keys(keys).length > 0)
  const file: KeyFile = { ...filed, ...Object.fromEntries(wanted.map(({ tenantId }) => [tenantId, { ...filed[tenantId], ...generated[tenantId] }])) }
  if (isNew) yield* Effect.sync(() => writeKeyFile(dataDir, file))
  const known: Record<string, TenantKeys> = {}
  for (const tenant of wanted) {
    const { tenantId, given } = tenant
    const byHand: TenantKeys = Object.fromEntries(ROLES.flatMap((role) => (given[role] === undefined ? [] : [[role, given[role]]])))
    yield* ensureTenant(model, tenant)
    const texts = { ...file[tenantId], ...byHand }
    yield* ensureKeys(model, tenant, texts)
    if (tenant.operates) yield* ensureOperator(model, tenant, texts.admin)
    known[tenantId] = { ...taken(model, tenantId, file[tenantId] ?? {}), ...taken(model, tenantId, byHand) }
  }
  return { known, generated } satisfies FirstKeys
})
