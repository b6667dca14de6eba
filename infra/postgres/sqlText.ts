/**
 * Names and texts as Postgres takes them.
 *
 * Names of dimensions and measures come from customers' definitions, so every identifier is quoted. A `text` column
 * holds neither NUL nor lone surrogates, but a foreign producer's record may: those, and the escape itself, are stored
 * as U+E000 and four hexadecimal digits, so that every text reads back as it was.
 */

/** Longest identifier that Postgres does not cut, bytes. */
export const IDENTIFIER_BYTES_MAX = 63

const ESCAPE = "\uE000"
const ESCAPED = /\uE000([0-9a-f]{4})/g
/** By code points, so surrogates are seen only where they stand alone. */
const LONE_SURROGATE = /\p{Surrogate}/u
const LONE_SURROGATES = /\p{Surrogate}/gu
const NUL = "\u0000"

/** The identifier in double quotes. */
export const quoted = (identifier: string): string => `"${identifier.replaceAll("\"", "\"\"")}"`

const escaped = (found: string): string => ESCAPE + found.charCodeAt(0).toString(16).padStart(4, "0")

/** A text as stored. */
export const storedText = (text: string): string =>
  text.includes(ESCAPE) || text.includes(NUL) || LONE_SURROGATE.test(text)
    ? text.replaceAll(ESCAPE, escaped).replaceAll(NUL, escaped).replace(LONE_SURROGATES, escaped)
    : text

/** Reverse of `storedText`. */
export const originalText = (stored: string): string =>
  stored.includes(ESCAPE) ? stored.replace(ESCAPED, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))) : stored
