/** The whole platform in one process: ingest, projector threads, query API, dashboard, on one port. */
import { randomBytes } from "node:crypto"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { isApiPath, makeApiHandlers } from "@tidemark/api/makeApiHandlers"
import type { ApiPorts } from "@tidemark/api/context"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import { makeSettingsModel } from "@tidemark/commands/settingsModel"
import { eventTypes } from "@tidemark/domain/events/types/catalogue"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { heartbeats } from "@tidemark/ingest/heartbeats"
import { makeIngestHandlers } from "@tidemark/ingest/makeIngestHandlers"
import { projections } from "@tidemark/projections/registry"
import { ensureGenerations } from "@tidemark/projections/runtime/ensureGenerations"
import { makeOutboxDrain } from "@tidemark/projections/runtime/outboxDrain"
import { announceAppends } from "@tidemark/projector/appendSignal"
import { makeProjectorPool } from "@tidemark/projector/projectorPool"
import type { StartThread } from "@tidemark/projector/projectorPool"
import { Deferred, Effect } from "effect"
import type { Announcer } from "./announce.ts"
import { makeAudit } from "./auditThread.ts"
import type { StartCheck } from "./checkThread.ts"
import { isLoopback } from "./context.ts"
import type { ServerSettings, Telemetry } from "./context.ts"
import { runDemo } from "./demo.ts"
import { ensureFirstKeys } from "./firstKeys.ts"
import type { FirstKeys, WantedTenant } from "./firstKeys.ts"
import { makeHostGuard } from "./hostGuard.ts"
import { serveHttp } from "./httpServer.ts"
import { adminRefusal, makeOperatorRoutes } from "./operatorRoutes.ts"
import { makeRouter } from "./router.ts"
import { StartError } from "./startError.ts"
import { makeStaticHandler } from "./staticFiles.ts"
import { makeVerifyHandler } from "./verifyHandler.ts"

export interface ServeOptions {
  readonly settings: ServerSettings
  readonly telemetry: Telemetry
  readonly announcer: Announcer
  readonly startThread: StartThread
  readonly startCheck: StartCheck
  /** The built dashboard. */
  readonly dashboardDirectory: string
  readonly version: string
  /** Completes when the process is asked to stop; fails when it has to. */
  readonly end: Deferred.Deferred<void, StartError>
}

const wantedTenants = ({ demo, keys }: ServerSettings): readonly WantedTenant[] => [
  { tenantId: "default", name: "Default", given: keys },
  ...(demo ? [{ tenantId: "demo", name: "Demo shop", given: { write: undefined, read: undefined, admin: undefined } }] : [])
]

/** Projector threads and the outbox drain they wake. Answers what is to be called after an append. */
const startProjectors = Effect.fn(function* ({ telemetry, startThread, end }: ServeOptions, lanes: number) {
  const drain = makeOutboxDrain()
  const { log } = telemetry
  const pool = yield* makeProjectorPool({
    lanes,
    processors: availableParallelism(),
    startThread,
    nowMs: () => Date.now(),
    onCommitted: (reports) => {
      for (const { durationMs } of reports) telemetry.flushed(durationMs)
      drain.wake()
    },
    onHalted: (halt) => log.error({ ...halt }, "a projection halted"),
    onRetrying: (failure) => log.warn({ ...failure }, "a lane goes on from its checkpoint"),
    onRestarted: (died, cause) => log.error({ lanes: died, cause }, "a projector thread died and was started again"),
    onGivenUp: (sentence) => void Deferred.doneUnsafe(end, Effect.fail(new StartError(sentence)))
  })
  yield* Effect.forkScoped(drain.run)
  telemetry.watchOutbox(drain.ageMs)
  return pool.appended
})

const ingestKeyOf = (model: SettingsModel) => (keyText: string) => {
  const key = model.verifyKey(keyText)
  if (key === undefined) return undefined
  const { tenantId, role, prefix, allowedOrigins } = key
  return { tenantId, kind: role, keyPrefix: prefix, allowedOrigins, strict: model.tenant(tenantId)?.strict ?? false }
}

