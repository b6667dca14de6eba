/** Bytes to text, where what is not UTF-8 is found instead of replaced unseen. */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder("utf-8", { ignoreBOM: true })
const REPLACEMENT = "\ufffd"
const REPLACEMENT_BYTES = 3

export interface DecodedText {
  /** What is not UTF-8 is replaced. */
  readonly text: string
  /** Which byte is not UTF-8 and what to do; undefined when all are. */
  readonly fault: string | undefined
}

/** Index of the first byte that is no part of a character of `text`, which the bytes were read as; -1 when there is none. A U+FFFD that the bytes really hold is a character. */
const firstWrongByte = (bytes: Uint8Array, text: string): number => {
  let [index, offset] = [0, 0]
  for (let found = text.indexOf(REPLACEMENT); found !== -1; found = text.indexOf(REPLACEMENT, index)) {
    offset += Buffer.byteLength(text.slice(index, found))
    if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd) return offset
    offset += REPLACEMENT_BYTES
    index = found + 1
  }
  return -1
}

/** Text of one line or record. */
export const decodeUtf8 = (bytes: Uint8Array): DecodedText => {
  try {
    return { text: strict.decode(bytes), fault: undefined }
  } catch {
    const text = lenient.decode(bytes)
    const at = firstWrongByte(bytes, text)
    const byte = (bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, "0")
    return { text, fault: `not valid UTF-8 at byte ${at + 1} (0x${byte}): convert it to UTF-8 and try again` }
  }
}

const BEYOND_ASCII = /[\u0080-\u00ff]/

/** The same for text that holds one character a byte (latin1). */
export const decodeByteText = (text: string): DecodedText => (BEYOND_ASCII.test(text) ? decodeUtf8(Buffer.from(text, "latin1")) : { text, fault: undefined })

/** Without a byte order mark before the text. */
export const withoutMark = (bytes: Uint8Array): Uint8Array => (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes)

/** The chunks without a byte order mark at their beginning. */
export async function* withoutByteOrderMark(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = new Uint8Array()
  for await (const chunk of chunks) {
    if (head === undefined) {
      yield chunk
      continue
    }
    head = Buffer.concat([head, chunk])
    if (head.length < 3) continue
    yield withoutMark(head)
    head = undefined
  }
  if (head !== undefined && head.length > 0) yield head
}
