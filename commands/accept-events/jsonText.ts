/** Finds the members and elements of JSON text without parsing it, so that numbers keep the digits they were sent with. */

/** Half-open range [from, to) of a text. */
export interface TextRange {
  readonly from: number
  readonly to: number
}

export interface TextMember extends TextRange {
  readonly key: string
}

const QUOTE = 34
const BACKSLASH = 92
const COMMA = 44
const COLON = 58

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9
const isOpen = (code: number): boolean => code === 123 || code === 91
const isClose = (code: number): boolean => code === 125 || code === 93

/** Index of the first character at or after `i` that is no JSON white space. */
export const skipSpace = (text: string, i: number): number => {
  while (isSpace(text.charCodeAt(i))) i += 1
  return i
}

/** Index after the closing quote of the string whose opening quote is at `i`; the text's length when it never closes. */
export const skipString = (text: string, i: number): number => {
  for (i += 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === BACKSLASH) i += 1
    else if (code === QUOTE) return i + 1
  }
  return text.length
}

/** Index after the value that begins at `i`; undefined when there is none or it never ends. Brackets are only counted. */
const endOfValue = (text: string, i: number): number | undefined => {
  const first = text.charCodeAt(i)
  if (first === QUOTE) return skipString(text, i)
  let depth = 0
  const from = i
  while (i < text.length) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) {
      if (depth === 0) return undefined
      i = skipString(text, i)
      continue
    }
    if (depth === 0 && (code === COMMA || code === COLON || isClose(code) || isSpace(code))) break
    if (isOpen(code)) depth += 1
    else if (isClose(code)) depth -= 1
    i += 1
    if (depth === 0 && isClose(code)) return i
  }
  return i === from || depth !== 0 ? undefined : i
}

/** After a value: the index of the next one, "end" after the closing bracket and nothing else, undefined when malformed. */
const afterValue = (text: string, i: number, close: number): number | "end" | undefined => {
  i = skipSpace(text, i)
  const code = text.charCodeAt(i)
  if (code === COMMA) return skipSpace(text, i + 1)
  return code === close && skipSpace(text, i + 1) === text.length ? "end" : undefined
}

const isEmpty = (text: string, i: number, close: number): boolean => text.charCodeAt(i) === close && skipSpace(text, i + 1) === text.length

/** Elements of a text that is one JSON array; undefined when its outer form is malformed. The elements are not checked. */
export const elementsOf = (text: string): readonly TextRange[] | undefined => {
  let i = skipSpace(text, 0)
  if (text[i] !== "[") return undefined
  i = skipSpace(text, i + 1)
  const elements: TextRange[] = []
  if (isEmpty(text, i, 93)) return elements
  for (;;) {
    const to = endOfValue(text, i)
    if (to === undefined) return undefined
    elements.push({ from: i, to })
    const next = afterValue(text, to, 93)
    if (next === "end") return elements
    if (next === undefined) return undefined
    i = next
  }
}

/** A string literal that means what it shows. */
const PLAIN_STRING = /^"[^"\\\p{Cc}]*"$/u

const keyOf = (text: string): string | undefined => {
  if (PLAIN_STRING.test(text)) return text.slice(1, -1)
  try {
    const key: unknown = JSON.parse(text)
    return typeof key === "string" ? key : undefined
  } catch {
    return undefined
  }
}

/** Members of a text that is one JSON object; undefined when its outer form is malformed. The values are not checked. */
export const membersOf = (text: string): readonly TextMember[] | undefined => {
  let i = skipSpace(text, 0)
  if (text[i] !== "{") return undefined
  i = skipSpace(text, i + 1)
  const members: TextMember[] = []
  if (isEmpty(text, i, 125)) return members
  for (;;) {
    if (text.charCodeAt(i) !== QUOTE) return undefined
    const keyTo = skipString(text, i)
    const key = keyOf(text.slice(i, keyTo))
    const colon = skipSpace(text, keyTo)
    if (key === undefined || text.charCodeAt(colon) !== COLON) return undefined
    const from = skipSpace(text, colon + 1)
    const to = endOfValue(text, from)
    if (to === undefined) return undefined
    members.push({ key, from, to })
    const next = afterValue(text, to, 125)
    if (next === "end") return members
    if (next === undefined) return undefined
    i = next
  }
}

/** Text of the last member with this key: the one a JSON parser keeps. */
export const memberText = (text: string, members: readonly TextMember[], key: string): string | undefined => {
  for (let i = members.length - 1; i >= 0; i--) {
    const member = members[i]
    if (member?.key === key) return text.slice(member.from, member.to)
  }
  return undefined
}
