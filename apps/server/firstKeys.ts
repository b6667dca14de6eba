/**
 * Tenants and keys that a start must find: tenant `default`, with the demo also tenant `demo`, each with one key of
 * every role.
 *
 * Generated keys go to the local key file before they are created, so a start that breaks off between the two is
 * finished by the next. A key that was ever created is never created again, revoked or not. Rules: docs/security.md §1.
 */
import { createKey } from "@tidemark/commands/createKey"
import { createTenant } from "@tidemark/commands/createTenant"
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

const ensureKeys = Effect.fn(function* (model: SettingsModel, tenantId: string, texts: TenantKeys) {
  for (const role of ROLES) {
    const keyText = texts[role]
    if (keyText === undefined || model.isKnown(keyText)) continue
    const isOurs = () => model.keys(tenantId).some((key) => key.role === role) && model.isKnown(keyText)
    yield* createKey({ tenantId, role, name: `first ${role} key`, allowedOrigins: [], expiresAtMs: null, keyText }, act, model).pipe(
      Effect.flatMap(({ position }) => (position === undefined ? Effect.void : model.reached(position))),
      Effect.catchTag("KeyExistsError", (error) => Effect.flatMap(followed(isOurs), (ours) => (ours ? Effect.void : Effect.fail(error))))
    )
  }
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
    yield* ensureKeys(model, tenantId, { ...file[tenantId], ...byHand })
    known[tenantId] = { ...taken(model, tenantId, file[tenantId] ?? {}), ...taken(model, tenantId, byHand) }
  }
  return { known, generated } satisfies FirstKeys
})
