/** Which requests come from this machine's own browser: the address they come from, and what the browser says of them. */
import type { IncomingMessage } from "node:http"

const ADDRESSES = new Set(["127.0.0.1", "::1", "::ffff:127.0.0.1"])

/** True for a request over loopback that no other site caused. */
export const isOwnPage = (request: IncomingMessage): boolean => {
  const site = request.headers["sec-fetch-site"]
  return ADDRESSES.has(request.socket.remoteAddress ?? "") && (site === undefined || site === "same-origin" || site === "none")
}
