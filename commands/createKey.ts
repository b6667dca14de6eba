/** Creates a key of a tenant, from 256 random bits or from a text given by hand. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { KeyExistsError, decideCreateKey, validateCreateKey } from "@tidemark/domain/settings/key/decide"
import type { CreateKey } from "@tidemark/domain/settings/key/decide"
import { readKeyEvent } from "@tidemark/domain/settings/key/events"
import type { KeyEvent } from "@tidemark/domain/settings/key/events"
import { evolveKey } from "@tidemark/domain/settings/key/evolve"
import type { KeyRecord } from "@tidemark/domain/settings/key/evolve"
import { keyStream } from "@tidemark/domain/settings/streams"
import { TenantMissingError } from "@tidemark/domain/settings/tenant/decide"
import { tenantAggregate } from "./createTenant.ts"
import { decideAndAppend, loadAggregate } from "./settings/decideAndAppend.ts"
import type { Act, Aggregate } from "./settings/decideAndAppend.ts"
import { generateKeyText, hashedKey, validateKeyText } from "./settings/keyText.ts"
import type { SettingsModel } from "./settingsModel.ts"

/** How a key's stream is read. */
export const keyAggregate = (tenantId: string, keyId: string): Aggregate<KeyRecord, KeyEvent> => ({ stream: keyStream(tenantId, keyId), read: readKeyEvent, evolve: evolveKey })

export interface CreatedKey {
  /** To be shown once; it cannot be read again. */
  readonly keyText: string
  readonly keyId: string
  readonly prefix: string
  /** Where it stands in the event store. */
  readonly position: bigint | undefined
}

/**
 * `keyText`: the key to take, at least 24 characters; generated when absent. `model` knows the keys of other tenants.
 * Fails with InvalidSettingError, TenantMissingError or KeyExistsError, and then nothing was stored.
 */
export const createKey = Effect.fn(function* (command: CreateKey & { readonly keyText?: string | undefined }, act: Act, model: Pick<SettingsModel, "isKnown">) {
  const nowMs = yield* Clock.currentTimeMillis
  const keyText = command.keyText ?? generateKeyText(command.role)
  const invalid = validateCreateKey(command, nowMs) ?? validateKeyText(keyText, command.role)
  if (invalid !== undefined) return yield* invalid
  const tenant = yield* loadAggregate(tenantAggregate(command.tenantId))
  if (tenant.state === undefined) return yield* new TenantMissingError({ tenantId: command.tenantId })
  const hashed = hashedKey(keyText)
  if (model.isKnown(keyText)) return yield* new KeyExistsError({ keyId: hashed.keyId })
  const { position } = yield* decideAndAppend(keyAggregate(command.tenantId, hashed.keyId), act, (key) => decideCreateKey(key, command, hashed, nowMs))
  return { keyText, keyId: hashed.keyId, prefix: hashed.prefix, position } satisfies CreatedKey
})
