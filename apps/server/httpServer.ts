/** The one node:http server: listens within a scope, and lets running requests end when it closes. */
import { createServer } from "node:http"
import type { IncomingMessage, RequestListener, Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** How long running requests may take when the server closes. */
const CLOSE_MS_MAX = 2_000
const LOOK_EVERY_MS = 50

export interface Listener {
  readonly onRequest: RequestListener
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

const listen = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      resolve()
    })
  })

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    const idle = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS)
    const late = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX)
    server.close(() => {
      clearInterval(idle)
      clearTimeout(late)
      resolve()
    })
    server.closeIdleConnections()
  })

/** Answers the port; fails with the system's error when it cannot listen. */
export const serveHttp = ({ onRequest, onUpgrade }: Listener, host: string, port: number): Effect.Effect<number, unknown, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const server = createServer(onRequest)
        server.on("upgrade", onUpgrade)
        await listen(server, host, port)
        return server
      },
      catch: (error) => error
    }),
    (server) => Effect.promise(() => close(server))
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))
