/** Has an admin key act for all tenants, as those that the start is given do. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { decideOperates } from "@tidemark/domain/settings/key/decide"
import type { KeyPlace } from "@tidemark/domain/settings/key/decide"
import { keyAggregate } from "./createKey.ts"
import { decideAndAppend } from "./settings/decideAndAppend.ts"
import type { Act } from "./settings/decideAndAppend.ts"

/** Fails with KeyMissingError, and with InvalidSettingError for a key that is no admin key. */
export const letKeyOperate = Effect.fn(function* (place: KeyPlace, act: Act) {
  const nowMs = yield* Clock.currentTimeMillis
  return yield* decideAndAppend(keyAggregate(place.tenantId, place.keyId), act, (key) => decideOperates(key, place, nowMs))
})
