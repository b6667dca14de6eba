/**
 * Walks over JSON in bytes without making values. Every function takes the place of a value's first byte and answers the
 * place behind it, or −1 when the bytes are no JSON value in UTF-8 there, or one this scanner leaves to `JSON.parse`
 * (white space, deep nesting). What is accepted is accepted by `JSON.parse` too.
 */

const DEPTH_MAX = 16
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c

/** Place behind the escape whose backslash stands at `at`. */
const skipEscape = (bytes: Uint8Array, at: number): number => {
  const kind = bytes[at + 1]
  if (kind !== 0x75) return kind === QUOTE || kind === BACKSLASH || kind === 0x2f || kind === 0x62 || kind === 0x66 || kind === 0x6e || kind === 0x72 || kind === 0x74 ? at + 2 : -1
  for (let digit = at + 2; digit < at + 6; digit++) {
    const byte = bytes[digit] ?? 0
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66))) return -1
  }
  return at + 6
}

const isTail = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Place behind the UTF-8 sequence that starts at `at` with a byte ≥ 0x80: no overlong form, no surrogate, nothing beyond U+10FFFF. */
const skipSequence = (bytes: Uint8Array, at: number): number => {
  const first = bytes[at] ?? 0
  const second = bytes[at + 1] ?? 0
  if (first < 0xc2 || first > 0xf4 || !isTail(second)) return -1
  if (first < 0xe0) return at + 2
  if (!isTail(bytes[at + 2])) return -1
  if (first < 0xf0) return (first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f) ? -1 : at + 3
  if (!isTail(bytes[at + 3])) return -1
  return (first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f) ? -1 : at + 4
}

/** By byte: 1 for printable ASCII that stands in a JSON string as it is. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x20 && byte <= 0x7e && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0))

/** A string of printable ASCII without escapes: place of its closing quote, or −1. `at`: behind the opening quote. */
export const plainStringEnd = (bytes: Uint8Array, at: number): number => {
  let end = at
  while (end < bytes.length && IS_PLAIN[bytes[end]!] === 1) end++
  return bytes[end] === QUOTE ? end : -1
}

const skipString = (bytes: Uint8Array, at: number): number => {
  let end = at + 1
  while (end > 0) {
    const byte = bytes[end]
    if (byte === QUOTE) return end + 1
    if (byte === undefined || byte < 0x20) return -1
    end = byte === BACKSLASH ? skipEscape(bytes, end) : byte < 0x80 ? end + 1 : skipSequence(bytes, end)
  }
  return -1
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39

const skipDigits = (bytes: Uint8Array, at: number): number => {
  if (!isDigit(bytes[at])) return -1
  let end = at + 1
  while (isDigit(bytes[end])) end++
  return end
}

const skipNumber = (bytes: Uint8Array, at: number): number => {
  let end = bytes[at] === 0x2d ? at + 1 : at
  end = bytes[end] === 0x30 ? end + 1 : skipDigits(bytes, end)
  if (end > 0 && bytes[end] === 0x2e) end = skipDigits(bytes, end + 1)
  if (end < 0 || (bytes[end] !== 0x65 && bytes[end] !== 0x45)) return end
  const sign = bytes[end + 1]
  return skipDigits(bytes, sign === 0x2b || sign === 0x2d ? end + 2 : end + 1)
}

const WORDS = ["true", "false", "null"].map((word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0)))

/** Place behind `word` when it stands at `at`, else −1. */
const skipWord = (bytes: Uint8Array, at: number, word: Uint8Array): number => {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return -1
  return at + word.length
}

/** A text to be looked for, four bytes at a time; the last four may overlap those before them. */
export interface Phrase {
  readonly length: number
  readonly words: Int32Array
}

/** `text`: ASCII, at least four characters. */
export const phrase = (text: string): Phrase => {
  const view = new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer)
  const words = Int32Array.from({ length: Math.ceil(text.length / 4) }, (_, at) => view.getInt32(Math.min(4 * at, text.length - 4), true))
  return { length: text.length, words }
}

/** Place behind the phrase when it stands at `at` (≥ 0), else −1. Takes less than half the time of `skipWord`. */
export const skipPhrase = (view: DataView, at: number, { length, words }: Phrase): number => {
  const end = at + length
  if (end > view.byteLength) return -1
  const last = words.length - 1
  for (let i = 0; i < last; i++) if (view.getInt32(at + 4 * i, true) !== words[i]) return -1
  return view.getInt32(end - 4, true) === words[last] ? end : -1
}

const skipArray = (bytes: Uint8Array, at: number, depth: number): number => {
  if (bytes[at + 1] === 0x5d) return at + 2
  let end = at
  do {
    end = skipValue(bytes, end + 1, depth + 1)
  } while (end > 0 && bytes[end] === COMMA)
  return end > 0 && bytes[end] === 0x5d ? end + 1 : -1
}

const skipObject = (bytes: Uint8Array, at: number, depth: number): number => {
  if (bytes[at + 1] === 0x7d) return at + 2
  let end = at
  do {
    if (bytes[end + 1] !== QUOTE) return -1
    end = skipString(bytes, end + 1)
    if (end < 0 || bytes[end] !== COLON) return -1
    end = skipValue(bytes, end + 1, depth + 1)
  } while (end > 0 && bytes[end] === COMMA)
  return end > 0 && bytes[end] === 0x7d ? end + 1 : -1
}

/** Any value. */
export const skipValue = (bytes: Uint8Array, at: number, depth = 0): number => {
  switch (bytes[at]) {
    case QUOTE:
      return skipString(bytes, at)
    case 0x7b:
      return depth < DEPTH_MAX ? skipObject(bytes, at, depth) : -1
    case 0x5b:
      return depth < DEPTH_MAX ? skipArray(bytes, at, depth) : -1
    case 0x74:
      return skipWord(bytes, at, WORDS[0]!)
    case 0x66:
      return skipWord(bytes, at, WORDS[1]!)
    case 0x6e:
      return skipWord(bytes, at, WORDS[2]!)
    default:
      return skipNumber(bytes, at)
  }
}
