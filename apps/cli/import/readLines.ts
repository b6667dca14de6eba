import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import type { Readable } from "node:stream"
import { createGunzip } from "node:zlib"

const isGzip = async (path: string): Promise<boolean> => {
  const file = await open(path, "r")
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await file.close()
  }
}

/** Bytes of the file, gunzipped when its first bytes say so. `onBytes` gets the count of bytes read from disk. */
export const readBytes = async (path: string, onBytes: (bytes: number) => void): Promise<Readable> => {
  const zipped = await isGzip(path)
  const file = createReadStream(path)
  file.on("data", (chunk) => onBytes(chunk.length))
  if (!zipped) return file
  const unzipped = createGunzip()
  file.on("error", (error) => unzipped.destroy(error))
  return file.pipe(unzipped)
}

/** Bytes of a line that are kept; what is longer cannot be an event. */
export const LINE_BYTES_MAX = 1_048_576

export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its line end; what is not UTF-8 is replaced. */
  readonly text: string
  readonly fault: "not valid UTF-8" | "longer than 1 MiB" | undefined
}

const strict = new TextDecoder("utf-8", { fatal: true })
const lenient = new TextDecoder("utf-8")

const lineOf = (number: number, bytes: Uint8Array): Line => {
  const end = bytes.at(-1) === 13 ? -1 : undefined
  if (bytes.length > LINE_BYTES_MAX) return { number, text: lenient.decode(bytes.subarray(0, LINE_BYTES_MAX)), fault: "longer than 1 MiB" }
  const kept = bytes.subarray(0, end)
  try {
    return { number, text: strict.decode(kept), fault: undefined }
  } catch {
    return { number, text: lenient.decode(kept), fault: "not valid UTF-8" }
  }
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
