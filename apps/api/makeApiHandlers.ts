/**
 * The query API as plain handlers that a node:http server mounts: GraphQL over HTTP and, on the same path, over
 * WebSocket (subprotocol graphql-transport-ws).
 *
 *     const api = makeApiHandlers({ services, resolveKey, metrics })
 *     http.createServer((req, res) => (isApiPath(req.url) ? void api.handleGraphql(req, res) : …))
 *     server.on("upgrade", (req, socket, head) => (isApiPath(req.url) ? api.handleUpgrade(req, socket, head) : socket.destroy()))
 *     await api.close() // before the services' scope closes
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { RateLimiter } from "@tidemark/domain/ports/RateLimiter"
import { makeLocalLimiter } from "@tidemark/domain/ports/tokenBuckets"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { buildApiSchema } from "./buildApiSchema.ts"
import type { ApiMetrics, ApiPorts, AuditState } from "./context.ts"
import { makeYoga } from "./guard.ts"
import { answerHttp } from "./http.ts"
import type { ResolveKey } from "./keys.ts"
import { makeLateDesk } from "./lateDesk.ts"
import type { RebuildDesk } from "./rebuildDesk.ts"
import type { RedriveDesk } from "./redriveDesk.ts"
import { serveSockets } from "./webSocket.ts"

const WRONG_KEYS_PER_MINUTE = 10
const KEEP_ANSWERS_FROM_MS = 5

export interface ApiDependencies {
  /**
   * The ports that questions read: ReadModelStore, EventLog, SearchIndex, RejectedLog, PubSub. More may be in it; a
   * ResultCache keeps the answers of long questions, a RateLimiter shares the count of wrong keys.
   */
  readonly services: Context.Context<ApiPorts>
  /**
   * Whose key this text is: `{ tenantId, kind }`, undefined when it is unknown, expired or revoked. May be async. Asked
   * once a request; for a socket when it opens and then at least every 30 s, so a revoked key loses its sockets.
   */
  readonly resolveKey: ResolveKey
  readonly metrics?: ApiMetrics
  /** Of `makeRebuildDesk`; absent: rebuilds are answered with UNAVAILABLE. */
  readonly rebuilds?: RebuildDesk
  /** What the background audit has found; absent where this process runs none. */
  readonly audit?: () => AuditState
  /** Of `makeRedriveDesk`; absent: sending refused events again is answered with UNAVAILABLE. */
  readonly redrives?: RedriveDesk
  /** Answers that took less than this to make, ms, are not kept in the result cache; 5 when absent. */
  readonly keepAnswersFromMs?: number
  /** Wrong keys taken from one address within a minute before it is answered 429; 10 when absent. */
  readonly wrongKeysPerMinute?: number
}

export interface ApiHandlers {
  /**
   * Answers one request to `/graphql`, whatever its method; never rejects. 401 without a valid key, 429 after many of them, 403 with a write
   * key, 405, 413, 415 and 400 for requests that are none; else GraphQL's answer.
   */
  readonly handleGraphql: (req: IncomingMessage, res: ServerResponse) => Promise<void>
  /** Takes one upgrade of `/graphql`; ends the socket with 403 for a page of another origin. Never throws. */
  readonly handleUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Ends every socket with code 1001 and what runs for it; later upgrades are refused with 503. */
  readonly close: () => Promise<void>
}

/** True for `/graphql`, with or without a query string. */
export const isApiPath = (url: string | undefined): boolean => (url ?? "").split("?")[0] === "/graphql"

/** Counts wrong keys with the other processes where a `RateLimiter` is among the services, else here. */
const wrongKeysOf = (services: Context.Context<ApiPorts>, perMinute: number): ((address: string) => Promise<number | undefined>) => {
  const limit = { name: "graphql-wrong-keys", capacity: perMinute, perSecond: perMinute / 60 }
  const shared = Context.getOption(services, RateLimiter)
  if (Option.isSome(shared)) return async (address) => (await Effect.runPromise(shared.value.take(limit, address, 1))).retryAfterSeconds
  const takeHere = makeLocalLimiter()
  return async (address) => takeHere(limit, address, 1, performance.now()).retryAfterSeconds
}

export const makeApiHandlers = ({ services, resolveKey, metrics = {}, rebuilds, redrives, audit, wrongKeysPerMinute = WRONG_KEYS_PER_MINUTE, keepAnswersFromMs = KEEP_ANSWERS_FROM_MS }: ApiDependencies): ApiHandlers => {
  const yoga = makeYoga(buildApiSchema())
  const wrongKey = wrongKeysOf(services, wrongKeysPerMinute)
  const api = { services, metrics, late: makeLateDesk(services), ...(rebuilds === undefined ? {} : { rebuilds }), ...(redrives === undefined ? {} : { redrives }), ...(audit === undefined ? {} : { audit }), wrongKey, keepAnswersFromMs }
  const sockets = serveSockets(yoga, resolveKey, api)
  return {
    handleGraphql: (req, res) => answerHttp(req, res, yoga, resolveKey, api),
    handleUpgrade: sockets.handleUpgrade,
    close: sockets.close
  }
}
