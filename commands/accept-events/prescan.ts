/** Bounds the depth and the number of keys of JSON text before anything parses it: one linear pass, strings skipped. */
import { skipString } from "./jsonText.ts"

/** Nested objects and arrays one event may have. */
export const DEPTH_MAX = 32
/** Object members one event may have, at all depths together. */
export const KEYS_MAX = 1_000

export interface PrescanFailure {
  readonly code: "too-deep" | "too-many-keys"
  readonly detail: string
}

/** The limit this text breaks, or undefined. Says nothing about whether the text is valid JSON. */
export const prescan = (text: string): PrescanFailure | undefined => {
  let depth = 0
  let keys = 0
  for (let i = 0; i < text.length; ) {
    const code = text.charCodeAt(i)
    if (code === 34) {
      i = skipString(text, i)
      continue
    }
    if (code === 123 || code === 91) {
      depth += 1
      if (depth > DEPTH_MAX) return { code: "too-deep", detail: `nested deeper than ${DEPTH_MAX}` }
    } else if (code === 125 || code === 93) depth -= 1
    else if (code === 58) {
      keys += 1
      if (keys > KEYS_MAX) return { code: "too-many-keys", detail: `more than ${KEYS_MAX} keys` }
    }
    i += 1
  }
  return undefined
}
