import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { createInterface } from "node:readline"
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

/** Bytes of the file as text, gunzipped when its first bytes say so. `onBytes` gets the bytes read from disk. */
export const readText = async (path: string, onBytes: (bytes: number) => void): Promise<NodeJS.ReadableStream> => {
  const zipped = await isGzip(path)
  const file = createReadStream(path)
  file.on("data", (chunk) => onBytes(chunk.length))
  return zipped ? file.pipe(createGunzip()) : file
}

/** Lines of a text or gzip file with their numbers from 1, without line ends. */
export async function* readLines(path: string, onBytes: (bytes: number) => void): AsyncGenerator<{ number: number; text: string }> {
  const lines = createInterface({ input: await readText(path, onBytes), crlfDelay: Infinity })
  let number = 0
  for await (const text of lines) yield { number: ++number, text }
}
