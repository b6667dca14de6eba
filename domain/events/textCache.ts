/** Texts of printable ASCII by their bytes: those that came lately are found again instead of made again. */
const ENTRIES = 8_192
/** Longer ones are made each time. */
const LENGTH_MAX = 128

const decoder = new TextDecoder()
const texts: string[] = Array.from({ length: ENTRIES }, () => "")

const isText = (text: string, bytes: Uint8Array, from: number, length: number): boolean => {
  if (text.length !== length) return false
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

/** The text of `bytes[from, to)`, all printable ASCII. */
export const asciiText = (bytes: Uint8Array, from: number, to: number): string => {
  const length = to - from
  if (length > LENGTH_MAX) return decoder.decode(bytes.subarray(from, to))
  let hash = length
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  const place = (hash ^ (hash >>> 15)) & (ENTRIES - 1)
  const known = texts[place]!
  if (isText(known, bytes, from, length)) return known
  return (texts[place] = decoder.decode(bytes.subarray(from, to)))
}
