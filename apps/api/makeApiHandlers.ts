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
import type * as Context from "effect/Context"
import { TokenBuckets } from "@tidemark/domain/ports/tokenBuckets"
import { buildApiSchema } from "./buildApiSchema.ts"
import type { ApiMetrics, ApiPorts } from "./context.ts"
import { makeYoga } from "./guard.ts"
import { answerHttp } from "./http.ts"
import type { ResolveKey } from "./keys.ts"
import { makeLateDesk } from "./lateDesk.ts"
import type { RebuildDesk } from "./rebuildDesk.ts"
import { serveSockets } from "./webSocket.ts"

const WRONG_KEYS_PER_MINUTE = 10

export interface ApiDependencies {
  /** The ports that questions read: ReadModelStore, EventLog, SearchIndex, RejectedLog, PubSub. More may be in it. */
  readonly services: Context.Context<ApiPorts>
  /**
   * Whose key this text is: `{ tenantId, kind }`, undefined when it is unknown, expired or revoked. May be async. Asked
   * once a request; for a socket when it opens and then at least every 30 s, so a revoked key loses its sockets.
   */
  readonly resolveKey: ResolveKey
  readonly metrics?: ApiMetrics
  /** Of `makeRebuildDesk`; absent: rebuilds are answered with UNAVAILABLE. */
  readonly rebuilds?: RebuildDesk
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

export const makeApiHandlers = ({ services, resolveKey, metrics = {}, rebuilds, wrongKeysPerMinute = WRONG_KEYS_PER_MINUTE }: ApiDependencies): ApiHandlers => {
  const yoga = makeYoga(buildApiSchema())
  const buckets = new TokenBuckets(wrongKeysPerMinute, wrongKeysPerMinute / 60)
  const api = { services, metrics, late: makeLateDesk(services), ...(rebuilds === undefined ? {} : { rebuilds }), wrongKey: (address: string) => buckets.take(address, 1, performance.now()).retryAfterSeconds }
  const sockets = serveSockets(yoga, resolveKey, api)
  return {
    handleGraphql: (req, res) => answerHttp(req, res, yoga, resolveKey, api),
    handleUpgrade: sockets.handleUpgrade,
    close: sockets.close
  }
}
