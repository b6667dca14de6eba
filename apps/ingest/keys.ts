/** Who sends: the key of a request, and what it may do. Rules: docs/security.md §2. */
import type { IncomingMessage } from "node:http"
import type { IngestKey, ResolveKey } from "./context.ts"
import type { Problem } from "./problem.ts"

interface SentKey {
  readonly text: string
  readonly inUrl: boolean
}

const KEY_LENGTH_MAX = 512

const basicUser = (encoded: string): string | undefined => Buffer.from(encoded, "base64").toString("utf8").split(":")[0]

/** The key as sent: `Authorization: Bearer`, Basic user name, `X-Write-Key`, then `?writeKey=`. The first place that is used counts. */
export const sentKey = (req: IncomingMessage, query: URLSearchParams): SentKey | undefined => {
  const { authorization } = req.headers
  if (authorization !== undefined) {
    const [, scheme = "", value = ""] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? []
    const text = scheme.toLowerCase() === "basic" ? basicUser(value) : value
    return text === undefined || text === "" || text.length > KEY_LENGTH_MAX ? undefined : { text, inUrl: false }
  }
  const header = req.headers["x-write-key"]
  const text = typeof header === "string" ? header : query.get("writeKey")
  if (text === null || text === "" || text.length > KEY_LENGTH_MAX) return undefined
  return { text, inUrl: typeof header !== "string" }
}

export type Admission = { readonly admitted: true; readonly key: IngestKey; readonly keyText: string } | { readonly admitted: false; readonly wrongKey: boolean; readonly problem: Problem }

const refuse = (status: 401 | 403, code: string, detail: string, hint: string): Admission => ({
  admitted: false,
  wrongKey: status === 401,
  problem: { status, code, detail, hint, ...(status === 401 ? { headers: { "www-authenticate": 'Bearer realm="tidemark"' } } : {}) }
})

const originRefused = (key: IngestKey, origin: string | undefined): boolean =>
  key.kind === "write" && origin !== undefined && key.allowedOrigins !== undefined && key.allowedOrigins.length > 0 && !key.allowedOrigins.includes(origin)

/** Admits write and admin keys. Missing, malformed, unknown, expired and revoked keys get the same answer. */
export const admit = async (req: IncomingMessage, query: URLSearchParams, resolveKey: ResolveKey): Promise<Admission> => {
  const sent = sentKey(req, query)
  const key = sent === undefined ? undefined : await resolveKey(sent.text)
  if (sent === undefined || key === undefined) {
    return refuse(401, "key", "no valid key was sent", "send a write key: Authorization: Bearer <key>, X-Write-Key: <key>, or ?writeKey=<key>")
  }
  if (sent.inUrl && key.kind !== "write") return refuse(403, "key-in-url", "only a write key may stand in a URL; this key should be replaced, since URLs are recorded", "send it as Authorization: Bearer <key>")
  if (key.kind === "read") return refuse(403, "key-kind", "a read key cannot append events", "use a write key")
  if (originRefused(key, req.headers.origin)) return refuse(403, "origin", "this key does not take events from this origin", "add the origin to the key's allowed origins")
  return { admitted: true, key, keyText: sent.text }
}
