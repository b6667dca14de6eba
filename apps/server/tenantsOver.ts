/** The tenants as a checking thread has them: asked of the main thread, which follows the settings, whenever they are needed. */
import type { MessagePort } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type { FromCheck, JournalAnswer, STOP, TenantsAnswer } from "./checkThread.ts"

/** Ids of all tenants at the time of asking. */
export const tenantsOver = (port: MessagePort): Effect.Effect<readonly string[]> =>
  Effect.callback((resume) => {
    const listen = (said: JournalAnswer | TenantsAnswer | typeof STOP): void => {
      if (typeof said === "string" || !("tenants" in said)) return
      port.off("message", listen)
      resume(Effect.succeed(said.tenants))
    }
    port.on("message", listen)
    port.postMessage({ kind: "tenants" } satisfies FromCheck)
    return Effect.sync(() => void port.off("message", listen))
  })
