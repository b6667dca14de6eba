/** Everything of one process that answers over HTTP, on one port: what its roles have, and the operators' routes always. */
import { randomBytes } from "node:crypto"
import { statfsSync } from "node:fs"
import { isApiPath, makeApiHandlers } from "@tidemark/api/makeApiHandlers"
import type { ApiPorts } from "@tidemark/api/context"
import { makeRebuildDesk } from "@tidemark/api/rebuildDesk"
import { makeRedriveDesk } from "@tidemark/api/redriveDesk"
import { makeAcceptEvents } from "@tidemark/commands/accept-events/acceptEvents"
import { makeSchemaRegistry } from "@tidemark/commands/accept-events/schemas"
import type { SettingsModel } from "@tidemark/commands/settingsModel"
import { hashSeedOf } from "@tidemark/domain/events/hashSeed"
import { eventTypes } from "@tidemark/domain/events/types/catalogue"
import { EventLog } from "@tidemark/domain/ports/EventLog"
import type { EventStore } from "@tidemark/domain/ports/EventStore"
import type { ReadModelStore } from "@tidemark/domain/ports/ReadModelStore"
import { makeIngestHandlers } from "@tidemark/ingest/makeIngestHandlers"
import { projections } from "@tidemark/projections/registry"
import * as Effect from "effect/Effect"
import { makeAudit } from "./auditThread.ts"
import { isLoopback } from "./context.ts"
import type { FirstKeys } from "./firstKeys.ts"
import { makeHostGuard } from "./hostGuard.ts"
import { serveHttp } from "./httpServer.ts"
import { operatorRefusal, makeOperatorRoutes } from "./operatorRoutes.ts"
import { makeLogCheck } from "./logCheck.ts"
import type { Projectors } from "./projectors.ts"
import type { Rebuilds } from "./rebuilds.ts"
import { makeRouter } from "./router.ts"
import type { ServeOptions } from "./serveOptions.ts"
import { makeStaticHandler } from "./staticFiles.ts"
import { makeVerifyHandler } from "./verifyHandler.ts"

const ingestKeyOf = (model: SettingsModel) => (keyText: string) => {
  const key = model.verifyKey(keyText)
  if (key === undefined) return undefined
  const { tenantId, role, operator, prefix, allowedOrigins } = key
  return { tenantId, kind: role, operator, keyPrefix: prefix, allowedOrigins, strict: model.tenant(tenantId)?.strict ?? false }
}

/** Room that a process without privileges has on the disk of `directory`. */
const freeBytesIn = (directory: string): number => {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Of a process that rebuilds nothing. */
const NO_REBUILDS: Rebuilds = { rate: { of: () => undefined, last: () => undefined }, throttle: () => undefined }

const urlOf = (host: string, port: number): string => `http://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`

/** Everything that answers over HTTP. Answers the URL it listens at. */
export const listen = Effect.fn(function* (options: ServeOptions, model: SettingsModel, { known }: FirstKeys, roleParts: Projectors["parts"], { rate, throttle }: Rebuilds = NO_REBUILDS) {
  const { settings, telemetry, dashboardDirectory, version } = options
  const { log } = telemetry
  const services = yield* Effect.context<ApiPorts | EventStore>()
  const resolveKey = ingestKeyOf(model)
  const ingest = settings.roles.has("ingest") ? yield* makeIngestHandlers({
    resolveKey, schemas: eventTypes, duplicates: settings.shared ? "own" : "whole", limits: { dedupeBytesMax: settings.dedupeBytesMax },
    metrics: { eventsAnswered: telemetry.ingested, requestAnswered: telemetry.ingestAnswered, failed: (error) => log.error({ error: String(error) }, "ingest failed") }
  }) : undefined
  const tenants = () => model.tenants().map(({ tenantId }) => tenantId)
  const audit = makeAudit(options.startCheck, randomBytes(4).readInt32LE(), tenants, telemetry)
  const accept = ingest?.accept ?? (settings.shared ? yield* makeAcceptEvents({ schemas: makeSchemaRegistry(eventTypes), hashSeed: hashSeedOf((yield* EventLog).identity.logId), duplicates: "own" }) : undefined)
  const api = yield* Effect.acquireRelease(
    Effect.sync(() => makeApiHandlers({
      services,
      resolveKey,
      rebuilds: makeRebuildDesk({ services, definitions: projections, tenants, diskFreeBytes: () => (settings.shared ? undefined : freeBytesIn(settings.dataDir)), standbyMs: settings.standbyMs, rate, throttle }),
      ...(accept === undefined ? {} : { redrives: makeRedriveDesk({ services, accept, isStrict: (tenantId) => model.tenant(tenantId)?.strict ?? false }) }),
      ...(settings.roles.has("projector") ? { audit: audit.state } : {}),
      metrics: { queryAnswered: telemetry.queried, cacheAsked: telemetry.cacheAsked, subscriptionClients: telemetry.sockets, failed: (operation, error) => log.warn({ operation, error: String(error) }, "a question failed") }
    })),
    ({ close }) => Effect.promise(close)
  )
  const asks = settings.roles.has("api")
  const hostAllowed = makeHostGuard(settings.host)
  const run = Effect.runPromiseWith(services) as <A, E>(effect: Effect.Effect<A, E, EventLog | ReadModelStore>) => Promise<A>
  const token = isLoopback(settings.host) ? randomBytes(32).toString("base64url") : undefined
  if (settings.roles.has("projector")) yield* Effect.forkScoped(audit.run)
  const logCheck = makeLogCheck(telemetry)
  // Of a log that others write too, the broker checks what it serves.
  if (!settings.shared) yield* Effect.forkScoped(logCheck.run)
  const verifyHandler = makeVerifyHandler({ refusal: operatorRefusal(model), startCheck: options.startCheck, tenants })
  const onRequest = makeRouter({
    hostAllowed,
    handlers: [
      ingest?.handle ?? (async () => false),
      async (request, response) => asks && isApiPath(request.url) && (await api.handleGraphql(request, response), true),
      verifyHandler
    ],
    routes: makeOperatorRoutes({ run, telemetry, model, ownParts: () => [...(settings.shared ? [] : [logCheck.part()]), ...roleParts(), ...(settings.roles.has("projector") ? [audit.part()] : [])], signIn: token === undefined ? undefined : { keys: known, token }, version }),
    page: settings.roles.has("dashboard") ? makeStaticHandler(dashboardDirectory, token) : () => false,
    onFailure: (error) => log.error({ error: String(error) }, "a request failed")
  })
  const port = yield* serveHttp({
    onRequest,
    onUpgrade: (request, socket, head) => {
      if (asks && hostAllowed(request.headers.host) && isApiPath(request.url)) api.handleUpgrade(request, socket, head)
      else socket.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    }
  }, settings.host, settings.port)
  return urlOf(settings.host, port)
})
