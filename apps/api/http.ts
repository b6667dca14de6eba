/** `POST /graphql` on a shared node:http server. */
import type { IncomingMessage, ServerResponse } from "node:http"
import { contextOf } from "./context.ts"
import type { ApiBase } from "./context.ts"
import type { Yoga } from "./guard.ts"
import { admit } from "./keys.ts"
import { requestServices } from "./requestSnapshot.ts"
import type { ResolveKey } from "./keys.ts"

const BODY_BYTES_MAX = 256 * 1024

interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

const refuse = (res: ServerResponse, { status, code, message, headers }: Refusal): void => {
  res.writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers })
  res.end(JSON.stringify({ errors: [{ message, extensions: { code } }] }))
}

/** The body as text; undefined beyond the limit. */
const readBody = async (req: IncomingMessage): Promise<string | undefined> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

/** Transport faults that need no body. */
const wrongRequest = (req: IncomingMessage): Refusal | undefined => {
  if (req.method !== "POST") return { status: 405, code: "METHOD_NOT_ALLOWED", message: "Send queries by POST.", headers: { allow: "POST" } }
  const type = (req.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase()
  if (type !== "application/json") return { status: 415, code: "UNSUPPORTED_MEDIA_TYPE", message: "Send application/json." }
  const encoding = req.headers["content-encoding"]
  if (encoding !== undefined && encoding !== "identity") return { status: 415, code: "UNSUPPORTED_MEDIA_TYPE", message: "Send the query uncompressed." }
  return undefined
}

const tooLarge: Refusal = { status: 413, code: "BODY_TOO_LARGE", message: `A request has at most ${BODY_BYTES_MAX} bytes.`, headers: { connection: "close" } }

const tooManyWrongKeys = (waitSeconds: number): Refusal => ({
  status: 429,
  code: "RATE_LIMITED",
  message: `Too many wrong keys from this address. Ask again in ${waitSeconds} s.`,
  headers: { "retry-after": String(waitSeconds) }
})

/** One JSON object with a query; a list would be a batch, which is off. */
const isRequest = (body: string): boolean => {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === "object" && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const answer = async (req: IncomingMessage, res: ServerResponse, yoga: Yoga, resolveKey: ResolveKey, api: ApiBase): Promise<void> => {
  const wrong = wrongRequest(req)
  if (wrong !== undefined) return refuse(res, wrong)
  const admission = await admit(req.headers.authorization, resolveKey)
  if (!admission.admitted) {
    const waitSeconds = admission.status === 401 ? await api.wrongKey(req.socket.remoteAddress ?? "") : undefined
    if (waitSeconds !== undefined) return refuse(res, tooManyWrongKeys(waitSeconds))
    const headers = admission.status === 401 ? { "www-authenticate": 'Bearer realm="tidemark"' } : {}
    return refuse(res, { status: admission.status, code: admission.code, message: admission.detail, headers })
  }
  const body = await readBody(req)
  if (body === undefined) return refuse(res, tooLarge)
  if (!isRequest(body)) return refuse(res, { status: 400, code: "BAD_REQUEST", message: "The body is one JSON object with a query." })
  const headers = { "content-type": "application/json", accept: "application/json" }
  const { services, close } = requestServices(api.services)
  let answered: Response
  let bytes: Buffer
  try {
    answered = await yoga.fetch("http://localhost/graphql", { method: "POST", headers, body }, contextOf({ ...api, services }, admission.holder))
    bytes = Buffer.from(await answered.arrayBuffer())
  } finally {
    await close()
  }
  // The query engine answers a subscription as a stream or, where none is accepted, with nothing.
  if (answered.status === 406) return refuse(res, { status: 400, code: "BAD_REQUEST", message: "A subscription needs a WebSocket on this path, with the subprotocol graphql-transport-ws." })
  res.writeHead(answered.status, { "content-type": answered.headers.get("content-type") ?? "application/json", "cache-control": "no-store" })
  res.end(bytes)
}

/** Answers one request; never rejects. A client that goes away needs no answer. */
export const answerHttp = async (req: IncomingMessage, res: ServerResponse, yoga: Yoga, resolveKey: ResolveKey, api: ApiBase): Promise<void> => {
  try {
    await answer(req, res, yoga, resolveKey, api)
  } catch (error) {
    if (res.destroyed || req.errored !== null) return
    api.metrics.failed?.("http", error)
    if (res.headersSent) res.destroy()
    else refuse(res, { status: 500, code: "INTERNAL", message: "Something failed inside. It was logged." })
  }
}
