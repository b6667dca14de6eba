/** The named and versioned helpers of expressions. A change in meaning is a new version. */

/** Takes any value; null when it has no answer. */
export type EventHelper = (value: unknown) => string | null

/** Host of an absolute URL in lower case, else null. `referrerHost@1`. */
export const referrerHost: EventHelper = (value) => {
  const match = typeof value === "string" ? /^https?:\/\/(?:[^/?#@]*@)?([^/?#:]+)/i.exec(value) : null
  return match?.[1]?.toLowerCase() ?? null
}

/** bot, tablet, mobile or desktop; null without a user agent. `deviceClass@1`. */
export const deviceClass: EventHelper = (value) => {
  if (typeof value !== "string" || value === "") return null
  if (/bot|crawl|spider|slurp/i.test(value)) return "bot"
  if (/ipad|tablet/i.test(value)) return "tablet"
  if (/android/i.test(value)) return /mobile/i.test(value) ? "mobile" : "tablet"
  return /mobi|iphone/i.test(value) ? "mobile" : "desktop"
}

const REMEMBERED_MAX = 4_096

/** The helper with what it answered last for texts that came lately: hosts and devices come again and again. */
const remembering = (helper: EventHelper): EventHelper => {
  const answers = new Map<string, string | null>()
  return (value) => {
    if (typeof value !== "string") return helper(value)
    let answer = answers.get(value)
    if (answer === undefined) {
      answer = helper(value)
      if (answers.size >= REMEMBERED_MAX) answers.clear()
      answers.set(value, answer)
    }
    return answer
  }
}

/** Helpers of this binary by name, with their versions. */
export const HELPERS: ReadonlyMap<string, { readonly version: number; readonly helper: EventHelper }> = new Map([
  ["referrerHost", { version: 1, helper: remembering(referrerHost) }],
  ["deviceClass", { version: 1, helper: remembering(deviceClass) }]
])
