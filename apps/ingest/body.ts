/**
 * The body of a request as text: bounded while it arrives, bounded while it is inflated.
 *
 * gzip is told by `content-encoding` or by its first two bytes, one layer of it. Rules: docs/security.md §4.
 */
import type { IncomingMessage } from "node:http"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import type { Holding } from "./heldBytes.ts"
import type { Problem } from "./problem.ts"

/** Bytes a body may have as received. */
export const RECEIVED_BYTES_MAX = 4_194_304
/** Bytes a body may have once inflated. */
export const INFLATED_BYTES_MAX = 8_388_608
/** Inflated bytes per received byte. */
export const RATIO_MAX = 100
/** Up to here any ratio is taken: small bodies of equal events compress better than 100 to 1. */
const RATIO_FREE_BYTES = 1_048_576

export type Received =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  /** `open`: the client may still be sending. */
  | { readonly kind: "refused"; readonly problem: Problem; readonly open: boolean }
  /** The client went away before its body was complete. */
  | { readonly kind: "gone" }

const tooLarge = (what: string, bytes: number): Problem => ({
  status: 413,
  code: "too-large",
  detail: `${what} larger than ${bytes} bytes`,
  hint: "send fewer events per request",
  more: { limit: bytes, unit: "bytes" }
})

const tooSlow = (ms: number): Problem => ({
  status: 408,
  code: "too-slow",
  detail: `the body did not arrive within ${ms / 1_000} s`,
  hint: "send the request again, with fewer events if the connection is slow"
})

const busy: Problem = {
  status: 503,
  code: "busy",
  detail: "the bodies of other requests take all the memory there is for them",
  hint: "send the same request again in a second",
  headers: { "retry-after": "1" }
}

/** Collects the body; leaves the rest unread when it refuses. What has come is held until `holding` is released. */
export const receiveBody = (req: IncomingMessage, msMax: number, holding: Holding): Promise<Received> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (received: Received) => {
      clearTimeout(timer)
      req.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone)
      // A request that breaks off later must not be an unhandled error.
      req.on("error", () => undefined)
      resolve(received)
    }
    const refuse = (problem: Problem) => {
      req.pause()
      finish({ kind: "refused", problem, open: true })
    }
    const onData = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > RECEIVED_BYTES_MAX) refuse(tooLarge("the body is", RECEIVED_BYTES_MAX))
      else if (!holding.add(chunk.length)) refuse(busy)
      else chunks.push(chunk)
    }
    const onEnd = () => finish({ kind: "bytes", bytes: Buffer.concat(chunks, bytes) })
    const onGone = () => finish({ kind: "gone" })
    const timer = setTimeout(() => refuse(tooSlow(msMax)), msMax)
    if (Number(req.headers["content-length"] ?? 0) > RECEIVED_BYTES_MAX) return refuse(tooLarge("the body is", RECEIVED_BYTES_MAX))
    req.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone)
  })

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

const encodingProblem = (detail: string): Problem => ({
  status: 415,
  code: "content-encoding",
  detail,
  hint: "send the body as it is, or compressed once with gzip",
  headers: { "accept-encoding": "gzip" }
})

/** Why this content-encoding is not taken, if so. */
export const encodingFault = (encoding: string | undefined): Problem | undefined =>
  encoding === undefined || /^\s*(identity|gzip|x-gzip|)\s*$/i.test(encoding) ? undefined : encodingProblem(`content-encoding ${JSON.stringify(encoding.slice(0, 64))} is not taken`)

const gunzipAsync = promisify(gunzip)

const inflateProblem = (error: unknown, outputMax: number): Problem => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  if (code !== "ERR_BUFFER_TOO_LARGE") return { status: 400, code: "gzip", detail: "the body is not complete, valid gzip", hint: "compress the whole body once, or send it uncompressed" }
  if (outputMax === INFLATED_BYTES_MAX) return tooLarge("the inflated body is", INFLATED_BYTES_MAX)
  return { ...tooLarge(`the body inflates to more than ${RATIO_MAX} times its size and is`, outputMax), more: { limit: outputMax, unit: "bytes", ratio: RATIO_MAX } }
}

/** The body uncompressed. Inflating stops at the limit, so it never holds more than that. What it inflates to is held as well. */
export const inflateBody = async (bytes: Buffer, encoding: string | undefined, holding: Holding): Promise<Buffer | Problem> => {
  const claimed = /gzip/i.test(encoding ?? "")
  if (!claimed && !isGzip(bytes)) return bytes
  const outputMax = Math.min(INFLATED_BYTES_MAX, Math.max(RATIO_FREE_BYTES, bytes.length * RATIO_MAX))
  try {
    const inflated = await gunzipAsync(bytes, { maxOutputLength: outputMax })
    if (!holding.add(inflated.length)) return busy
    return isGzip(inflated) ? encodingProblem("the body is compressed more than once") : inflated
  } catch (error) {
    return inflateProblem(error, outputMax)
  }
}

export interface DecodedBody {
  readonly text: string
  /** Lines of an NDJSON body that are not UTF-8, from 1; they are in `text` with replacement characters. */
  readonly dirtyLines: ReadonlySet<number>
  /** The bytes of another body that is not UTF-8 as a whole. */
  readonly dirtyBytes?: Uint8Array
}

const strict = new TextDecoder("utf-8", { fatal: true })
const lenient = new TextDecoder("utf-8")

const decodes = (bytes: Uint8Array): boolean => {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

const dirtyLinesOf = (bytes: Buffer): ReadonlySet<number> => {
  const dirty = new Set<number>()
  let from = 0
  for (let line = 1; from <= bytes.length; line++) {
    const feed = bytes.indexOf(10, from)
    const to = feed === -1 ? bytes.length : feed
    if (!decodes(bytes.subarray(from, to))) dirty.add(line)
    from = to + 1
  }
  return dirty
}

/** Decodes UTF-8. A body of lines loses only the lines that are not UTF-8; of any other body the elements that are not are found later. */
export const decodeBody = (bytes: Buffer, byLines: boolean): DecodedBody => {
  if (decodes(bytes)) return { text: lenient.decode(bytes), dirtyLines: new Set() }
  if (byLines) return { text: lenient.decode(bytes), dirtyLines: dirtyLinesOf(bytes) }
  return { text: lenient.decode(bytes), dirtyLines: new Set(), dirtyBytes: bytes }
}