const urlOf = (host: string, port: number): string => `http://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`

/** Everything that answers over HTTP. Answers the URL it listens at. */
const listen = Effect.fn(function* (options: ServeOptions, model: SettingsModel, { known }: FirstKeys) {
  const { settings, telemetry, dashboardDirectory, version } = options
  const { log } = telemetry
  const services = yield* Effect.context<ApiPorts>()
  const resolveKey = ingestKeyOf(model)
  const ingest = yield* makeIngestHandlers({ resolveKey, schemas: eventTypes, metrics: { eventsAnswered: telemetry.ingested, failed: (error) => log.error({ error: String(error) }, "ingest failed") } })
  const api = yield* Effect.acquireRelease(
    Effect.sync(() => makeApiHandlers({
      services,
      resolveKey,
      metrics: { queryAnswered: telemetry.queried, subscriptionClients: telemetry.sockets, failed: (operation, error) => log.warn({ operation, error: String(error) }, "a question failed") }
    })),
    ({ close }) => Effect.promise(close)
  )
  const hostAllowed = makeHostGuard(settings.host)
  const run = Effect.runPromiseWith(services) as <A, E>(effect: Effect.Effect<A, E, EventLog | ReadModelStore>) => Promise<A>
  const token = isLoopback(settings.host) ? randomBytes(32).toString("base64url") : undefined
  const audit = makeAudit(options.startCheck, randomBytes(4).readInt32LE(), telemetry)
  yield* Effect.forkScoped(audit.run)
  const verifyHandler = makeVerifyHandler({ refusal: adminRefusal(model), startCheck: options.startCheck, tenants: () => model.tenants().map(({ tenantId }) => tenantId) })
  const onRequest = makeRouter({
    hostAllowed,
    handlers: [ingest.handle, async (request, response) => isApiPath(request.url) && (await api.handleGraphql(request, response), true), verifyHandler],
    routes: makeOperatorRoutes({ run, telemetry, model, auditPart: audit.part, signIn: token === undefined ? undefined : { keys: known, token }, version }),
    page: makeStaticHandler(dashboardDirectory, token),
    onFailure: (error) => log.error({ error: String(error) }, "a request failed")
  })
  const port = yield* serveHttp({
    onRequest,
    onUpgrade: (request, socket, head) => {
      if (hostAllowed(request.headers.host) && isApiPath(request.url)) api.handleUpgrade(request, socket, head)
      else socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    }
  }, settings.host, settings.port)
  return urlOf(settings.host, port)
})

const startDemo = Effect.fn(function* ({ settings, announcer }: ServeOptions, { known }: FirstKeys, url: string) {
  const { write, admin } = known["demo"] ?? {}
  if (write === undefined || admin === undefined) return announcer.progress("demo: its keys are not known any more, so it sends nothing")
  yield* Effect.forkScoped(runDemo({ url, dataDir: settings.dataDir, writeKey: write, adminKey: admin, report: announcer.progress }))
})

/** Serves until `end` completes; what it opened closes with it, in reverse order. */
export const serve = (options: ServeOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { settings, announcer } = options
      const log = yield* EventLog
      const model = yield* makeSettingsModel()
      const keys = yield* ensureFirstKeys(model, settings.dataDir, wantedTenants(settings))
      yield* ensureGenerations(projections)
      const appended = yield* startProjectors(options, log.identity.lanes)
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(heartbeats)
        const url = yield* listen(options, model, keys)
        const shown = Object.fromEntries(Object.entries(keys.generated).filter(([, made]) => Object.keys(made).length > 0))
        if (Object.keys(shown).length > 0) announcer.keys(shown, join(settings.dataDir, "keys.json"))
        announcer.ready(url, settings.demo)
        if (settings.demo) yield* startDemo(options, keys, url)
        yield* Deferred.await(options.end)
        announcer.stopping()
      }).pipe(Effect.provideService(EventLog, announceAppends(log, appended)))
    })
  )
