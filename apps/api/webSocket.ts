/** Queries and subscriptions over WebSocket: subprotocol graphql-transport-ws on the same path. */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import type { ExecutionArgs, ExecutionResult } from "graphql"
import { GraphQLError, execute } from "graphql"
import type { ServerOptions, SubscribePayload } from "graphql-ws"
import { useServer } from "graphql-ws/use/ws"
import type { Extra } from "graphql-ws/use/ws"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"
import { contextOf } from "./context.ts"
import type { ApiBase, ApiContext, KeyHolder } from "./context.ts"
import { toRequestError } from "./errors.ts"
import { tellErrors } from "./guard.ts"
import type { Yoga } from "./guard.ts"
import { admit } from "./keys.ts"
import type { ResolveKey } from "./keys.ts"
import { requestServices } from "./requestSnapshot.ts"

/** Limits of one socket; close codes as the protocol and WebSocket define them. */
export const SOCKET_LIMITS = { messageBytes: 64 * 1024, messagesPerSecond: 50, bufferBytes: 1 << 20, socketsPerKey: 100, subscriptions: 100, initWaitMs: 3_000, keyRecheckMs: 30_000 } as const

const PROTOCOL = "graphql-transport-ws"
const CLOSE = { unauthorized: 4401, forbidden: 4403, tooMany: 4429, policy: 1008, tryLater: 1013 } as const

interface Session {
  holder?: KeyHolder
  keyText?: string
  checkedAtMs?: number
  recheck?: NodeJS.Timeout
}

const isForeign = (req: IncomingMessage): boolean => {
  const { origin, host } = req.headers
  if (origin === undefined) return false
  try {
    return new URL(origin).host !== host
  } catch {
    return true
  }
}

