/**
 * MurmurHash3 x86 128 (Appleby's reference algorithm) over UTF-8, in plain 32-bit arithmetic.
 *
 * The platform's one fast hash: uniques, fingerprints, dedupe and store keys. Convention used
 * everywhere: the 64-bit hash of a text is `out[0]` (high 32 bits) and `out[1]` (low 32 bits), so
 * it equals the first 16 characters of `hashHex`. Not cryptographic; the seed is derived from the
 * log id. Calls allocate nothing (the scratch buffer grows only for a longer text than any before).
 */

const C1 = 0x239b961b
const C2 = 0xab0e9789 | 0
const C3 = 0x38b34ae5
const C4 = 0xa1e38b93 | 0

let scratch = new Uint8Array(4096)
let scratchView = new DataView(scratch.buffer)

/** Hashes the UTF-8 form of `text` (a lone surrogate counts as U+FFFD) into `out[0..3]`. */
export const hashUtf8 = (text: string, seed: number, out: Uint32Array): void => {
  if (text.length * 3 > scratch.length) {
    scratch = new Uint8Array(text.length * 3)
    scratchView = new DataView(scratch.buffer)
  }
  murmur(scratchView, 0, writeUtf8(text, scratch, 0), seed, out)
}

/** Hashes `bytes` into `out[0..3]`. */
export const hashBytes = (bytes: Uint8Array, seed: number, out: Uint32Array): void =>
  murmur(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, seed, out)

/** Hashes the bytes from `from` up to `to` of `view` into `out[0..3]`. */
export const hashRange = (view: DataView, from: number, to: number, seed: number, out: Uint32Array): void =>
  murmur(view, from, to - from, seed, out)

const hexOut = new Uint32Array(4)

/** The hash as 32 lower-case hex characters, most significant digit of `out[0]` first. */
export const hashHex = (input: Uint8Array | string, seed: number): string => {
  if (typeof input === "string") hashUtf8(input, seed, hexOut)
  else hashBytes(input, seed, hexOut)
  return wordHex(hexOut[0]!) + wordHex(hexOut[1]!) + wordHex(hexOut[2]!) + wordHex(hexOut[3]!)
}

/** Of every byte: texts of numbers are made much slower than they are looked up. */
const BYTE_HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

const wordHex = (word: number): string => BYTE_HEX[word >>> 24]! + BYTE_HEX[(word >>> 16) & 0xff]! + BYTE_HEX[(word >>> 8) & 0xff]! + BYTE_HEX[word & 0xff]!

/** Writes the UTF-8 form of `text` to `target` from `at` on (room for 3 bytes per code unit). Returns its length. */
export const writeUtf8 = (text: string, target: Uint8Array, at: number): number => {
  const length = text.length
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return encodeUtf8From(text, i, target, at + i) - at
    target[at + i] = unit
  }
  return length
}

const encodeUtf8From = (text: string, from: number, target: Uint8Array, at: number): number => {
  const length = text.length
  let n = at
  for (let i = from; i < length; i++) {
    let code = text.charCodeAt(i)
    if (code < 0x80) {
      target[n++] = code
      continue
    }
    if (code < 0x800) {
      target[n++] = 0xc0 | (code >> 6)
      target[n++] = 0x80 | (code & 0x3f)
      continue
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      const next = code < 0xdc00 && i + 1 < length ? text.charCodeAt(i + 1) : 0
      if (next >= 0xdc00 && next <= 0xdfff) {
        i++
        code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00)
        target[n++] = 0xf0 | (code >> 18)
        target[n++] = 0x80 | ((code >> 12) & 0x3f)
        target[n++] = 0x80 | ((code >> 6) & 0x3f)
        target[n++] = 0x80 | (code & 0x3f)
        continue
      }
      code = 0xfffd
    }
    target[n++] = 0xe0 | (code >> 12)
    target[n++] = 0x80 | ((code >> 6) & 0x3f)
    target[n++] = 0x80 | (code & 0x3f)
  }
  return n
}

/** The 0 to 4 bytes from `at` up to `end`, little endian, zero-filled. */
const tailWordAt = (view: DataView, at: number, end: number): number => {
  if (at + 4 <= end) return view.getInt32(at, true)
  let word = 0
  for (let i = end - 1; i >= at; i--) word = (word << 8) | view.getUint8(i)
  return word
}

const mix1 = (k: number): number => {
  k = Math.imul(k, C1)
  return Math.imul((k << 15) | (k >>> 17), C2)
}
const mix2 = (k: number): number => {
  k = Math.imul(k, C2)
  return Math.imul((k << 16) | (k >>> 16), C3)
}
const mix3 = (k: number): number => {
  k = Math.imul(k, C3)
  return Math.imul((k << 17) | (k >>> 15), C4)
}
const mix4 = (k: number): number => {
  k = Math.imul(k, C4)
  return Math.imul((k << 18) | (k >>> 14), C1)
}

const avalanche = (h: number): number => {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** Over a view, which reads four bytes at once wherever they lie: a third quicker than byte by byte. */
const murmur = (view: DataView, from: number, length: number, seed: number, out: Uint32Array): void => {
  let h1 = seed | 0
  let h2 = h1
  let h3 = h1
  let h4 = h1
  const end = from + length
  const blocksEnd = from + (length & ~15)
  for (let i = from; i < blocksEnd; i += 16) {
    h1 ^= mix1(view.getInt32(i, true))
    h1 = (Math.imul(((h1 << 19) | (h1 >>> 13)) + h2, 5) + 0x561ccd1b) | 0
    h2 ^= mix2(view.getInt32(i + 4, true))
    h2 = (Math.imul(((h2 << 17) | (h2 >>> 15)) + h3, 5) + 0x0bcaa747) | 0
    h3 ^= mix3(view.getInt32(i + 8, true))
    h3 = (Math.imul(((h3 << 15) | (h3 >>> 17)) + h4, 5) + 0x96cd1c35) | 0
    h4 ^= mix4(view.getInt32(i + 12, true))
    h4 = (Math.imul(((h4 << 13) | (h4 >>> 19)) + h1, 5) + 0x32ac3b17) | 0
  }
  if (end > blocksEnd) {
    // A word without bytes is zero, and zero mixes to zero: no case distinction is needed.
    h1 ^= mix1(tailWordAt(view, blocksEnd, end))
    h2 ^= mix2(tailWordAt(view, blocksEnd + 4, end))
    h3 ^= mix3(tailWordAt(view, blocksEnd + 8, end))
    h4 ^= mix4(tailWordAt(view, blocksEnd + 12, end))
  }
  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = avalanche((h2 + h1) | 0)
  h3 = avalanche((h3 + h1) | 0)
  h4 = avalanche((h4 + h1) | 0)
  h1 = avalanche(h1)
  h1 = (h1 + h2 + h3 + h4) | 0
  out[0] = h1
  out[1] = h2 + h1
  out[2] = h3 + h1
  out[3] = h4 + h1
}
