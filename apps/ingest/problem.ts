/** Answers in JSON: results, and problems (RFC 9457) with a stable code that say what, where, why and what next. */
import { STATUS_CODES } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"

export interface Problem {
  readonly status: number
  /** Stable; programs may rely on it. */
  readonly code: string
  /** What is wrong, where and why. */
  readonly detail: string
  /** What to do about it. */
  readonly hint?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the body, such as the limit that was met. */
  readonly more?: object
}

/** An answer before it is sent. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Of a problem. */
  readonly code?: string
}

export const jsonAnswer = (status: number, value: object, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
  body: JSON.stringify(value)
})

export const problemAnswer = ({ status, code, detail, hint, headers, more }: Problem): Answer => ({
  ...jsonAnswer(
    status,
    { type: `urn:tidemark:problem:${code}`, title: STATUS_CODES[status] ?? "Error", status, code, detail, hint, ...more },
    { "content-type": "application/problem+json", ...headers }
  ),
  code
})

const DISCARD_BYTES_MAX = 16_777_216
const DISCARD_MS_MAX = 2_000

/** Reads on and throws away, so that a client that is still sending gets to read its answer. Gives up soon. */
const discard = (req: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    let bytes = 0
    const finish = () => {
      clearTimeout(timer)
      req.off("data", onData).off("end", finish).off("close", finish)
      resolve()
    }
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > DISCARD_BYTES_MAX) finish()
    }
    const timer = setTimeout(finish, DISCARD_MS_MAX)
    req.on("data", onData).on("end", finish).on("close", finish)
    if (req.destroyed) finish()
    else req.resume()
  })

/** Sends the answer. `open`: the request's body may be unread; the connection is closed then. */
export const sendAnswer = async (req: IncomingMessage, res: ServerResponse, { status, headers, body }: Answer, open: boolean): Promise<void> => {
  if (res.destroyed || res.headersSent) return
  const bytes = Buffer.from(body)
  const unread = open && !req.complete
  const length: Readonly<Record<string, string>> = status === 204 ? {} : { "content-length": String(bytes.length) }
  res.writeHead(status, { ...headers, ...length, ...(unread ? { connection: "close" } : {}), "x-content-type-options": "nosniff" })
  if (!unread) return void res.end(bytes)
  res.write(bytes)
  await discard(req)
  res.end()
}
