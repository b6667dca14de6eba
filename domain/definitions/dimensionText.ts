/** Text of key dimensions. Rules: docs/semantics.md §4. */
import { hashHex } from "../measures/hash.ts"

/** Dimension of a null or absent value. */
export const NONE = "(none)"
/** Every dimension of the row that takes the keys beyond the cap. */
export const OTHER = "__other__"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** First letters of the reserved texts and of the escape: most texts have another. */
const isPlain = (letter: number): boolean => letter !== 0x5c && letter !== 0x28 && letter !== 0x5f

/** A client's own text is escaped with a backslash where it would read as a reserved one. */
const escape = (text: string): string => (isPlain(text.charCodeAt(0)) ? text : /^\\*(\(none\)|__other__)$/.test(text) ? `\\${text}` : text)

/** `text` as it is stored when it is longer than `bytesMax` UTF-8 bytes: a prefix, `…` and a hash of all of it. */
export const shorten = (text: string, bytesMax: number, seed: number): string => {
  if (text.length * 3 <= bytesMax) return text
  const bytes = encoder.encode(text)
  if (bytes.length <= bytesMax) return text
  let end = Math.max(0, bytesMax - 35)
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return `${decoder.decode(bytes.subarray(0, end))}…${hashHex(bytes, seed)}`
}

/** Dimension text of a value, at most `bytesMax` UTF-8 bytes; undefined when it is no JSON scalar. */
export const dimensionText = (value: unknown, bytesMax: number, seed: number): string | undefined => {
  if (value === null || value === undefined) return NONE
  if (typeof value === "string") return shorten(escape(value), bytesMax, seed)
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return JSON.stringify(value)
  return typeof value === "bigint" ? value.toString() : undefined
}
