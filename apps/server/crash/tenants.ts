/** The tenants of the campaigns. */
import { makeSettingsModel } from "@tidemark/commands/settingsModel"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { ensureFirstKeys } from "../firstKeys.ts"
import { keysOf } from "./serverProcess.ts"

/** The first one is made by the server's first start. */
export const TENANTS: readonly string[] = ["default", "north", "south", "west"]

/** Makes all but the first, each with its keys, before a server starts on these settings. `dataDir` stays as it is. */
export const createTenants = (settings: Layer.Layer<EventStore, unknown>, dataDir: string): Promise<unknown> => {
  const wanted = TENANTS.slice(1).map((tenantId) => ({ tenantId, name: tenantId, operates: false, given: keysOf(tenantId) }))
  const program = Effect.gen(function* () {
    yield* ensureFirstKeys(yield* makeSettingsModel(), dataDir, wanted)
  })
  return Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(settings)))
}
