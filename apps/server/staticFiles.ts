/** Serves the built dashboard: hashed assets for a year, the page itself never cached. */
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { extname, join, normalize, sep } from "node:path"
import { isOwnPage } from "./loopback.ts"

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".json": "application/json",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2"
}

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY"
}

/** The path's file name below the folder, or undefined for a path that is no valid URL text. */
const decoded = (path: string): string | undefined => {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const TOKEN_PLACE = '<meta name="tidemark-token" content="">'

/** The page, with this start's token for the automatic sign-in where this machine's own browser opens it. */
const sendPage = (request: IncomingMessage, response: ServerResponse, file: string, token: string | undefined): void => {
  const page = readFileSync(file, "utf8")
  const own = token !== undefined && isOwnPage(request)
  response.writeHead(200, { ...SECURITY_HEADERS, "content-type": TYPES[".html"], "cache-control": "no-store" })
  response.end(request.method === "HEAD" ? undefined : own ? page.replace(TOKEN_PLACE, `<meta name="tidemark-token" content="${token}">`) : page)
}

/**
 * Answers GET for files below `directory`; `/` is its index.html. False when there is no such file.
 * `token`: base64url, put into the page for the automatic sign-in; undefined when there is none.
 */
export const makeStaticHandler = (directory: string, token?: string) => (request: IncomingMessage, response: ServerResponse, path: string): boolean => {
  if (request.method !== "GET" && request.method !== "HEAD") return false
  const name = path === "/" ? "index.html" : decoded(path)
  if (name === undefined || name.includes("\0")) return false
  const file = normalize(join(directory, name))
  if (!file.startsWith(directory + sep) || !existsSync(file) || !statSync(file).isFile()) return false
  if (file === join(directory, "index.html")) {
    sendPage(request, response, file, token)
    return true
  }
  const immutable = path.startsWith("/assets/")
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "cache-control": immutable ? "public, max-age=31536000, immutable" : "no-cache"
  })
  if (request.method === "HEAD") response.end()
  else createReadStream(file).pipe(response)
  return true
}
