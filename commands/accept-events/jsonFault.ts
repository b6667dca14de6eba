/** Finds where JSON text stops being JSON: one linear pass with its own stack, so that no depth can exhaust another. */
import { skipSpace } from "./jsonText.ts"

export interface JsonFault {
  /** Index of the first character that cannot stand there; the text's length when it ends too early. */
  readonly at: number
  readonly expected: string
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y

/** Index after what `pattern` finds at `i`, or undefined. */
const after = (pattern: RegExp, text: string, i: number): number | undefined => {
  pattern.lastIndex = i
  return pattern.test(text) ? pattern.lastIndex : undefined
}

/** Index after the string that begins at `i`, or undefined. */
const afterString = (text: string, i: number): number | undefined => {
  if (text[i] !== '"') return undefined
  let at: number | undefined = i + 1
  while (at !== undefined && at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 34) return at + 1
    if (code < 32) return undefined
    at = code === 92 ? after(ESCAPE, text, at) : at + 1
  }
  return undefined
}

/** Index after a key and its colon, or the fault. */
const afterKey = (text: string, i: number): number | JsonFault => {
  const end = afterString(text, i)
  if (end === undefined) return { at: i, expected: "a key in double quotes" }
  const colon = skipSpace(text, end)
  return text[colon] === ":" ? skipSpace(text, colon + 1) : { at: colon, expected: "a colon" }
}

/** The first fault of the text, or undefined when it is one JSON value. */
export const findJsonFault = (text: string): JsonFault | undefined => {
  const closers: string[] = []
  let i = skipSpace(text, 0)
  for (;;) {
    const opener = text[i]
    const isObject = opener === "{"
    if (isObject || opener === "[") {
      const closer = isObject ? "}" : "]"
      i = skipSpace(text, i + 1)
      if (text[i] !== closer) {
        closers.push(closer)
        const value = isObject ? afterKey(text, i) : i
        if (typeof value === "object") return value
        i = value
        continue
      }
      i += 1
    } else {
      const end = opener === '"' ? afterString(text, i) : after(SCALAR, text, i)
      if (end === undefined) return { at: i, expected: opener === '"' ? "a string that is closed and escaped" : "a value" }
      i = end
    }
    for (i = skipSpace(text, i); closers.length > 0 && text[i] === closers.at(-1); i = skipSpace(text, i + 1)) closers.pop()
    const closer = closers.at(-1)
    if (closer === undefined) return i === text.length ? undefined : { at: i, expected: "nothing more" }
    if (text[i] !== ",") return { at: i, expected: `a comma or ${closer}` }
    i = skipSpace(text, i + 1)
    const value = closer === "}" ? afterKey(text, i) : i
    if (typeof value === "object") return value
    i = value
  }
}

/** The fault as people look for it: character from 1, with its line when there are several, and what stands there. */
export const describeJsonFault = (text: string, { at, expected }: JsonFault): string => {
  const before = text.slice(0, at)
  const place = text.trim().includes("\n") ? `line ${before.split("\n").length}, character ${at - before.lastIndexOf("\n")}` : `character ${at + 1}`
  const found = at >= text.length ? "the end of the text" : JSON.stringify(text.slice(at, at + 1))
  return `${place}: expected ${expected}, got ${found}`
}
