/** Revokes a key of a tenant; every process stops taking it as soon as its settings model has followed. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { KeyMissingError, decideRevokeKey } from "@tidemark/domain/settings/key/decide"
import type { KeyPlace } from "@tidemark/domain/settings/key/decide"
import { isTenantId } from "@tidemark/domain/settings/streams"
import { keyAggregate } from "./createKey.ts"
import { decideAndAppend } from "./settings/decideAndAppend.ts"
import type { Act } from "./settings/decideAndAppend.ts"

const KEY_ID = /^[0-9a-f]{32}$/

/** Fails with KeyMissingError; a key that is revoked already stays so. */
export const revokeKey = Effect.fn(function* (command: KeyPlace, act: Act) {
  const { tenantId, keyId } = command
  if (!isTenantId(tenantId) || !KEY_ID.test(keyId)) return yield* new KeyMissingError({ keyId })
  const nowMs = yield* Clock.currentTimeMillis
  return yield* decideAndAppend(keyAggregate(tenantId, keyId), act, (key) => decideRevokeKey(key, command, nowMs))
})
