import { createReadStream } from "node:fs"
import { Readable } from "node:stream"
import { createGunzip } from "node:zlib"
import { decodeUtf8, withoutMark } from "./utf8.ts"

/** The path that stands for standard input. */
export const STANDARD_INPUT = "-"

const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b

/** The chunks again, without those of `head`, which were taken from it to look at. */
async function* rejoined(head: Uint8Array, rest: AsyncIterator<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  onBytes(head.length)
  if (head.length > 0) yield head
  for (let step = await rest.next(); step.done !== true; step = await rest.next()) {
    onBytes(step.value.length)
    yield step.value
  }
}

/**
 * Bytes of a file, pipe or (`-`) standard input, gunzipped when the first two say so. `onBytes` gets the count of bytes
 * read. Nothing is read twice, so that a pipe does as well as a file.
 */
export const readBytes = async (path: string, onBytes: (bytes: number) => void): Promise<Readable> => {
  const source = (path === STANDARD_INPUT ? process.stdin : createReadStream(path)) as AsyncIterable<Buffer>
  const chunks = source[Symbol.asyncIterator]()
  let head = Buffer.alloc(0)
  while (head.length < 2) {
    const step = await chunks.next()
    if (step.done === true) break
    head = Buffer.concat([head, step.value])
  }
  const bytes = Readable.from(rejoined(head, chunks, onBytes), { objectMode: false })
  if (!isGzip(head)) return bytes
  const unzipped = createGunzip()
  bytes.on("error", (error) => unzipped.destroy(error))
  return bytes.pipe(unzipped)
}

/** Bytes of a line that are kept; what is longer cannot be an event. */
export const LINE_BYTES_MAX = 1_048_576

export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its line end; what is not UTF-8 is replaced. */
  readonly text: string
  /** Why the line cannot be read. */
  readonly fault: string | undefined
}

const lineOf = (number: number, bytes: Uint8Array): Line => {
  const end = bytes.at(-1) === 13 ? -1 : undefined
  if (bytes.length > LINE_BYTES_MAX) return { number, text: decodeUtf8(bytes.subarray(0, LINE_BYTES_MAX)).text, fault: "longer than 1 MiB" }
  return { number, ...decodeUtf8(withoutMark(bytes.subarray(0, end))) }
}

/** Lines of a text or gzip file. A line ends at LF or CRLF and nowhere else: JSON may hold U+2028 as it is. */
export async function* readLines(path: string, onBytes: (bytes: number) => void): AsyncGenerator<Line> {
  let number = 0
  let parts: Uint8Array[] = []
  let length = 0
  const add = (part: Uint8Array) => {
    if (length <= LINE_BYTES_MAX) parts.push(part)
    length += part.length
  }
  const take = (): Line => {
    const line = lineOf(++number, parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts))
    parts = []
    length = 0
    return line
  }
  for await (const chunk of (await readBytes(path, onBytes)) as AsyncIterable<Buffer>) {
    let from = 0
    for (let feed = chunk.indexOf(10); feed !== -1; feed = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, feed))
      yield take()
      from = feed + 1
    }
    if (from < chunk.length) add(chunk.subarray(from))
  }
  if (length > 0) yield take()
}