const refuseUpgrade = (socket: Duplex, line: string): void => {
  socket.end(`HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
}

/** Closes a socket that sends more than its messages a second. */
const limitRate = (socket: WebSocket): void => {
  let second = 0
  let messages = 0
  socket.on("message", () => {
    const now = Math.floor(performance.now() / 1_000)
    if (now !== second) [second, messages] = [now, 0]
    messages += 1
    if (messages > SOCKET_LIMITS.messagesPerSecond) socket.close(CLOSE.policy, "too many messages")
  })
}

/** Ends the socket when its key has been revoked, expired or lost its role. */
const checkAgain = async (session: Session, socket: WebSocket, resolveKey: ResolveKey): Promise<void> => {
  session.checkedAtMs = performance.now()
  const admission = await admit(`Bearer ${session.keyText ?? ""}`, resolveKey).catch(() => undefined)
  if (admission === undefined) return
  if (!admission.admitted || admission.holder.tenantId !== session.holder?.tenantId) socket.close(CLOSE.forbidden, "key is no longer valid")
}

const KEY_MEMO_MS = 5_000

const prepare = async (yoga: Yoga, context: ApiContext, payload: SubscribePayload): Promise<ExecutionArgs | readonly GraphQLError[]> => {
  const { schema, parse, validate, contextFactory } = yoga.getEnveloped(context)
  try {
    const document = parse(payload.query)
    const errors = validate(schema, document) as readonly GraphQLError[]
    if (errors.length > 0) return tellErrors(errors, false)
    return { schema, document, operationName: payload.operationName ?? null, variableValues: payload.variables ?? null, contextValue: await contextFactory() }
  } catch (error) {
    return tellErrors([error instanceof GraphQLError ? error : new GraphQLError("The query cannot be read.")], false)
  }
}

/** Answers a query from one snapshot, as over HTTP; subscriptions do not come here. */
const executeQuery = async (args: ExecutionArgs): Promise<ExecutionResult> => {
  const context = args.contextValue as ApiContext
  const { services, close } = requestServices(context.services)
  try {
    return await execute({ ...args, contextValue: { ...context, services } })
  } finally {
    await close()
  }
}

/** The sockets of a server and whose they are. */
class Sessions {
  private readonly bySocket = new WeakMap<WebSocket, Session>()
  private readonly perKey = new Map<string, number>()
  private readonly resolveKey: ResolveKey
  private readonly api: ApiBase

  constructor(resolveKey: ResolveKey, api: ApiBase) {
    this.resolveKey = resolveKey
    this.api = api
  }

  open(socket: WebSocket): void {
    const session: Session = {}
    this.bySocket.set(socket, session)
    limitRate(socket)
    socket.on("error", () => socket.terminate())
    socket.on("close", () => this.leave(session))
  }

  private leave(session: Session): void {
    clearInterval(session.recheck)
    if (session.keyText === undefined) return
    const left = (this.perKey.get(session.keyText) ?? 1) - 1
    if (left > 0) this.perKey.set(session.keyText, left)
    else this.perKey.delete(session.keyText)
    delete session.keyText
    this.api.metrics.subscriptionClients?.(-1)
  }

  /** The holder of the socket's key, once it was admitted. */
  holder(socket: WebSocket): KeyHolder | undefined {
    return this.bySocket.get(socket)?.holder
  }

  /** Admits the socket or closes it. */
  async connect(socket: WebSocket, authorization: unknown, address: string): Promise<boolean> {
    const admission = await admit(authorization, this.resolveKey)
    const session = this.bySocket.get(socket)
    if (session === undefined || socket.readyState !== socket.OPEN) return false
    const close = (code: number, reason: string): false => {
      socket.close(code, reason)
      return false
    }
    if (!admission.admitted && admission.status === 401 && (await this.api.wrongKey(address)) !== undefined) return close(CLOSE.tooMany, "too many wrong keys")
    if (!admission.admitted) return close(admission.status === 401 ? CLOSE.unauthorized : CLOSE.forbidden, admission.code)
    const held = this.perKey.get(admission.keyText) ?? 0
    if (held >= SOCKET_LIMITS.socketsPerKey) return close(CLOSE.tooMany, "too many sockets")
    this.perKey.set(admission.keyText, held + 1)
    session.holder = admission.holder
    session.keyText = admission.keyText
    session.checkedAtMs = performance.now()
    session.recheck = setInterval(() => void checkAgain(session, socket, this.resolveKey), SOCKET_LIMITS.keyRecheckMs).unref()
    this.api.metrics.subscriptionClients?.(1)
    return true
  }

  /** Before a message goes out: is the key still taken, and does the client read? */
  async beforeSending(socket: WebSocket): Promise<void> {
    const session = this.bySocket.get(socket)
    if (session !== undefined && performance.now() - (session.checkedAtMs ?? 0) > KEY_MEMO_MS) await checkAgain(session, socket, this.resolveKey)
    if (socket.bufferedAmount > SOCKET_LIMITS.bufferBytes) socket.close(CLOSE.tryLater, "the client reads too slowly")
  }
}

const refusal = (message: string, code: string): readonly GraphQLError[] => [new GraphQLError(message, { extensions: { code } })]

const protocolOptions = (sessions: Sessions, yoga: Yoga, api: ApiBase): ServerOptions<Record<string, unknown>, Extra> => ({
  execute: executeQuery,
  connectionInitWaitTimeout: SOCKET_LIMITS.initWaitMs,
  onConnect: ({ connectionParams, extra: { socket, request } }) => sessions.connect(socket, connectionParams?.["authorization"], request.socket.remoteAddress ?? ""),
  onSubscribe: async ({ extra: { socket }, subscriptions }, _id, payload) => {
    const holder = sessions.holder(socket)
    if (holder === undefined) return refusal("No key.", "UNAUTHENTICATED")
    // This one is among them already.
    if (Object.keys(subscriptions).length > SOCKET_LIMITS.subscriptions) return refusal(`At most ${SOCKET_LIMITS.subscriptions} subscriptions a socket.`, "LIMIT_EXCEEDED")
    return prepare(yoga, contextOf(api, holder), payload)
  },
  onNext: async ({ extra: { socket } }, _id, _payload, _args, { data = null, errors }) => {
    await sessions.beforeSending(socket)
    if (errors === undefined) return
    return { data: data as Record<string, unknown> | null, errors: tellErrors(errors, true).map((error) => error.toJSON()) }
  },
  onError: (_ctx, _id, _payload, errors) => errors.map((error) => toRequestError(error).toJSON())
})

export interface SocketHandlers {
  readonly handleUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void
  readonly close: () => Promise<void>
}

/** Sockets for the query engine, on upgrades that the server hands over. */
export const serveSockets = (yoga: Yoga, resolveKey: ResolveKey, api: ApiBase): SocketHandlers => {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: SOCKET_LIMITS.messageBytes, perMessageDeflate: false, handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false) })
  const sessions = new Sessions(resolveKey, api)
  sockets.on("connection", (socket) => sessions.open(socket))
  const protocol = useServer(protocolOptions(sessions, yoga, api), sockets)
  let closed = false
  return {
    handleUpgrade: (req, socket, head) => {
      socket.on("error", () => socket.destroy())
      if (closed) return refuseUpgrade(socket, "503 Service Unavailable")
      if (isForeign(req)) return refuseUpgrade(socket, "403 Forbidden")
      sockets.handleUpgrade(req, socket, head, (client) => sockets.emit("connection", client, req))
    },
    close: async () => {
      if (closed) return
      closed = true
      await protocol.dispose()
    }
  }
}
