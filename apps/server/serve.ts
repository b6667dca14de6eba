/** The roles of one process, by default the whole platform: ingest, projector threads, query API, dashboard, on one port. */
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { makeSettingsModel } from "@tidemark/commands/settingsModel"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import { heartbeats } from "@tidemark/ingest/heartbeats"
import { rejectedRetention } from "@tidemark/ingest/rejectedRetention"
import { watchLogClock } from "@tidemark/ingest/logClock"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { announceAppends } from "@tidemark/projector/appendSignal"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ServerSettings } from "./context.ts"
import { runDemo } from "./demo.ts"
import { ensureFirstKeys } from "./firstKeys.ts"
import type { FirstKeys, WantedTenant } from "./firstKeys.ts"
import { listen } from "./listen.ts"
import { watchVitals } from "./liveVitals.ts"
import { startProjectors } from "./projectors.ts"
import type { Projectors } from "./projectors.ts"
import { startRebuilds } from "./rebuilds.ts"
import type { ServeOptions } from "./serveOptions.ts"

const wantedTenants = ({ demo, keys }: ServerSettings): readonly WantedTenant[] => [
  { tenantId: "default", name: "Default", operates: true, given: keys },
  ...(demo ? [{ tenantId: "demo", name: "Demo shop", operates: false, given: { write: undefined, read: undefined, admin: undefined } }] : [])
]

const startDemo = Effect.fn(function* ({ settings, announcer }: ServeOptions, { known }: FirstKeys, url: string) {
  const { write, admin } = known["demo"] ?? {}
  if (write === undefined || admin === undefined) return announcer.progress("demo: its keys are not known any more, so it sends nothing")
  yield* Effect.forkScoped(runDemo({ url, dataDir: settings.dataDir, writeKey: write, adminKey: admin, report: announcer.progress }))
})

/** Serves until `end` completes; what it opened closes with it, in reverse order. */
export const serve = (given: ServeOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const vitals = watchVitals(given.telemetry, randomUUID())
      const options: ServeOptions = { ...given, telemetry: vitals.telemetry }
      const { settings, announcer } = options
      if (settings.shared) yield* Effect.forkScoped(vitals.share)
      const log = yield* EventLog
      const model = yield* makeSettingsModel()
      const keys = yield* ensureFirstKeys(model, settings.dataDir, wantedTenants(settings))
      if (settings.roles.has("projector")) yield* ensureGenerations(projections)
      const projectors: Projectors = settings.roles.has("projector") ? yield* startProjectors(options, model) : { appended: () => {}, parts: () => [] }
      const rebuilds = settings.roles.has("replay") ? yield* startRebuilds(options, model, vitals) : undefined
      const announcing = announceAppends(log, projectors.appended)
      const clock = settings.roles.has("ingest") ? watchLogClock(announcing, (skewMs) => options.telemetry.clockSkew(skewMs / 1_000)) : undefined
      const parts = () => [...projectors.parts(), ...(clock === undefined ? [] : [clock.part()])]
      yield* Effect.gen(function* () {
        if (settings.roles.has("ingest")) {
          yield* Effect.forkScoped(heartbeats)
          yield* Effect.forkScoped(rejectedRetention)
        }
        const url = yield* listen(options, model, keys, parts, rebuilds)
        const shown = Object.fromEntries(Object.entries(keys.generated).filter(([, made]) => Object.keys(made).length > 0))
        if (Object.keys(shown).length > 0) announcer.keys(shown, join(settings.dataDir, "keys.json"))
        announcer.ready(url, settings.demo)
        if (settings.demo) yield* startDemo(options, keys, url)
        yield* Deferred.await(options.end)
        announcer.stopping()
      }).pipe(Effect.provideService(EventLog, clock?.log ?? announcing))
    })
  )
